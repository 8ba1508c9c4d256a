import CSQLite
import LinuxSystem

/// An SQLite database that many processes and threads use at once.
///
/// It keeps a write-ahead log: readers never wait, writers wait for each other
/// in a queue of up to `busyTimeout`. One value serves all of a process's
/// threads, one at a time; transactions are short, and long work happens
/// outside them.
///
/// A closure may run more than once (when the disk was full, or the first
/// attempt met a log under recovery), so it changes nothing but the database
/// and its own results.
public final class Database: @unchecked Sendable {
    public let path: String
    private let connection: Connection
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>

    /// How long a writer waits for the others, in seconds.
    static let busyTimeout = 30.0

    /// Opens a database; the file is made when it is not there.
    public convenience init(path: String) throws(StorageError) {
        try self.init(path: path, isNew: false)
    }

    /// - Parameter isNew: nobody knows of it, and it will count once its maker has it written out.
    init(path: String, isNew: Bool) throws(StorageError) {
        var handle: OpaquePointer?
        // SQLite's own mutexes are off: ours covers every use of the connection.
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        let result = sqlite3_open_v2(path, &handle, flags, nil)
        guard result == SQLITE_OK, let handle else {
            let failure = Connection.failure(result, handle: handle, path: path)
            sqlite3_close_v2(handle)
            throw failure
        }
        self.path = path
        connection = Connection(handle: handle, path: path)
        mutex = .allocate(capacity: 1)
        var attributes = pthread_mutexattr_t()
        pthread_mutexattr_init(&attributes)
        // A transaction inside a transaction's closure is a mistake that must not hang.
        pthread_mutexattr_settype(&attributes, Int32(PTHREAD_MUTEX_ERRORCHECK))
        pthread_mutex_init(mutex, &attributes)
        pthread_mutexattr_destroy(&attributes)

        sqlite3_busy_handler(handle, { _, attempt in waitForOthers(attempt) }, nil)
        // A short log costs the next process little to read when it recovers
        // the log's index, which the first to open after all others ended does.
        sqlite3_wal_autocheckpoint(handle, 128)
        // NORMAL loses at most the last transactions at a power failure, never
        // the file's consistency; `write(durable:)` loses nothing.
        // Else the last to close would copy the log into the database and delete
        // it, at the cost of fsyncs, only for the next process to make it anew.
        sqlite_keep_log_on_close(handle)
        try connection.executeScript(
            isNew
                ? "PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY; PRAGMA foreign_keys=ON"
                : "PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON")
    }

