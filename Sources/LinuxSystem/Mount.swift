/// The descriptor-based mount calls (fsopen(2), open_tree(2), move_mount(2),
/// mount_setattr(2)): a mount is made detached, given its attributes, and only
/// then put in its place, whose descriptor the caller has. No path that a
/// container controls is looked up by the kernel in between. On kernels without them the same is
/// done on a stage (`MountStage`).
public enum Mount {
    /// `MOUNT_ATTR_…` bits to set and to clear.
    public struct Attributes: Equatable, Sendable {
        public var added: UInt64
        public var cleared: UInt64

        public init(adding added: UInt64 = 0, clearing cleared: UInt64 = 0) {
            self.added = added
            self.cleared = cleared
        }

        public var isEmpty: Bool { added == 0 && cleared == 0 }

        /// All that is about access times.
        public static let accessTimes = UInt64(MOUNT_ATTR__ATIME) | UInt64(MOUNT_ATTR_NODIRATIME)

        public static let readOnly = Attributes(adding: UInt64(MOUNT_ATTR_RDONLY))
    }

    /// An open configuration of a file system that is to be mounted.
    public struct Context: ~Copyable {
        private let descriptor: Descriptor
        private let type: String
        /// Where the kernel has no such context.
        private let older: MountContextOptions?

        /// - Throws: ENODEV for a type that the kernel does not know.
        public init(type: String) throws(SystemError) {
            self.type = type
            if hasStage {
                older = MountContextOptions(type: type)
                descriptor = Descriptor(owning: -1)
                return
            }
            older = nil
            descriptor = Descriptor(
                owning: try retrying("fsopen", type) { fsopen(type, UInt32(FSOPEN_CLOEXEC)) })
        }

        /// The configuration of the mounted file system that a descriptor lies on, to change it.
        public init(picking fd: Int32) throws(SystemError) {
            type = "descriptor \(fd)"
            if hasStage {
                older = MountContextOptions(type: type, mounted: fd)
                descriptor = try nothing(picking: fd)
                return
            }
            older = nil
            descriptor = Descriptor(
                owning: try retrying("fspick", type) {
                    fspick(fd, "", UInt32(FSPICK_CLOEXEC | FSPICK_EMPTY_PATH))
                })
        }

        private var raw: Int32 { descriptor.raw }

        public func set(_ key: String, _ value: String) throws(SystemError) {
            try configure(FSCONFIG_SET_STRING.rawValue, key, value)
        }

        public func set(flag key: String) throws(SystemError) {
            try configure(FSCONFIG_SET_FLAG.rawValue, key, nil)
        }

        private func configure(_ command: UInt32, _ key: String, _ value: String?) throws(SystemError) {
            if let older { return older.set(key, value) }
            let raw = raw
            let object = value.map { "\(type) option \(key)=\($0)" } ?? "\(type) option \(key)"
            if let value {
                _ = try retrying("fsconfig", object) { fsconfig(raw, command, key, value, 0) }
            } else {
                _ = try retrying("fsconfig", object) { fsconfig(raw, command, key, nil, 0) }
            }
        }

        /// Makes the superblock and a detached mount of it.
        public consuming func mount(attributes: UInt64 = 0) throws(SystemError) -> Descriptor {
            if let older { return try older.mount(attributes: attributes) }
            let raw = raw
            _ = try retrying("create file system", type) {
                fsconfig(raw, FSCONFIG_CMD_CREATE.rawValue, nil, nil, 0)
            }
            return Descriptor(
                owning: try retrying("fsmount", type) {
                    fsmount(raw, UInt32(FSMOUNT_CLOEXEC), UInt32(attributes))
                })
        }

        public consuming func reconfigure() throws(SystemError) {
            if let older { return try older.reconfigure() }
            let raw = raw
            _ = try retrying("reconfigure file system", type) {
                fsconfig(raw, FSCONFIG_CMD_RECONFIGURE.rawValue, nil, nil, 0)
            }
        }
    }

    /// A detached copy of the mount at a path (a bind mount without a place yet),
    /// with the mounts below it when `recursive`.
    public static func clone(
        _ path: String, at directory: Int32 = File.currentDirectory, recursive: Bool = false,
        followLinks: Bool = true
    ) throws(SystemError) -> Descriptor {
        if hasStage {
            if path.isEmpty { return try cloneOnStage(directory, recursive: recursive, path) }
            let source = try File.open(path, at: directory, O_PATH | (followLinks ? 0 : O_NOFOLLOW))
            return try cloneOnStage(source.raw, recursive: recursive, path)
        }
        var flags = UInt32(OPEN_TREE_CLONE) | UInt32(O_CLOEXEC)
        if path.isEmpty { flags |= UInt32(AT_EMPTY_PATH) }
        if recursive { flags |= UInt32(AT_RECURSIVE) }
        if !followLinks { flags |= UInt32(AT_SYMLINK_NOFOLLOW) }
        return Descriptor(owning: try retrying("open_tree", path) { open_tree(directory, path, flags) })
    }

