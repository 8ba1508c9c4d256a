import LinuxSystem
import OCISpec

/// One of the config's mounts, taken apart before anything is done.
final class MountRequest {
    /// Cleaned.
    let destination: String
    let type: String
    /// Absolute for a bind mount.
    let source: String
    let options: MountOptions
    let uidMappings: [IDMapping]
    let gidMappings: [IDMapping]
    /// A detached copy of a bind mount's source, when the runtime itself made it.
    var tree: Descriptor?
    /// The user namespace whose mapping an idmapped mount takes.
    var userNamespace: Descriptor?

    var isCgroup: Bool { type == "cgroup" || type == "cgroup2" }

    init(_ mount: MountSpec, bundle: String) throws(RuntimeError) {
        guard !mount.destination.isEmpty else {
            throw RuntimeError(.invalidConfig, "a mount has no destination")
        }
        destination = Rootfs.clean(mount.destination)
        guard destination != "/" else {
            throw RuntimeError(.invalidConfig, "mount destination \(mount.destination) is the root itself")
        }
        var options = MountOptions(mount.options)
        if mount.type == "bind" { options.isBind = true }
        type = options.isBind ? "bind" : mount.type ?? "none"
        let source = mount.source ?? ""
        if options.isBind {
            guard !source.isEmpty || options.isRemount else {
                throw RuntimeError(.invalidConfig, "the bind mount on \(destination) has no source")
            }
            self.source = source.utf8.first == UInt8(ascii: "/") ? source : "\(bundle)/\(source)"
        } else {
            self.source = source
        }
        if !mount.uidMappings.isEmpty || !mount.gidMappings.isEmpty {
            guard !mount.uidMappings.isEmpty, !mount.gidMappings.isEmpty else {
                throw RuntimeError(
                    .invalidConfig,
                    "the mount on \(destination) needs both uidMappings and gidMappings")
            }
            options.mapsIDs = true
        }
        if options.mapsIDs, !options.isBind {
            throw RuntimeError(
                .unsupported, "mount \(destination): idmap is for bind mounts only")
        }
        self.options = options
        uidMappings = mount.uidMappings
        gidMappings = mount.gidMappings
    }
}
