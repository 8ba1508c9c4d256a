/// A moment, as the kernel counts: seconds since 1970 and nanoseconds in the second.
public struct Timestamp: Hashable, Comparable, Sendable {
    public var seconds: Int64
    /// 0 to 999,999,999, also before 1970.
    public var nanoseconds: Int32

    public init(seconds: Int64, nanoseconds: Int32 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    public init(_ time: timespec) {
        seconds = Int64(time.tv_sec)
        nanoseconds = Int32(truncatingIfNeeded: time.tv_nsec)
    }

    public var timespec: timespec { Glibc.timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds)) }

    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }
}

/// Owner, mode and times, by descriptor or by a directory's descriptor and a
/// name in it. Names are C strings, since a file's name need not be UTF-8.
public enum FileMetadata {
    public static func setOwner(_ fd: Int32, _ user: uid_t, _ group: gid_t) throws(SystemError) {
        _ = try retrying("change owner", "descriptor \(fd)") { fchown(fd, user, group) }
    }

    /// Does not follow a symbolic link.
    public static func setOwner(
        of name: UnsafePointer<CChar>, at directory: Int32, _ user: uid_t, _ group: gid_t
    ) throws(SystemError) {
        _ = try retrying("change owner", String(cString: name)) {
            fchownat(directory, name, user, group, AT_SYMLINK_NOFOLLOW)
        }
    }

    public static func setMode(_ fd: Int32, _ mode: mode_t) throws(SystemError) {
        _ = try retrying("change mode", "descriptor \(fd)") { fchmod(fd, mode) }
    }

    /// Does not follow a symbolic link, which has no mode.
    /// - Throws: EOPNOTSUPP for one.
    public static func setMode(
        of name: UnsafePointer<CChar>, at directory: Int32, _ mode: mode_t
    ) throws(SystemError) {
        _ = try retrying("change mode", String(cString: name)) {
            fchmodat(directory, name, mode, AT_SYMLINK_NOFOLLOW)
        }
    }

    public static func setTimes(
        _ fd: Int32, accessed: Timestamp, modified: Timestamp
    ) throws(SystemError) {
        var times = (accessed.timespec, modified.timespec)
        _ = try retrying("change times", "descriptor \(fd)") {
            withUnsafePointer(to: &times) {
                $0.withMemoryRebound(to: timespec.self, capacity: 2) { futimens(fd, $0) }
            }
        }
    }

    /// Does not follow a symbolic link.
    public static func setTimes(
        of name: UnsafePointer<CChar>, at directory: Int32, accessed: Timestamp, modified: Timestamp
    ) throws(SystemError) {
        var times = (accessed.timespec, modified.timespec)
        _ = try retrying("change times", String(cString: name)) {
            withUnsafePointer(to: &times) {
                $0.withMemoryRebound(to: timespec.self, capacity: 2) {
                    utimensat(directory, name, $0, AT_SYMLINK_NOFOLLOW)
                }
            }
        }
    }

    /// The mode bits that this process's umask(2) takes from new files. It is
    /// read from /proc, since asking the call itself changes it for a moment,
    /// and for all threads.
    public static func umask() -> mode_t {
        // Everything, when unknown: then every mode is set explicitly.
        guard let status = try? File.readText("/proc/self/status"),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("Umask:") }),
            let mask = mode_t(line.dropFirst(6).drop { $0 == "\t" || $0 == " " }, radix: 8)
        else { return 0o777 }
        return mask
    }
}
