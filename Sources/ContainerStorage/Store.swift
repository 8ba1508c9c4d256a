import JSONText
import LinuxSystem
import Synchronization

/// Images, their layers, and the file systems of containers, in one directory
/// that any number of processes use at once.
///
/// Small facts are in the database and change in transactions. Large things
/// are files: made in `ingest/`, published by a rename when they are whole,
/// unmade by a rename into `trash/`. A process that is killed leaves only what
/// `sweep()` recognises.
///
/// A pull, seen from here:
///
///     let lease = try store.lease()                       // nothing of mine is garbage for now
///     try store.ingestBlob(config…)
///     try store.ingestLayer(blob: …, diffID: …, from: download)   // in any order, in parallel
///     try store.putImage(manifest: bytes, names: ["docker.io/library/nginx:latest"])
///     lease.end()
public final class Store: Sendable {
    /// Absolute, without symbolic links.
    public let root: String
    /// For what ends with the boot.
    public let runRoot: String
    /// The rooms above keep their tables here too (`Database.migrate`).
    public let database: Database
    /// How new containers get their file system (`SnapshotterName`).
    public let driver: String
    /// Has another process do `finishRemovals`, of what takes long; nil to do it here and now.
    let leaveRemovals: (@Sendable () -> Void)?

    let directory: Descriptor
    let writeback: Writeback
    let activeLease = Mutex(WeakLease())

    struct WeakLease: Sendable { weak var lease: SharedLease? }

    /// Opens the store in a directory, and makes it when there is none.
    /// - Parameters:
    ///   - driver: a `SnapshotterName`; nil for the one the store was made with.
    ///   - leaveRemovals: has another process do `finishRemovals`; nil to have
    ///     each operation remove what it takes away.
    /// - Throws: `notAStore` when the directory holds something else;
    ///   `unsupported` for a driver that does not work there.
    public static func open(
        root: String, runRoot: String, driver: String? = nil, leaveRemovals: (@Sendable () -> Void)? = nil
    ) throws(StorageError) -> Store {
        let wanted = driver.flatMap(SnapshotterName.init)
        guard driver == nil || wanted != nil else {
            throw StorageError(.unsupported, "open the store", root, "there is no storage driver \(driver!)")
        }
        if let store = try openExisting(root, runRoot, wanted, leaveRemovals) { return store }
        try make(root, wanted)
        guard let store = try openExisting(root, runRoot, wanted, leaveRemovals) else {
            throw StorageError(.notAStore, "open the store", root, "it was removed while it was made")
        }
        return store
    }

    private init(
        root: String, runRoot: String, directory: consuming Descriptor, database: Database, driver: String,
        leaveRemovals: (@Sendable () -> Void)?
    ) {
        self.leaveRemovals = leaveRemovals
        self.root = root
        self.runRoot = runRoot
        self.directory = directory
        self.database = database
        self.driver = driver
        writeback = Writeback(root)
    }

    /// - Returns: nil when there is no store, an unfinished one, or one of an older version.
    private static func openExisting(
        _ path: String, _ runRoot: String, _ driver: SnapshotterName?,
        _ leaveRemovals: (@Sendable () -> Void)?
    ) throws(StorageError) -> Store? {
        guard let directory = try openDirectory(path) else { return nil }
        let root = try absolutePath(directory, path)
        // SQLite's bound for a path is 512, with the names of its own at the end.
        guard root.utf8.count <= 480 else {
            throw StorageError(.unsupported, "open the store", path, "its path has more than 480 bytes")
        }
        guard File.exists(StoreLayout.database, at: directory.raw) else { return nil }
        let database = try Database(path: root + "/" + StoreLayout.database)
        guard try database.version(ofRoom: StorageSchema.room) >= StorageSchema.steps.count else {
            return nil
        }
        try database.migrate(room: StorageSchema.room, steps: StorageSchema.steps)
        let made = try database.read { connection throws(StorageError) in
            try connection.first("SELECT value FROM setting WHERE name = 'driver'") { $0.text(0) }
        }
        guard let made else { return nil }
        if let driver { try prepare(driver, root, directory.raw) }
        return Store(
            root: root, runRoot: runRoot, directory: directory, database: database,
            driver: driver?.rawValue ?? made, leaveRemovals: leaveRemovals)
    }

