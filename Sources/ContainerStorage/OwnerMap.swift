public import LinuxSystem
public import OCISpec

/// Whose a container's files are on the host: the mapping of its user namespace.
///
/// On the disk they belong to whom the image says. Where the file system can,
/// a mount of it shows them as the mapped users' (mount_setattr(2),
/// MOUNT_ATTR_IDMAP), and the container's own changes come to the disk as if
/// nothing were mapped. Elsewhere the container's own copies change their
/// owners, once (`OwnerShift`).
public struct OwnerMap: Sendable {
    public var users: [IDMapping]
    public var groups: [IDMapping]
    /// Open on a user namespace with this mapping, as long as the value is used.
    public var namespace: Int32

    public init(users: [IDMapping], groups: [IDMapping], namespace: Int32) {
        self.users = users
        self.groups = groups
        self.namespace = namespace
    }

    /// A directory as the mapped users have it; nil where there are no such mounts.
    func mapped(_ path: String) throws(SystemError) -> HeldDescriptor? {
        do throws(SystemError) {
            let mount = try Mount.clone(path)
            try map(mount.raw)
            return HeldDescriptor(mount)
        } catch  where Self.isUnsupported(error.errno) {
            return nil
        }
    }

    func map(_ mount: Int32) throws(SystemError) {
        try Mount.mapIDs(mount, userNamespace: namespace, recursive: false)
    }

    /// Runs on this thread as the container's root, with all rights of the
    /// host's. Overlay makes files in the name of who mounted it, and where
    /// owners are mapped the host's root can have none.
    func asMappedRoot(_ body: () throws(SystemError) -> Void) throws(SystemError) {
        guard let user = users.host(0), let group = groups.host(0) else { return try body() }
        try Self.asRoot(user, group, body)
    }

    /// - Parameters: the host's IDs of a container's root.
    public static func asRoot(
        _ user: UInt32, _ group: UInt32, _ body: () throws(SystemError) -> Void
    ) throws(SystemError) {
        let rights = try CapabilitySet.permitted()
        func become(_ user: UInt32, _ group: UInt32) throws(SystemError) {
            _ = linux_syscall(Int(SYS_setfsgid), Int(group), 0, 0, 0, 0, 0)
            _ = linux_syscall(Int(SYS_setfsuid), Int(user), 0, 0, 0, 0, 0)
            // setfsuid(2) takes the rights over files away.
            try CapabilitySet.replace(effective: rights, permitted: rights, inheritable: CapabilitySet())
        }
        try become(user, group)
        do throws(SystemError) {
            try body()
        } catch {
            try become(0, 0)
            throw error
        }
        try become(0, 0)
    }

    private static func isUnsupported(_ errno: Errno) -> Bool {
        [.noSystemCall, .invalid, .notPermitted, .notSupported].contains(errno)
    }
}

extension [IDMapping] {
    /// The host's ID for one of the container's; nil when it has none.
    public func host(_ id: UInt32) -> UInt32? {
        first { id >= $0.containerID && id - $0.containerID < $0.size }.map {
            $0.hostID + (id - $0.containerID)
        }
    }
}

/// Gives a container's own tree to the users that its user namespace maps to.
/// A file beside the tree says that it is done; one that says it was begun
/// means that the tree must be made anew, for it has owners of both kinds.
struct OwnerShift {
    private static let done = "shifted"
    private static let begun = "shifting"

    /// - Parameter snapshot: the snapshot's directory in the store.
    static func isDone(_ snapshot: String, at directory: Int32) -> Bool {
        File.exists("\(snapshot)/\(done)", at: directory)
    }

    static func wasCutShort(_ snapshot: String, at directory: Int32) -> Bool {
        File.exists("\(snapshot)/\(begun)", at: directory)
    }

    static func forget(_ snapshot: String, at directory: Int32) throws(SystemError) {
        try File.unlink("\(snapshot)/\(begun)", at: directory)
    }

