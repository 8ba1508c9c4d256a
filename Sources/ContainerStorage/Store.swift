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
    /// Has another process do `finishWork`; nil to do all here and now.
    let leaveWork: (@Sendable () -> Void)?

    let directory: Descriptor
    private let givenSession: DiskSession?
    private let foundSession = Mutex<DiskSession?>(nil)
    let activeLease = Mutex(WeakLease())

    struct WeakLease: Sendable { weak var lease: SharedLease? }

    /// Opens the store in a directory, and makes it when there is none.
    /// - Parameters:
    ///   - driver: a `SnapshotterName`; nil for the one the store was made with.
    ///   - leaveWork: has another process do `finishWork`; nil to have each operation remove what it
    ///     takes away, and write out what it adds.
    /// - Throws: `notAStore` when the directory holds something else;
    ///   `unsupported` for a driver that does not work there.
    public static func open(
        root: String, runRoot: String, driver: String? = nil, leaveWork: (@Sendable () -> Void)? = nil
    ) throws(StorageError) -> Store {
        try open(
            root: root, runRoot: runRoot, driver: driver, leaveWork: leaveWork, session: nil, mayMake: true)
    }

    /// - Parameters:
    ///   - session: nil for that of the disk.
    ///   - mayMake: makes a store where there is none.
    /// - Throws: `notFound` where there is none and it may not make one.
    package static func open(
        root: String, runRoot: String, driver: String? = nil, leaveWork: (@Sendable () -> Void)? = nil,
        session: DiskSession?, mayMake: Bool
    ) throws(StorageError) -> Store {
        let wanted = driver.flatMap(SnapshotterName.init)
        guard driver == nil || wanted != nil else {
            throw StorageError(.unsupported, "open the store", root, "there is no storage driver \(driver!)")
        }
        if let store = try openExisting(root, runRoot, wanted, leaveWork, session) { return store }
        guard mayMake || File.exists("\(root)/\(StoreLayout.database)") else {
            throw StorageError(.notFound, "open the store", root, "there is none")
        }
        try make(root, wanted)
        guard let store = try openExisting(root, runRoot, wanted, leaveWork, session) else {
            throw StorageError(.notAStore, "open the store", root, "it was removed while it was made")
        }
        return store
    }

    private init(
        root: String, runRoot: String, directory: consuming Descriptor, database: Database, driver: String,
        leaveWork: (@Sendable () -> Void)?, session: DiskSession?
    ) {
        self.leaveWork = leaveWork
        givenSession = session
        self.root = root
        self.runRoot = runRoot
        self.directory = directory
        self.database = database
        self.driver = driver
    }

    /// - Returns: nil when there is no store, an unfinished one, or one of an older version.
    private static func openExisting(
        _ path: String, _ runRoot: String, _ driver: SnapshotterName?,
        _ leaveWork: (@Sendable () -> Void)?, _ session: DiskSession?
    ) throws(StorageError) -> Store? {
        guard let directory = try openDirectory(path) else { return nil }
        let root = try absolutePath(directory, path)
        // SQLite's bound for a path is 512, with the names of its own at the end.
        guard root.utf8.count <= 480 else {
            throw StorageError(.unsupported, "open the store", path, "its path has more than 480 bytes")
        }
        guard File.exists(StoreLayout.database, at: directory.raw) else { return nil }
        try closeToOthers(directory, path)
        let database = try Database(path: root + "/" + StoreLayout.database)
        guard try database.version(ofRoom: StorageSchema.room) >= StorageSchema.steps.count else {
            return nil
        }
        try database.migrate(room: StorageSchema.room, steps: StorageSchema.steps)
        let found = try database.read { connection throws(StorageError) in
            try connection.first(
                "SELECT value, EXISTS(SELECT 1 FROM unwritten) FROM setting WHERE name = 'driver'"
            ) { (driver: $0.text(0), isUnwritten: $0.bool(1)) }
        }
        guard let found else { return nil }
        if let driver { try prepare(driver, root, directory.raw) }
        let store = Store(
            root: root, runRoot: runRoot, directory: directory, database: database,
            driver: driver?.rawValue ?? found.driver, leaveWork: leaveWork, session: session)
        if found.isUnwritten { try store.meetUnwritten() }
        return store
    }

    /// Images have files that give their owner's rights to whoever runs them, and containers have
    /// secrets: the directory may have been there, open to all, before the store was.
    private static func closeToOthers(
        _ directory: borrowing Descriptor, _ path: String
    ) throws(StorageError) {
        let raw = directory.raw
        try storing("close to others the store", path) { () throws(SystemError) in
            if try FD.stat(raw).st_mode & 0o077 != 0 { try FileMetadata.setMode(raw, 0o700) }
        }
    }

    /// The same store for another driver; it leaves no work.
    func opened(with driver: SnapshotterName) throws(StorageError) -> Store {
        try Store.open(
            root: root, runRoot: runRoot, driver: driver.rawValue, session: givenSession, mayMake: false)
    }

    func session() throws(StorageError) -> DiskSession {
        if let known = givenSession ?? foundSession.withLock({ $0 }) { return known }
        let found = try storing("tell the session of the disk of", root) { () throws(SystemError) in
            try DiskSession(of: directory.raw)
        }
        foundSession.withLock { $0 = found }
        return found
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
        if try isOfOlderVersion(root, at) {
            try Database(path: "\(root)/\(StoreLayout.database)").migrate(
                room: StorageSchema.room, steps: StorageSchema.steps)
        } else {
            if let driver { try prepare(driver, root, at) }
            let choice =
                driver.map { DriverChoice(driver: $0, reason: "it was asked for") }
                ?? DriverChoice.probe(root)
            try makeDatabase(choice, root, at)
        }
        _ = consume lock
    }

    /// Whether the database is one that counts: it was somebody's store.
    private static func isOfOlderVersion(_ root: String, _ at: Int32) throws(StorageError) -> Bool {
        guard File.exists(StoreLayout.database, at: at) else { return false }
        return try Database(path: "\(root)/\(StoreLayout.database)").version(ofRoom: StorageSchema.room) > 0
    }

    /// Makes it under another name, so that it is there whole or not at all.
    private static func makeDatabase(_ choice: DriverChoice, _ root: String, _ at: Int32) throws(StorageError)
    {
        let path = "\(root)/\(StoreLayout.newDatabase)"
        for name in [StoreLayout.newDatabase, StoreLayout.database] {
            for suffix in ["", "-wal", "-shm", "-journal"] { try? File.unlink(name + suffix, at: at) }
        }
        try fill(path, choice)
        try storing("make the store", root) { () throws(SystemError) in
            let log = try File.open(StoreLayout.newDatabase + "-wal", at: at, O_WRONLY | O_APPEND)
            try FD.writeAll(log.raw, [UInt8](repeating: 0, count: Database.reserve))
            try File.rename(StoreLayout.newDatabase + "-wal", to: StoreLayout.database + "-wal", at: at)
            try? File.unlink(StoreLayout.newDatabase + "-shm", at: at)
            let file = try File.open(StoreLayout.newDatabase, at: at, O_RDWR)
            try FD.syncData(file.raw)
            try File.rename(StoreLayout.newDatabase, to: StoreLayout.database, at: at)
            try FD.sync(at)
        }
    }

    private static func fill(_ path: String, _ choice: DriverChoice) throws(StorageError) {
        let database = try Database(path: path, isNew: true)
        try database.migrate(room: StorageSchema.room, steps: StorageSchema.steps)
        try database.write { connection throws(StorageError) in
            let insert = "INSERT INTO setting VALUES(?, ?)"
            try connection.execute(insert, "driver_reason", choice.reason)
            try connection.execute(insert, "driver", choice.driver.rawValue)
        }
        try database.finishNew()
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

    /// Writes out what is still only in memory of the store's file system (syncfs(2)).
    func syncFileSystem() throws(StorageError) {
        try storing("write out", root) { () throws(SystemError) in try FD.syncFileSystem(directory.raw) }
    }
}
