/// Union mounts of the kernel's overlay file system (Documentation/filesystems/overlayfs.rst).
public struct OverlayMount: Sendable {
    /// The read-only directories, the topmost first. At least one.
    public var lower: [String]
    /// Directories below all others that nothing is looked up in: files of the
    /// lower layers that name a path in them (`trusted.overlay.redirect`) have
    /// their contents there. Linux 6.16 follows such a name without `metacopy`.
    public var dataOnly: [String] = []
    /// Where changes go; nil for a read-only union.
    public var upper: String?
    /// An empty directory on the upper's file system. Needed with `upper`.
    public var work: String?
    /// Skips every sync of the upper's file system, also the one that the
    /// unmount does: for a container whose changes go with it.
    public var volatile: Bool

    public init(lower: [String], upper: String? = nil, work: String? = nil, volatile: Bool = false) {
        self.lower = lower
        self.upper = upper
        self.work = work
        self.volatile = volatile
    }

    /// Features that would make an upper directory mean something else than
    /// the layer format can say (`redirect_dir`, `metacopy`), or tie it to the
    /// inodes of the lowers (`index`), are off whatever the kernel's default.
    private static let fixedOptions = [("redirect_dir", "off"), ("index", "off"), ("metacopy", "off")]

    /// A mount that is attached nowhere yet; it ends with its descriptor.
    /// - Throws: ENOSYS or EINVAL from a kernel whose overlay takes no layers one by one (before 6.8).
    public func detached(source: String = "overlay") throws(SystemError) -> Descriptor {
        // Without asking: an option that overlay does not know is a line in the kernel's log.
        guard Self.takesLayersOneByOne else { throw SystemError("mount overlay", source, .noSystemCall) }
        // Taken before the layers' descriptors, so that their numbers stay valid throughout.
        let context = Descriptor(
            owning: try retrying("fsopen", "overlay") { fsopen("overlay", UInt32(FSOPEN_CLOEXEC)) })
        try set(context.raw, "source", source)
        for directory in lower { try set(context.raw, "lowerdir+", path: directory) }
        for directory in dataOnly { try set(context.raw, "datadir+", path: directory) }
        // Inode and device numbers as of one file system, whatever the layers' are.
        if !dataOnly.isEmpty, upper != nil { try set(context.raw, "xino", "on") }
        if let upper, let work {
            try set(context.raw, "upperdir", path: upper)
            try set(context.raw, "workdir", path: work)
        }
        for (name, value) in Self.fixedOptions { try set(context.raw, name, value) }
        if volatile, upper != nil {
            _ = try retrying("set volatile of overlay") {
                fsconfig(context.raw, FSCONFIG_SET_FLAG.rawValue, "volatile", nil, 0)
            }
        }
        _ = try retrying("mount overlay", upper ?? lower.first ?? "") {
            fsconfig(context.raw, FSCONFIG_CMD_CREATE.rawValue, nil, nil, 0)
        }
        return Descriptor(
            owning: try retrying("fsmount", "overlay") {
                fsmount(context.raw, UInt32(FSMOUNT_CLOEXEC), 0)
            })
    }

    private static let takesLayersOneByOne: Bool = {
        let release = (try? File.readText("/proc/sys/kernel/osrelease")) ?? ""
        let numbers = release.split(separator: ".").prefix(2).compactMap { Int($0.prefix(while: \.isNumber)) }
        return numbers.count < 2 || (numbers[0], numbers[1]) >= (6, 8)
    }()

    /// Mounts on a directory.
    public func attach(to target: String, source: String = "overlay") throws(SystemError) {
        do throws(SystemError) {
            let mount = try detached(source: source)
            _ = try retrying("mount overlay on", target) {
                move_mount(mount.raw, "", AT_FDCWD, target, UInt32(MOVE_MOUNT_F_EMPTY_PATH))
            }
        } catch  where Self.isForOlderKernels(error) && dataOnly.isEmpty {
            try attachByString(to: target, source: source)
        }
    }