    /// Makes a driver's directories when it is first asked for, if it works here.
    static func prepare(_ driver: SnapshotterName, _ root: String, _ directory: Int32) throws(StorageError) {
        if File.exists("\(driver.rawValue)/snapshots", at: directory) { return }
        do throws(SystemError) {
            // What is in `ingest/` is swept while nobody holds it.
            let lock = try FileLock("locks/content", at: directory, shared: true)
            defer { _ = lock.raw }
            try DriverChoice.probe(driver, root)
        } catch {
            throw StorageError(
                .unsupported, "use the storage driver", driver.rawValue,
                "it does not work in \(root) (\(error))",
                cause: error)
        }
        try storing("make the directories of", driver.rawValue) { () throws(SystemError) in
            for name in StoreLayout.directories(of: driver) { try makeDirectory(name, directory) }
        }
    }

    private static func openDirectory(_ path: String) throws(StorageError) -> Descriptor? {
        do throws(SystemError) {
            return try File.open(path, O_RDONLY | O_DIRECTORY)
        } catch  where error.errno == .noEntry {
            return nil
        } catch  where error.errno == .notDirectory {
            throw StorageError(.notAStore, "open the store", path, "it is not a directory")
        } catch {
            throw StorageError("open the store", path, error)
        }
    }

    private static func absolutePath(
        _ directory: borrowing Descriptor, _ path: String
    ) throws(StorageError) -> String {
        let raw = directory.raw
        return try storing("open the store", path) { () throws(SystemError) in
            try File.readLink("/proc/self/fd/\(raw)")
        }
    }

    private static func make(_ path: String, _ driver: SnapshotterName?) throws(StorageError) {
        let operation = "make the store"
        try storing(operation, path) { () throws(SystemError) in try File.makeDirectories(path, mode: 0o700) }
        let directory = try storing(operation, path) { () throws(SystemError) in
            try File.open(path, O_RDONLY | O_DIRECTORY)
        }
        let at = directory.raw
        if !File.exists(StoreLayout.database, at: at) {
            let names = try storing(operation, path) { () throws(SystemError) in
                try File.names(inDirectory: at)
            }
            if let objection = StoreLayout.objection(to: names) {
                throw StorageError(.notAStore, operation, path, objection)
            }
        }
        let lock = try storing(operation, path) { () throws(SystemError) in
            try makeDirectory("locks", at)
            return try FileLock("locks/store", at: at)
        }
        try storing(operation, path) { () throws(SystemError) in
            for name in StoreLayout.directories { try makeDirectory(name, at) }
            let layout: JSON = ["imageLayoutVersion": "1.0.0"]
            try File.replace("oci-layout", at: at, with: layout.bytes(), durable: false)
            if !File.exists("index.json", at: at) {
                try File.replace("index.json", at: at, with: LayoutIndex.empty, durable: false)
            }
        }
        let root = try absolutePath(directory, path)
        let database = try Database(path: root + "/" + StoreLayout.database)
        try database.prepareFile()
        try database.migrate(room: StorageSchema.room, steps: StorageSchema.steps)
        try database.reserveSpace()
        if let driver { try prepare(driver, root, at) }
        let choice =
            driver.map { DriverChoice(driver: $0, reason: "it was asked for") } ?? DriverChoice.probe(root)
        try database.write(durable: true) { connection throws(StorageError) in
            let insert = "INSERT INTO setting VALUES(?, ?) ON CONFLICT(name) DO NOTHING"
            try connection.execute(insert, "driver_reason", choice.reason)
            // Last, because it is what `openExisting` looks for.
            try connection.execute(insert, "driver", choice.driver.rawValue)
        }
        _ = consume lock
    }

    private static func makeDirectory(_ name: String, _ at: Int32) throws(SystemError) {
        do throws(SystemError) {
            try File.makeDirectory(name, at: at, exactly: 0o711)
        } catch  where error.errno == .exists {}
    }

    /// Why the store was made with its driver.
    public func driverReason() throws(StorageError) -> String {
        try database.read { connection throws(StorageError) in
            try connection.first("SELECT value FROM setting WHERE name = 'driver_reason'") { $0.text(0) }
                ?? ""
        }
    }

    /// The names in a directory of the store; none in one that is not there.
    func names(in path: String) throws(StorageError) -> [String] {
        try storing("list", path) { () throws(SystemError) in
            do throws(SystemError) {
                return try File.names(in: path, at: directory.raw)
            } catch  where error.errno == .noEntry {
                return []
            }
        }
    }

    /// Removes what was left by one who was killed while he replaced a file of the store's own; the
    /// caller holds the lock under which that is done.
    func removeTemporaries(of file: String) throws(StorageError) {
        for name in try names(in: ".") where name.hasPrefix(file + ".") && name.hasSuffix(".tmp") {
            try? File.unlink(name, at: directory.raw)
        }
    }

    /// Writes out what is still only in memory of the store's file system.
    func syncFileSystem() throws(StorageError) {
        try storing("write out", root) { () throws(SystemError) in try Writeback.write(root) }
    }
}