    deinit {
        connection.close()
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// So many bytes in the file, and in the log, are there for the next changes, so that images can
    /// be removed when the disk is full.
    static let reserve = 256 << 10

    /// Takes the space in a new file, and has its changes go to a log from now on. What is in that is
    /// in the file too: it has a head, for which the first to write more would wait.
    func finishNew() throws(StorageError) {
        try locked { () throws(StorageError) in
            try connection.executeScript(
                """
                CREATE TABLE reserve(bytes); INSERT INTO reserve VALUES(zeroblob(\(Self.reserve)));
                DROP TABLE reserve; PRAGMA journal_mode=WAL; PRAGMA user_version=0
                """)
        }
    }

    /// Runs a closure on one consistent state of the database.
    public func read<Value>(
        _ body: (Connection) throws(StorageError) -> Value
    ) throws(StorageError) -> Value {
        try locked { () throws(StorageError) in
            try begin("BEGIN")
            defer { finish() }
            return try body(connection)
        }
    }

    /// Runs a closure's changes as one: all of them or, when it throws, none.
    /// - Parameter durable: the changes survive a power failure once this returns.
    public func write<Value>(
        durable: Bool = false, _ body: (Connection) throws(StorageError) -> Value
    ) throws(StorageError) -> Value {
        try locked { () throws(StorageError) in
            if durable { try connection.executeScript("PRAGMA synchronous=FULL") }
            defer { if durable { try? connection.executeScript("PRAGMA synchronous=NORMAL") } }
            do throws(StorageError) {
                return try attemptWrite(body)
            } catch  where (error.cause as? SQLiteFailure)?.code == SQLITE_FULL || error.code == .noSpace {
                // The log could not grow. Once it is copied into the database,
                // which deleting rows does not grow, it starts again from its
                // first page, in the space that it has.
                guard
                    sqlite3_wal_checkpoint_v2(
                        connection.handle, nil, SQLITE_CHECKPOINT_RESTART, nil, nil) == SQLITE_OK
                else { throw error }
                return try attemptWrite(body)
            }
        }
    }

    private func attemptWrite<Value>(
        _ body: (Connection) throws(StorageError) -> Value
    ) throws(StorageError) -> Value {
        try begin("BEGIN IMMEDIATE")
        do throws(StorageError) {
            let value = try body(connection)
            try connection.execute("COMMIT")
            connection.finalizeAbandoned()
            return value
        } catch {
            finish()
            throw error
        }
    }

    private func begin(_ sql: String) throws(StorageError) {
        let start = Now.seconds
        while true {
            do throws(StorageError) {
                try connection.execute(sql)
                // BEGIN alone takes no snapshot; taken here, every BUSY that a
                // recovering or restarting log can cause is met and retried here.
                if sql == "BEGIN" { _ = try connection.exists("SELECT 1 FROM sqlite_schema LIMIT 1") }
                return
            } catch  where error.code == .busy && Now.seconds - start < Self.busyTimeout {
                finish()
                usleep(2000)
            } catch {
                finish()
                throw error
            }
        }
    }

    private func finish() {
        if sqlite3_get_autocommit(connection.handle) == 0 { try? connection.executeScript("ROLLBACK") }
        connection.finalizeAbandoned()
    }

    private func locked<Value>(
        _ body: () throws(StorageError) -> Value
    ) throws(StorageError) -> Value {
        let error = pthread_mutex_lock(mutex)
        precondition(error == 0, "a transaction inside a transaction")
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    /// Brings one room's tables up to date.
    ///
    /// Each step takes the schema from the version that is its index to the
    /// next; steps are only ever added. A power failure may take them back, with all that was not
    /// durable: then they are made again.
    /// - Throws: `notAStore` when a newer version of the room wrote the tables.
    public func migrate(room: String, steps: [String]) throws(StorageError) {
        let known = try version(ofRoom: room)
        if known == steps.count { return }
        guard known < steps.count else { throw newer(room, known) }
        try write { connection throws(StorageError) in
            try connection.execute(
                "CREATE TABLE IF NOT EXISTS room(name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID"
            )
            // Another process may have been faster.
            let current =
                try connection.first("SELECT version FROM room WHERE name = ?", room) { $0.int(0) } ?? 0
            guard current <= steps.count else { throw newer(room, current) }
            for step in steps[current...] { try connection.executeScript(step) }
            try connection.execute(
                "INSERT INTO room VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET version = excluded.version",
                room, steps.count)
        }
    }

    func version(ofRoom room: String) throws(StorageError) -> Int {
        try read { connection throws(StorageError) in
            let known = try connection.exists("SELECT 1 FROM sqlite_schema WHERE name = 'room'")
            guard known else { return 0 }
            return try connection.first("SELECT version FROM room WHERE name = ?", room) { $0.int(0) } ?? 0
        }
    }

    private func newer(_ room: String, _ version: Int) -> StorageError {
        StorageError(
            .notAStore, "use the store's database", path,
            "its \(room) tables have version \(version), which a newer version of this program made")
    }
}

/// SQLite asks after each refusal. The waits are short at first, because a
/// transaction of ours takes well under a millisecond, and differ between
/// processes, so that they do not meet again.
private func waitForOthers(_ attempt: Int32) -> Int32 {
    // The sum of the waits stays above the time-out in seconds.
    let ceiling: UInt32 = attempt < 8 ? 500 : attempt < 40 ? 4_000 : 20_000
    if attempt > 2_600 { return 0 }
    usleep(ceiling / 2 + UInt32.random(in: 0...ceiling / 2))
    return 1
}

enum Now {
    /// Of the monotonic clock.
    static var seconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Nanoseconds since 1970.
    static var unixNanoseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
