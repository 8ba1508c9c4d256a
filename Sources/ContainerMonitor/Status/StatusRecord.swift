import JSONText
import LinuxSystem

/// What a monitor says of its container while it lives (`status.json`).
struct StatusRecord: JSONDocument, Equatable {
    enum Phase: String {
        case creating, created, running, restarting, exited
    }

    var id: String
    var phase: Phase
    var monitor: ProcessIdentity
    /// The container's first process, in phases created and running.
    var process: ProcessIdentity?
    /// Someone asked for its end: it is not started again.
    var stopRequested = false
    /// The last run: unfinished in phases before `restarting`.
    var exit = ExitRecord()

    init(id: String, monitor: ProcessIdentity) {
        self.id = id
        phase = .creating
        self.monitor = monitor
    }

    init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        id = try reader.required("id")
        let name: String = try reader.required("phase")
        guard let phase = Phase(rawValue: name) else {
            throw JSONError(path: "phase", "unknown phase \"\(name)\"")
        }
        self.phase = phase
        monitor = try reader.required("monitor")
        process = try reader.optional("process")
        stopRequested = try reader.optional("stopRequested") ?? false
        exit = try reader.required("exit")
    }

    var json: JSON {
        var object: JSONObject = ["id": .string(id), "phase": .string(phase.rawValue)]
        object.set("monitor", monitor)
        object.set("process", process)
        object.set("stopRequested", stopRequested)
        object.set("exit", exit)
        return .object(object)
    }

    func write(to path: String) throws(SystemError) {
        try File.replace(path, with: json.bytes(), mode: 0o600, durable: false)
    }
}