    /// Whether a failure of `detached` can mean that the kernel does not know
    /// the way, and the option string may do. EPERM comes from a seccomp
    /// profile around us that does not know the new calls.
    public static func isForOlderKernels(_ error: SystemError) -> Bool {
        error.errno == .noSystemCall || error.errno == .invalid || error.errno == .notPermitted
    }

    /// As `detached`, for kernels before 6.8.
    /// - Parameter place: a directory on which the mount is for a moment.
    public func detachedByString(by place: String, source: String = "overlay") throws(SystemError)
        -> Descriptor
    {
        try attachByString(to: place, source: source)
        defer { try? Self.unmount(place) }
        return try File.open(place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    }

    /// mount(2), for kernels before 6.8. All options share one page there and
    /// `:` and `,` end a name, so the directories are named by descriptors.
    public func attachByString(to target: String, source: String = "overlay") throws(SystemError) {
        var held = DescriptorList()
        var options: [String] = []
        options.append("lowerdir=" + (try held.names(of: lower)).joined(separator: ":"))
        if let upper, let work {
            options.append("upperdir=" + (try held.names(of: [upper]))[0])
            options.append("workdir=" + (try held.names(of: [work]))[0])
            if volatile { options.append("volatile") }
        }
        options += Self.fixedOptions.map { "\($0)=\($1)" }
        let data = options.joined(separator: ",")
        guard data.utf8.count < 4096 else { throw SystemError("mount overlay", target, Errno(E2BIG)) }
        _ = try retrying("mount overlay on", target) {
            data.withCString { mount(source, target, "overlay", 0, $0) }
        }
    }

    /// fsconfig(2) takes strings of up to 255 bytes, and overlay takes a
    /// backslash for an escape: such a path goes in by the name that a
    /// descriptor gives it.
    private func set(_ context: Int32, _ key: String, path: String) throws(SystemError) {
        if path.utf8.count < 256, !path.utf8.contains(UInt8(ascii: "\\")) {
            return try set(context, key, path)
        }
        let directory = try File.open(path, O_PATH | O_DIRECTORY)
        try set(context, key, "/proc/self/fd/\(directory.raw)")
    }

    private func set(_ context: Int32, _ key: String, _ value: String) throws(SystemError) {
        _ = try retrying("set \(key) of overlay", value) {
            fsconfig(context, FSCONFIG_SET_STRING.rawValue, key, value, 0)
        }
    }
}

/// Directories kept open for as long as their `/proc/self/fd` names are in use.
private struct DescriptorList: ~Copyable {
    private var numbers: [Int32] = []

    mutating func names(of paths: [String]) throws(SystemError) -> [String] {
        var names: [String] = []
        for path in paths {
            let number = try File.open(path, O_PATH | O_DIRECTORY).take()
            numbers.append(number)
            names.append("/proc/self/fd/\(number)")
        }
        return names
    }

    deinit { for number in numbers { _ = Glibc.close(number) } }
}

extension OverlayMount {
    /// Detaches whatever is mounted on a path, however often. No mount there is no error.
    public static func unmount(_ target: String) throws(SystemError) {
        // Bounded: one who mounts in a loop must not hold us for ever.
        for _ in 0..<64 {
            if umount2(target, Int32(MNT_DETACH) | Int32(UMOUNT_NOFOLLOW)) == 0 { continue }
            let errno = Errno.current
            switch errno {
            case .invalid, .noEntry: return
            case .interrupted: continue
            default: throw SystemError("unmount", target, errno)
            }
        }
    }

    /// Whether an overlay is mounted on a path: its directories have a device
    /// number of their own, other than that of the directory above.
    public static func isMounted(_ target: String) -> Bool {
        guard let own = try? File.status(target, followLinks: false),
            let above = try? File.status(target + "/..")
        else { return false }
        return own.st_dev != above.st_dev
    }
}
