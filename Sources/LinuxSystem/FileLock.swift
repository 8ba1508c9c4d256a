/// An flock(2) on a file of its own. The kernel frees it when its holder dies.
public struct FileLock: ~Copyable, Sendable {
    private let file: Descriptor

    /// Waits for the lock.
    public init(_ path: String, at directory: Int32 = File.currentDirectory, shared: Bool = false)
        throws(SystemError)
    {
        let file = try File.open(path, at: directory, O_RDWR | O_CREAT, mode: 0o600)
        let raw = file.raw
        _ = try retrying("lock", path) { flock(raw, shared ? LOCK_SH : LOCK_EX) }
        self.file = file
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
        let file = try File.open(path, at: directory, O_RDWR | O_CREAT, mode: 0o600)
        if flock(file.raw, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 { return FileLock(file: file) }
        let errno = Errno.current
        if errno.rawValue == EWOULDBLOCK { return nil }
        throw SystemError("lock", path, errno)
    }

    /// The number to hand the lock to a child with; it holds as long as any copy is open.
    public var raw: Int32 { file.raw }
}
