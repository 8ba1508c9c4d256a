import LinuxSystem

/// The right to make, change or unmake one object, held across processes and
/// threads. It ends with its holder, however that ends; its file goes with it.
struct ObjectLock: ~Copyable {
    private let lock: FileLock
    private let directory: Int32
    private let path: String

    /// Waits for the lock.
    /// - Parameter root: the store's directory, open as long as the lock lives.
    init(_ name: String, in root: Int32) throws(StorageError) {
        let path = "locks/\(name)"
        lock = try storing("lock", name) { () throws(SystemError) in try FileLock(path, at: root) }
        directory = root
        self.path = path
    }

    private init(_ lock: consuming FileLock, _ directory: Int32, _ path: String) {
        self.lock = lock
        self.directory = directory
        self.path = path
    }

    /// The lock, or nil when another holds it.
    static func attempt(_ name: String, in root: Int32) throws(StorageError) -> ObjectLock? {
        let path = "locks/\(name)"
        let lock = try storing("lock", name) { () throws(SystemError) in
            try FileLock.attempt(path, at: root)
        }
        guard let lock else { return nil }
        return ObjectLock(lock, root, path)
    }

    /// Does nothing, at the place up to which the lock has to be held.
    borrowing func keep() {}

    deinit { try? File.unlink(path, at: directory) }
}
