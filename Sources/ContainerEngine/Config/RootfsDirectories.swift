import ContainerStorage
import LinuxSystem
import OCISpec

/// Directories that a container needs in its root file system before it starts.
enum RootfsDirectories {
    /// mkdir -p beneath a root: symbolic links resolve within it (openat2(2),
    /// RESOLVE_IN_ROOT), so that no image leads us out.
    /// - Parameter root: the open root directory.
    static func make(_ path: String, root: Int32, owner: ContainerOwner) throws(EngineError) {
        do throws(SystemError) {
            var made = ""
            for part in path.split(separator: "/") {
                let parent = made.isEmpty ? "/" : made
                made += "/\(part)"
                do throws(SystemError) {
                    _ = try File.open(inRoot: made, at: root, O_PATH | O_DIRECTORY)
                } catch  where error.errno == .noEntry {
                    let directory = try File.open(inRoot: parent, at: root, O_RDONLY | O_DIRECTORY)
                    do throws(SystemError) {
                        try owner.asRoot { () throws(SystemError) in
                            try File.makeDirectory(String(part), at: directory.raw)
                        }
                        let child = try File.open(
                            String(part), at: directory.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                        let raw = child.raw
                        _ = try retrying("chown", made) { fchown(raw, owner.user, owner.group) }
                    } catch  where error.errno == .exists {}
                }
            }
        } catch {
            throw EngineError(.failed, "working directory \(path) in the container: \(error.errno)")
        }
    }
}

/// To whom on the host what is made in a container's root belongs.
struct ContainerOwner {
    var user: UInt32
    var group: UInt32
    /// The container's root, where that is not the host's.
    private let root: (user: UInt32, group: UInt32)?

    init(_ spec: ContainerSpec, uid: UInt32, gid: UInt32) {
        user = spec.uidMappings.host(uid) ?? uid
        group = spec.gidMappings.host(gid) ?? gid
        root = spec.uidMappings.host(0).flatMap { user in spec.gidMappings.host(0).map { (user, $0) } }
    }

    /// Makes files as the container's root. Those of the host's root cannot be
    /// made where owners are mapped: no user of the container stands for it.
    func asRoot(_ body: () throws(SystemError) -> Void) throws(SystemError) {
        guard let root else { return try body() }
        try OwnerMap.asRoot(root.user, root.group, body)
    }
}