    /// - Parameter rootfs: the tree, in which nothing runs yet.
    static func apply(
        _ owners: OwnerMap, to rootfs: String, of snapshot: String, at directory: Int32
    ) throws(SystemError) {
        if isDone(snapshot, at: directory) { return }
        try File.replace("\(snapshot)/\(begun)", at: directory, with: [])
        let root = try File.open(rootfs, O_RDONLY | O_DIRECTORY)
        try shift(root.raw, owners)
        try File.rename("\(snapshot)/\(begun)", to: "\(snapshot)/\(done)", at: directory)
    }

    private static func shift(_ root: Int32, _ owners: OwnerMap) throws(SystemError) {
        var linked: [ino_t: [CChar]] = [:]
        var waiting: [[CChar]] = [[0x2E, 0]]
        while let path = waiting.popLast() {
            let directory = try File.openRaw(path, beneath: root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            for entry in try DirectoryListing(directory.raw).entries {
                var status = stat()
                _ = try retrying("stat", entry.text) {
                    fstatat(directory.raw, entry.name, &status, AT_SYMLINK_NOFOLLOW)
                }
                if status.st_mode & S_IFMT == S_IFDIR {
                    waiting.append(path.dropLast() + [0x2F] + entry.name)
                } else if status.st_nlink < 2 {
                    try shift(entry.name, status, in: directory.raw, owners)
                } else if let first = linked[status.st_ino] {
                    try link(entry.name, in: directory.raw, to: first, beneath: root)
                } else {
                    linked[status.st_ino] = path.dropLast() + [0x2F] + entry.name
                    try shift(entry.name, status, in: directory.raw, owners)
                }
            }
            // After what is in it: that is found by the host's rights in any case.
            let status = try FD.stat(directory.raw)
            try FileMetadata.setOwner(
                directory.raw, owners.users.host(status.st_uid) ?? status.st_uid,
                owners.groups.host(status.st_gid) ?? status.st_gid)
            if status.st_mode & 0o7000 != 0 {
                try FileMetadata.setMode(directory.raw, status.st_mode & 0o7777)
            }
        }
    }

    /// A union copies a file up for one of its names alone: the others follow.
    private static func link(
        _ name: [CChar], in directory: Int32, to first: [CChar], beneath root: Int32
    ) throws(SystemError) {
        var (own, shifted) = (stat(), stat())
        let file = try File.openRaw(first, beneath: root, O_PATH | O_NOFOLLOW)
        _ = try retrying("stat", "a link") { fstat(file.raw, &shifted) }
        _ = try retrying("stat", "a link") { fstatat(directory, name, &own, AT_SYMLINK_NOFOLLOW) }
        if own.st_ino == shifted.st_ino { return }
        _ = try retrying("unlink", "a link") { unlinkat(directory, name, 0) }
        _ = try retrying("link", "a link") {
            linkat(AT_FDCWD, "/proc/self/fd/\(file.raw)", directory, name, AT_SYMLINK_FOLLOW)
        }
    }

    /// chown(2) takes set-user-ID bits and file capabilities away.
    private static func shift(
        _ name: [CChar], _ status: stat, in directory: Int32, _ owners: OwnerMap
    ) throws(SystemError) {
        let isRegular = status.st_mode & S_IFMT == S_IFREG
        let capabilities =
            isRegular ? try ExtendedAttributes.value(of: name, at: directory, capabilityName) : nil
        try FileMetadata.setOwner(
            of: name, at: directory, owners.users.host(status.st_uid) ?? status.st_uid,
            owners.groups.host(status.st_gid) ?? status.st_gid)
        if isRegular, status.st_mode & 0o7000 != 0 {
            try FileMetadata.setMode(of: name, at: directory, status.st_mode & 0o7777)
        }
        if let capabilities, let root = owners.users.host(0) {
            try ExtendedAttributes.set(
                of: name, at: directory,
                .init(name: capabilityName, value: namespaced(capabilities, root: root)))
        }
    }

    private static let capabilityName = Array("security.capability".utf8)

    /// Version 3, which holds in the user namespace whose root this is (capabilities(7)).
    private static func namespaced(_ value: [UInt8], root: UInt32) -> [UInt8] {
        guard value.count >= 20 else { return value }
        var bytes = Array(value.prefix(20))
        bytes[3] = 3
        return bytes + withUnsafeBytes(of: root.littleEndian) { Array($0) }
    }
}
