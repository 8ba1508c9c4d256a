/// An flock(2) on a file of its own. The kernel frees it when its holder dies.
///
/// A holder may unlink the file: only a lock on the file that has the name counts, and who waited
/// on another goes on to that one.
public struct FileLock: ~Copyable, Sendable {
    private let file: Descriptor

    /// Waits for the lock.
    public init(_ path: String, at directory: Int32 = File.currentDirectory, shared: Bool = false)
        throws(SystemError)
    {
        while true {
            let file = try File.open(path, at: directory, O_RDWR | O_CREAT, mode: 0o600)
            let raw = file.raw
            _ = try retrying("lock", path) { flock(raw, shared ? LOCK_SH : LOCK_EX) }
            if Self.isCurrent(file, path, directory) {
                self.file = file
                return
            }
        }
    }

    /// Waits for the lock of a directory, which needs no further file in it.
    public init(directory path: String, shared: Bool = false) throws(SystemError) {
        let file = try File.open(path, O_RDONLY | O_DIRECTORY)
        let raw = file.raw
        _ = try retrying("lock", path) { flock(raw, shared ? LOCK_SH : LOCK_EX) }
        self.file = file
    }

    /// The lock of a directory, or nil when another holds it.
    public static func attempt(directory path: String) throws(SystemError) -> FileLock? {
        let file = try File.open(path, O_RDONLY | O_DIRECTORY)
        if flock(file.raw, LOCK_EX | LOCK_NB) == 0 { return FileLock(file: file) }
        let errno = Errno.current
        if errno.rawValue == EWOULDBLOCK { return nil }
        throw SystemError("lock", path, errno)
    }

    private init(file: consuming Descriptor) { self.file = file }

    /// The lock, or nil when another holds it.
    public static func attempt(
        _ path: String, at directory: Int32 = File.currentDirectory, shared: Bool = false
    ) throws(SystemError) -> FileLock? {
        while true {
            let file = try File.open(path, at: directory, O_RDWR | O_CREAT, mode: 0o600)
            if flock(file.raw, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 {
                if isCurrent(file, path, directory) { return FileLock(file: file) }
                continue
            }
            let errno = Errno.current
            if errno.rawValue == EWOULDBLOCK { return nil }
            throw SystemError("lock", path, errno)
        }
    }

    private static func isCurrent(_ file: borrowing Descriptor, _ path: String, _ directory: Int32) -> Bool {
        guard let own = try? FD.stat(file.raw), let named = try? File.status(path, at: directory) else {
            return false
        }
        return own.st_ino == named.st_ino && own.st_dev == named.st_dev
    }

    /// The number to hand the lock to a child with; it holds as long as any copy is open.
    public var raw: Int32 { file.raw }
}
