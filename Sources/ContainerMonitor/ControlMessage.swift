import JSONText
import LinuxSystem

/// What passes on the control socket between the engine and the monitor, and
/// in the same words between the monitor and the worker that it forks for the
/// runtime's work:
///
///     engine            monitor             worker
///       ── request ──────▶
///                          ── fork ──────────▶  runtime create
///                          ◀──── created ─────
///       ◀──── created ───
///       ── start ────────▶ ──── start ───────▶  runtime start
///                          ◀──── started ─────  exit
///       ◀──── started ───
///
/// `failed` may stand for either answer. When an end goes away before `start`,
/// the container is deleted.
enum ControlMessage: JSONDocument, Equatable {
    case created(pid: Int32)
    case start
    case started
    case deleted
    case failed(MonitorError)

    init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        switch try reader.required("message", as: String.self) {
        case "created": self = .created(pid: try reader.required("pid"))
        case "start": self = .start
        case "started": self = .started
        case "deleted": self = .deleted
        case "failed":
            let code = MonitorError.Code(rawValue: try reader.required("code")) ?? .runtime
            self = .failed(MonitorError(code, try reader.required("error")))
        case let other: throw JSONError("unknown message \"\(other)\"")
        }
    }

    var json: JSON {
        switch self {
        case .created(let pid): ["message": "created", "pid": .integer(Int64(pid))]
        case .start: ["message": "start"]
        case .started: ["message": "started"]
        case .deleted: ["message": "deleted"]
        case .failed(let error):
            ["message": "failed", "code": .string(error.code.rawValue), "error": .string(error.message)]
        }
    }

    static let limit = 64 << 10

    func send(to socket: Int32, descriptors: [Int32] = []) throws(MonitorError) {
        var message = self
        if case .failed(var error) = message, error.message.utf8.count > Self.limit / 2 {
            error.message = String(error.message.prefix(Self.limit / 8))
            message = .failed(error)
        }
        let bytes = message.json.bytes()
        try system { () throws(SystemError) in
            try UnixSocket.send(socket, bytes, descriptors: descriptors)
        }
    }

    /// - Returns: nil at the end.
    static func parse(_ bytes: [UInt8]) throws(MonitorError) -> ControlMessage? {
        if bytes.isEmpty { return nil }
        do throws(JSONError) {
            return try ControlMessage(json: JSON(parsing: bytes))
        } catch {
            throw MonitorError(.invalidDocument, "control message: \(error)")
        }
    }
}
