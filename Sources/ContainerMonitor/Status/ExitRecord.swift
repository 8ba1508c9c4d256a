public import JSONText
public import LinuxSystem

/// How a container's last run ended: what stays on disk when the monitor is
/// gone. From the run's start to its end the record stands there unfinished,
/// so that a run that a crash of the host cut short is not forgotten.
public struct ExitRecord: JSONDocument, Equatable {
    /// nil while it runs.
    public var exitCode: Int32?
    /// The signal that ended it.
    public var signal: Int32?
    public var startedAt: Timestamp?
    public var finishedAt: Timestamp?
    public var oomKilled = false
    public var restartCount = 0
    /// Why there is no better exit code, or why it was not started again.
    public var reason: String?

    public init() {}

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        exitCode = try reader.optional("exitCode")
        signal = try reader.optional("signal")
        startedAt = try reader.optional("startedAt")
        finishedAt = try reader.optional("finishedAt")
        oomKilled = try reader.optional("oomKilled") ?? false
        restartCount = try reader.optional("restartCount") ?? 0
        reason = try reader.optional("reason")
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("exitCode", exitCode)
        object.set("signal", signal)
        object.set("startedAt", startedAt)
        object.set("finishedAt", finishedAt)
        object.set("oomKilled", oomKilled)
        object.set("restartCount", restartCount)
        object.set("reason", reason)
        return .object(object)
    }

    /// The record at the path, or nil when there is none.
    public static func read(_ path: String) throws(MonitorError) -> ExitRecord? {
        try readDocument(path)
    }

    func write(to path: String, durable: Bool) throws(SystemError) {
        try File.replace(path, with: json.bytes(), mode: 0o600, durable: durable)
    }
}

/// A small document that is replaced as a whole; nil when there is none.
func readDocument<Document: JSONDocument>(_ path: String) throws(MonitorError) -> Document? {
    let bytes: [UInt8]
    do throws(SystemError) {
        bytes = try File.read(path, limit: 1 << 20)
    } catch  where error.errno == .noEntry || error.errno == .notDirectory {
        return nil
    } catch {
        throw MonitorError(error)
    }
    do throws(JSONError) {
        return try Document(json: JSON(parsing: bytes))
    } catch {
        throw MonitorError(.invalidDocument, "read \(path): \(error)")
    }
}