    /// Puts a detached mount on the file or directory that `target` is open on.
    public static func attach(_ mount: Int32, onto target: Int32) throws(SystemError) {
        if hasStage { return try move(mount, onto: target) }
        _ = try retrying("move_mount") {
            move_mount(
                mount, "", target, "", UInt32(MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
        }
    }

    /// Puts a detached mount on a name in a directory, without following a link there.
    public static func attach(_ mount: Int32, onto name: String, at directory: Int32) throws(SystemError) {
        if hasStage {
            let target = try File.open(name, at: directory, O_PATH | O_NOFOLLOW)
            return try move(mount, onto: target.raw)
        }
        _ = try retrying("move_mount", name) {
            move_mount(mount, "", directory, name, UInt32(MOVE_MOUNT_F_EMPTY_PATH))
        }
    }

    /// - Parameter propagation: `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED` or `MS_UNBINDABLE`; 0 leaves it.
    public static func change(
        _ mount: Int32, _ attributes: Attributes, propagation: UInt64 = 0, recursive: Bool = false
    ) throws(SystemError) {
        if hasStage {
            return try changeInPlace(mount, attributes, propagation: propagation, recursive: recursive)
        }
        var value = mount_attr(
            attr_set: attributes.added, attr_clr: attributes.cleared, propagation: propagation, userns_fd: 0)
        try change(mount, &value, recursive: recursive)
    }

    /// Maps the owners of a detached mount's files as a user namespace does.
    public static func mapIDs(
        _ mount: Int32, userNamespace: Int32, recursive: Bool
    ) throws(SystemError) {
        var value = mount_attr(
            attr_set: UInt64(MOUNT_ATTR_IDMAP), attr_clr: 0, propagation: 0,
            userns_fd: UInt64(userNamespace))
        try change(mount, &value, recursive: recursive)
    }

    private static func change(
        _ mount: Int32, _ value: inout mount_attr, recursive: Bool
    ) throws(SystemError) {
        let flags = UInt32(AT_EMPTY_PATH) | (recursive ? UInt32(AT_RECURSIVE) : 0)
        _ = try retrying("mount_setattr", "descriptor \(mount)") {
            mount_setattr(mount, "", flags, &value, MemoryLayout<mount_attr>.size)
        }
    }

    /// Unmounts what is topmost at a path.
    public static func detach(_ path: String, followLinks: Bool = false) throws(SystemError) {
        let flags = Int32(MNT_DETACH) | (followLinks ? 0 : Int32(UMOUNT_NOFOLLOW))
        _ = try retrying("unmount", path) { umount2(path, flags) }
    }

    /// Changes the propagation of the mount at a path that we choose (mount(2)).
    public static func setPropagation(_ path: String, _ flags: UInt) throws(SystemError) {
        _ = try retrying("set propagation", path) { mount(nil, path, nil, flags, nil) }
    }

    /// pivot_root(2) to the working directory; the old root is mounted on top of it.
    public static func pivotToWorkingDirectory() throws(SystemError) {
        _ = try checked("pivot_root") {
            ".".withCString { dot in
                linux_syscall(Int(SYS_pivot_root), Int(bitPattern: dot), Int(bitPattern: dot), 0, 0, 0, 0)
            }
        }
    }

    /// Moves the mount that is the working directory on top of the root (mount(2)); needs no /proc.
    public static func moveWorkingDirectoryOntoRoot() throws(SystemError) {
        _ = try retrying("move mount", "/") { mount(".", "/", nil, UInt(MS_MOVE), nil) }
    }

    /// The `MOUNT_ATTR_…` bits that a mount has (statfs(2), `f_flags`).
    public static func attributes(of fd: Int32) throws(SystemError) -> UInt64 {
        var status = statfs()
        _ = try retrying("fstatfs", "descriptor \(fd)") { fstatfs(fd, &status) }
        let bits: [(flag: Int, attribute: UInt64)] = [
            (1, UInt64(MOUNT_ATTR_RDONLY)), (2, UInt64(MOUNT_ATTR_NOSUID)), (4, UInt64(MOUNT_ATTR_NODEV)),
            (8, UInt64(MOUNT_ATTR_NOEXEC)), (0x800, UInt64(MOUNT_ATTR_NODIRATIME)),
            (0x2000, UInt64(MOUNT_ATTR_NOSYMFOLLOW)),
        ]
        let flags = Int(status.f_flags)
        var attributes: UInt64 = 0
        for (flag, attribute) in bits where flags & flag != 0 { attributes |= attribute }
        let (noAccessTime, relative) = (0x400, 0x1000)
        if flags & noAccessTime != 0 {
            attributes |= UInt64(MOUNT_ATTR_NOATIME)
        } else if flags & relative == 0 {
            attributes |= UInt64(MOUNT_ATTR_STRICTATIME)
        }
        return attributes
    }

    /// The kernel's number for the type of file system that a descriptor lies on (statfs(2)).
    public static func fileSystemType(of fd: Int32) throws(SystemError) -> Int {
        var status = statfs()
        _ = try retrying("fstatfs", "descriptor \(fd)") { fstatfs(fd, &status) }
        return Int(status.f_type)
    }
}

extension Mount {
    /// Whether something is mounted on a path (statx(2), STATX_ATTR_MOUNT_ROOT, Linux 5.8).
    public static func isMountRoot(_ path: String) -> Bool {
        var answer = [UInt64](repeating: 0, count: 32)
        let result = path.withCString { path in
            answer.withUnsafeMutableBytes {
                linux_syscall(
                    Int(SYS_statx), Int(AT_FDCWD), Int(bitPattern: path), Int(AT_SYMLINK_NOFOLLOW), 0,
                    Int(bitPattern: $0.baseAddress), 0)
            }
        }
        // struct statx: attributes at 8, which of them the kernel knows at 56.
        let mountRoot: UInt64 = 0x2000
        if result == 0, answer[7] & mountRoot != 0 { return answer[1] & mountRoot != 0 }
        return OverlayMount.isMounted(path)
    }
}
