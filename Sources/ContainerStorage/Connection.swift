import CSQLite
import LinuxSystem

/// One transaction's view of the database. It is handed to the closures of
/// `Database.read` and `Database.write` and is of no use after them.
public final class Connection {
    let handle: OpaquePointer
    private let path: String
    private var statements: [String: OpaquePointer] = [:]

    init(handle: OpaquePointer, path: String) {
        self.handle = handle
        self.path = path
    }

    func close() {
        for statement in statements.values { sqlite3_finalize(statement) }
        statements = [:]
        sqlite3_close_v2(handle)
    }

    /// Runs a statement that answers nothing.
    /// - Returns: how many rows it changed.
    @discardableResult
    public func execute(_ sql: String, _ values: any SQLBindable...) throws(StorageError) -> Int {
        try execute(sql, values)
    }

    @discardableResult
    public func execute(_ sql: String, _ values: [any SQLBindable]) throws(StorageError) -> Int {
        let statement = try bound(sql, values)
        defer { sqlite3_reset(statement) }
        while try step(statement) {}
        return Int(sqlite3_changes(handle))
    }

    /// All rows of a query.
    public func rows<Value>(
        _ sql: String, _ values: any SQLBindable..., read: (Row) throws(StorageError) -> Value
    ) throws(StorageError) -> [Value] {
        let statement = try bound(sql, values)
        defer { sqlite3_reset(statement) }
        var result: [Value] = []
        while try step(statement) { result.append(try read(Row(statement: statement))) }
        return result
    }

    /// The first row of a query; nil when there is none.
    public func first<Value>(
        _ sql: String, _ values: any SQLBindable..., read: (Row) throws(StorageError) -> Value
    ) throws(StorageError) -> Value? {
        let statement = try bound(sql, values)
        defer { sqlite3_reset(statement) }
        return try step(statement) ? try read(Row(statement: statement)) : nil
    }

    /// Whether a query has any row.
    public func exists(_ sql: String, _ values: any SQLBindable...) throws(StorageError) -> Bool {
        let statement = try bound(sql, values)
        defer { sqlite3_reset(statement) }
        return try step(statement)
    }

    /// Runs statements without values one after another: a schema.
    public func executeScript(_ sql: String) throws(StorageError) {
        let result = sqlite3_exec(handle, sql, nil, nil, nil)
        if result != SQLITE_OK { throw failure(result) }
    }

    private func bound(_ sql: String, _ values: [any SQLBindable]) throws(StorageError) -> OpaquePointer {
        let statement = try prepared(sql)
        guard Int(sqlite3_bind_parameter_count(statement)) == values.count else {
            preconditionFailure("\(values.count) values for: \(sql)")
        }
        for (index, value) in values.enumerated() {
            let position = Int32(index + 1)
            let result =
                switch value.sqlValue {
                case .null: sqlite3_bind_null(statement, position)
                case .integer(let number): sqlite3_bind_int64(statement, position, number)
                case .real(let number): sqlite3_bind_double(statement, position, number)
                case .text(var text):
                    text.withUTF8 { bytes in
                        bytes.withMemoryRebound(to: CChar.self) {
                            sqlite3_bind_text(
                                statement, position, $0.baseAddress ?? emptyText, Int32($0.count),
                                transient)
                        }
                    }
                case .blob(let bytes):
                    bytes.withUnsafeBytes {
                        sqlite3_bind_blob(
                            statement, position, $0.baseAddress ?? UnsafeRawPointer(emptyText),
                            Int32($0.count), transient)
                    }
                }
            if result != SQLITE_OK { throw failure(result) }
        }
        return statement
    }

    private func prepared(_ sql: String) throws(StorageError) -> OpaquePointer {
        // A statement still running (a query inside another's closure) must not be reset.
        if let statement = statements[sql], sqlite3_stmt_busy(statement) == 0 { return statement }
        var statement: OpaquePointer?
        let result = sqlite3_prepare_v2(handle, sql, -1, &statement, nil)
        guard result == SQLITE_OK, let statement else { throw failure(result) }
        if let previous = statements.updateValue(statement, forKey: sql) { abandoned.append(previous) }
        return statement
    }

    /// Statements that were running when another of the same text began.
    private var abandoned: [OpaquePointer] = []

    func finalizeAbandoned() {
        for statement in abandoned { sqlite3_finalize(statement) }
        abandoned = []
    }

    private func step(_ statement: OpaquePointer) throws(StorageError) -> Bool {
        let result = sqlite3_step(statement)
        switch result {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default: throw failure(result)
        }
    }

    func failure(_ result: Int32) -> StorageError {
        Self.failure(result, handle: handle, path: path)
    }

    static func failure(_ result: Int32, handle: OpaquePointer?, path: String) -> StorageError {
        let text =
            handle.map { String(cString: sqlite3_errmsg($0)) } ?? String(cString: sqlite3_errstr(result))
        let system = Errno(handle.map { sqlite3_system_errno($0) } ?? 0)
        let cause = SQLiteFailure(
            code: result, extended: handle.map { sqlite3_extended_errcode($0) } ?? result)
        let operation = "use the store's database"
        switch result & 0xFF {
        case SQLITE_FULL:
            return StorageError(.noSpace, operation, path, "\(Errno.noSpace)", cause: cause)
        case SQLITE_IOERR where system == .noSpace || system.rawValue == EDQUOT,
            SQLITE_CANTOPEN where system == .noSpace || system.rawValue == EDQUOT:
            return StorageError(.noSpace, operation, path, "\(system)", cause: cause)
        case SQLITE_IOERR, SQLITE_CANTOPEN:
            return StorageError(
                .system, operation, path, system.rawValue == 0 ? text : "\(text): \(system)", cause: cause)
        case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PROTOCOL:
            return StorageError(.busy, operation, path, "other processes keep it locked", cause: cause)
        case SQLITE_CORRUPT, SQLITE_NOTADB:
            return StorageError(.damaged, operation, path, text, cause: cause)
        case SQLITE_CONSTRAINT:
            return StorageError(.exists, operation, path, text, cause: cause)
        default:
            return StorageError(.system, operation, path, text, cause: cause)
        }
    }
}

/// SQLite's own codes (sqlite.org/rescode.html).
struct SQLiteFailure: Error, Sendable {
    var code: Int32
    var extended: Int32
}

/// SQLITE_TRANSIENT, which is a cast that Swift does not import.
private let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
/// An empty value is not NULL; bind calls tell the two apart by the pointer.
nonisolated(unsafe) private let emptyText = UnsafePointer(UnsafeMutablePointer<CChar>.allocate(capacity: 1))
