import LinuxSystem

/// The right to make, change or unmake one object, held across processes and
/// threads. It ends with its holder, however that ends; its file goes with it.
struct ObjectLock: ~Copyable {
    private let file: Descriptor
    private let directory: Int32
    private let path: String

    /// Waits for the lock.
    /// - Parameter root: the store's directory, open as long as the lock lives.
    init(_ name: String, in root: Int32) throws(StorageError) {
        let path = "locks/\(name)"
        while true {
            let file = try storing("lock", name) { () throws(SystemError) in
                let file = try File.open(path, at: root, O_RDWR | O_CREAT, mode: 0o600)
                _ = try retrying("lock", path) { flock(file.raw, LOCK_EX) }
                return file
            }
            if Self.isCurrent(file, path, root) {
                self.file = file
                directory = root
                self.path = path
                return
            }
        }
    }

    private init(file: consuming Descriptor, directory: Int32, path: String) {
        self.file = file
        self.directory = directory
        self.path = path
    }

    /// The lock, or nil when another holds it.
    static func attempt(_ name: String, in root: Int32) throws(StorageError) -> ObjectLock? {
        let path = "locks/\(name)"
        let file = try storing("lock", name) { () throws(SystemError) in
            try File.open(path, at: root, O_RDWR | O_CREAT, mode: 0o600)
        }
        guard flock(file.raw, LOCK_EX | LOCK_NB) == 0, isCurrent(file, path, root) else { return nil }
        return ObjectLock(file: file, directory: root, path: path)
    }

    /// The holder before us unlinked the file that we waited on: a later comer
    /// would lock another. Only a lock on the file that has the name counts.
    private static func isCurrent(_ file: borrowing Descriptor, _ path: String, _ root: Int32) -> Bool {
        guard let own = try? FD.stat(file.raw), let named = try? File.status(path, at: root) else {
            return false
        }
        return own.st_ino == named.st_ino && own.st_dev == named.st_dev
    }

    /// Does nothing, at the place up to which the lock has to be held.
    borrowing func keep() {}

    deinit { try? File.unlink(path, at: directory) }
}
