import ContainerStorage
import LinuxSystem
import Testing

@Suite struct DatabaseTests {
    private let scratch: Scratch
    private let path: String

    init() throws {
        scratch = try Scratch()
        path = try scratch.open().database.path
    }

    private func counter() throws -> Database {
        let database = try Database(path: path)
        try database.migrate(room: "test", steps: ["CREATE TABLE counter(value INTEGER)"])
        return database
    }

    @Test func valuesComeBack() throws {
        let database = try Database(path: path)
        try database.migrate(room: "test", steps: ["CREATE TABLE item(a, b, c, d, e)"])
        try database.write { connection throws(StorageError) in
            try connection.execute(
                "INSERT INTO item VALUES(?, ?, ?, ?, ?)", "é\0x", Int64.min, 1.5, SQLValue.blob([0, 255]),
                String?.none)
            try connection.execute(
                "INSERT INTO item VALUES(?, ?, ?, ?, ?)", "", 0, true, SQLValue.blob([]), SQLValue.null)
        }
        let rows = try database.read { connection throws(StorageError) in
            try connection.rows("SELECT * FROM item") {
                (
                    $0.text(0), $0.integer(1), $0.double(2), $0.blob(3), $0.optionalText(4), $0.isNull(0),
                    $0.isNull(3)
                )
            }
        }
        #expect(rows[0].0 == "é\0x" && rows[0].1 == .min && rows[0].2 == 1.5 && rows[0].3 == [0, 255])
        #expect(rows[0].4 == nil)
        #expect(rows[1].0 == "" && !rows[1].5 && !rows[1].6)
    }

    @Test func failureTakesAllBack() throws {
        let database = try counter()
        #expect(throws: StorageError.self) {
            try database.write { connection throws(StorageError) in
                try connection.execute("INSERT INTO counter VALUES(1)")
                try connection.execute("INSERT INTO nothing VALUES(1)")
            }
        }
        let count = try database.read { connection throws(StorageError) in
            try connection.first("SELECT count(*) FROM counter") { $0.int(0) }
        }
        #expect(count == 0)
    }

    @Test func migratesStepByStep() throws {
        let database = try counter()
        try database.migrate(
            room: "test", steps: ["CREATE TABLE counter(value INTEGER)", "CREATE TABLE more(a)"])
        try database.migrate(
            room: "test", steps: ["CREATE TABLE counter(value INTEGER)", "CREATE TABLE more(a)"])
        let error = #expect(throws: StorageError.self) {
            try database.migrate(room: "test", steps: ["CREATE TABLE counter(value INTEGER)"])
        }
        #expect(error?.code == .notAStore)
    }

    @Test func aFailedStepLeavesNothing() throws {
        let database = try Database(path: path)
        #expect(throws: StorageError.self) {
            try database.migrate(room: "test", steps: ["CREATE TABLE a(x)", "CREATE TABLE a(x)"])
        }
        try database.migrate(room: "test", steps: ["CREATE TABLE a(x)"])
    }

    /// Connections of their own are to SQLite what processes are.
    @Test func manyWritersAllSucceed() throws {
        let scratch = try Scratch()
        let store = try scratch.open()
        try store.database.migrate(room: "test", steps: ["CREATE TABLE counter(value INTEGER)"])
        try store.database.write { connection throws(StorageError) in
            _ = try connection.execute("INSERT INTO counter VALUES(0)")
        }
        let path = store.database.path
        try Threads.parallel(limit: 32, Array(0..<32)) { _ in
            let database = try Database(path: path)
            for _ in 0..<25 {
                try database.write { connection throws(StorageError) in
                    // A read before the write is what a deferred transaction would fail at.
                    let value = try connection.first("SELECT value FROM counter") { $0.int(0) }!
                    try connection.execute("UPDATE counter SET value = ?", value + 1)
                }
            }
        }
        let value = try store.database.read { connection throws(StorageError) in
            try connection.first("SELECT value FROM counter") { $0.int(0) }
        }
        #expect(value == 800)
    }

    @Test func manyProcessesAllSucceed() async throws {
        let scratch = try Scratch()
        let root = scratch.root
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<16 {
                group.addTask {
                    await #expect(processExitsWith: .success) {
                        [root = root as String, number = number as Int] in
                        // Each may be the one that makes the store.
                        let store = try Store.open(root: root, runRoot: root + ".run")
                        for turn in 0..<20 { try store.createVolume("v\(number)-\(turn)") }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try scratch.open().volumes().count == 320)
    }

    @Test func aTransactionInsideATransactionStops() async throws {
        await #expect(processExitsWith: .failure) {
            // It stops the process, which could not remove a file.
            let database = try Database(path: ":memory:")
            try database.read { _ throws(StorageError) in
                try database.read { _ throws(StorageError) in () }
            }
        }
    }

    @Test func noDatabaseIsSaidSo() throws {
        let path = scratch.path + "/other.db"
        try File.replace(path, with: Array("this is no database, but it is long enough to look at".utf8))
        let error = #expect(throws: StorageError.self) {
            try Database(path: path).migrate(room: "x", steps: ["x"])
        }
        #expect(error?.code == .damaged)
    }

    @Test func readersSeeOneState() throws {
        let database = try counter()
        let other = try Database(path: path)
        try database.read { connection throws(StorageError) in
            try other.write { connection throws(StorageError) in
                _ = try connection.execute("INSERT INTO counter VALUES(1)")
            }
            #expect(try connection.first("SELECT count(*) FROM counter") { $0.int(0) } == 0)
        }
    }
}
