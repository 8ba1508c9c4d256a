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

    /// - Parameter rootfs: cleaned; a destination may be written as the host sees it.
    init(_ mount: MountSpec, bundle: String, rootfs: String) throws(RuntimeError) {
        guard !mount.destination.isEmpty else {
            throw RuntimeError(.invalidConfig, "a mount has no destination")
        }
        var destination = Rootfs.clean(mount.destination)
        if destination.utf8.starts(with: rootfs.utf8), destination.hasPrefix(rootfs + "/") {
            destination = String(destination.dropFirst(rootfs.count))
        }
        self.destination = destination
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

extension MountRequest {
    /// A detached copy of the source as the container's process would find it, with the rights
    /// of the host: an earlier mount of the container's may be a part of it.
    func open(for pid: pid_t) throws(RuntimeError) -> Descriptor {
        let tree = try during("open mount source \(source)") { () throws(SystemError) in
            try MountNamespace.inside(of: pid) { () throws(SystemError) in
                try Mount.clone(source, recursive: options.isRecursive)
            }
        }
        if let userNamespace = takeUserNamespace() {
            try during("map the owners of \(source)") { () throws(SystemError) in
                try Mount.mapIDs(
                    tree.raw, userNamespace: userNamespace.raw, recursive: options.mapsIDsRecursively)
            }
        }
        return tree
    }
}

enum MountNamespace {
    /// Runs a body in a process's mount namespace, from the root of that. The calling process
    /// has one thread.
    static func inside<Value: ~Copyable>(
        of pid: pid_t, _ body: () throws(SystemError) -> Value
    ) throws(SystemError) -> Value {
        let kind = LinuxNamespace.Kind.mount.flag
        let other = try File.open("/proc/\(pid)/ns/mnt", O_RDONLY)
        return try away({ () throws(SystemError) in try Namespace.join(other.raw, kinds: kind) }, body)
    }

    /// Runs a body in a new mount namespace: what it mounts no one else sees, and nothing is left
    /// of it when those processes have ended that were started in it. The calling process has one
    /// thread.
    static func apart<Value: ~Copyable>(
        _ body: () throws(RuntimeError) -> Value
    ) throws(RuntimeError) -> Value {
        var failure: RuntimeError?
        let value = try during("make a mount namespace") { () throws(SystemError) -> Value? in
            try away({ () throws(SystemError) in
                try Namespace.unshare(LinuxNamespace.Kind.mount.flag)
            }) { () throws(SystemError) -> Value? in
                try Mount.setPropagation("/", UInt(MS_SLAVE | MS_REC))
                do throws(RuntimeError) {
                    return try body()
                } catch {
                    failure = error
                    return nil
                }
            }
        }
        if let failure { throw failure }
        return value!
    }

    private static func away<Value: ~Copyable>(
        _ go: () throws(SystemError) -> Void, _ body: () throws(SystemError) -> Value
    ) throws(SystemError) -> Value {
        let own = try File.open("/proc/self/ns/mnt", O_RDONLY)
        let root = try File.open("/", O_PATH | O_DIRECTORY)
        let directory = try File.open(".", O_PATH | O_DIRECTORY)
        try go()
        func comeBack() throws(SystemError) {
            try Namespace.join(own.raw, kinds: LinuxNamespace.Kind.mount.flag)
            // setns(2) leaves us in the root of the mount namespace, which need not have been ours.
            _ = try retrying("fchdir") { fchdir(root.raw) }
            _ = try retrying("chroot") { chroot(".") }
            _ = try retrying("fchdir") { fchdir(directory.raw) }
        }
        do throws(SystemError) {
            let value = try body()
            try comeBack()
            return value
        } catch {
            try comeBack()
            throw error
        }
    }
}
