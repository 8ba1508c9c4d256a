/// Where mounts are put together on kernels whose calls know no detached ones, or cannot change
/// them (mount_setattr(2), Linux 5.12).
///
/// It is a tmpfs in the caller's mount namespace, covered by what is mounted over it, so that only
/// its descriptor leads there. Every mount is made on a place of its own in it by mount(2), and
/// moved from there: so a descriptor means the same mount throughout, as with the newer calls.
public final class MountStage {
    private let root: Descriptor
    private var count = 0

    public var raw: Int32 { root.raw }

    /// Whether this kernel needs one.
    public static let isNeeded = {
        // Without a size it says EINVAL before it looks at anything else.
        let result = "".withCString {
            linux_syscall(Int(SYS_mount_setattr), -1, Int(bitPattern: $0), 0, 0, 0, 0)
        }
        return result != Int(-EINVAL)
    }()

    /// Mounts one on a directory.
    /// - Parameter directory: open on the same.
    public init(on path: String, _ directory: Int32) throws(SystemError) {
        let place = "/proc/self/fd/\(directory)"
        let flags = UInt(MS_NOSUID | MS_NODEV | MS_NOEXEC)
        _ = try retrying("mount tmpfs on", path) { mount("tmpfs", place, "tmpfs", flags, "mode=777") }
        let opened = try File.open(path, O_PATH | O_DIRECTORY)
        guard try Mount.fileSystemType(of: opened.raw) == Self.tmpfsMagic,
            try MountIdentity(opened.raw) != MountIdentity(directory)
        else { throw SystemError("verify the mount on", path, .crossDevice) }
        // Not to be found in recursive copies of what is below.
        let unbindable = "/proc/self/fd/\(opened.raw)"
        _ = try retrying("set propagation", path) { mount(nil, unbindable, nil, UInt(MS_UNBINDABLE), nil) }
        root = opened
    }

    /// One that another process has made in the caller's mount namespace.
    public init(inheriting root: consuming Descriptor) { self.root = root }

    private static let tmpfsMagic = 0x0102_1994

    /// Mounts on a new place.
    /// - Returns: the root of what was mounted.
    func mounting(
        directory: Bool, _ body: (_ place: String) throws(SystemError) -> Void
    ) throws(SystemError) -> Descriptor {
        let name = try makePlace(directory: directory)
        do throws(SystemError) {
            let place = try File.open(name, at: root.raw, O_PATH | O_NOFOLLOW)
            try body("/proc/self/fd/\(place.raw)")
            return try File.open(name, at: root.raw, O_PATH | O_NOFOLLOW)
        } catch {
            unlinkat(root.raw, name, directory ? AT_REMOVEDIR : 0)
            throw error
        }
    }

    private func makePlace(directory: Bool) throws(SystemError) -> String {
        while true {
            count += 1
            do throws(SystemError) {
                if directory {
                    try File.makeDirectory("\(count)", at: root.raw, mode: 0o700)
                } else {
                    _ = try File.open(
                        "\(count)", at: root.raw, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDONLY, mode: 0o600)
                }
                return "\(count)"
            } catch  where error.errno == .exists {}
        }
    }
}

extension MountIdentity {
    fileprivate init(_ fd: Int32) throws(SystemError) {
        do throws(Errno) {
            try self.init(of: fd)
        } catch {
            throw SystemError("stat", "descriptor \(fd)", error)
        }
    }
}
