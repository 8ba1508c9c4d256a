import CommandGrammar
import ContainerRuntime
import JSONText
import LinuxSystem

/// Where failures are told: as runc does it, so that engines find the reason in
/// the log file that they named.
struct RuntimeLog {
    private var path: String?
    private var isJSON = false

    init() {}

    init(_ values: Values) throws(RuntimeError) {
        if let path = values.string("log"), !path.isEmpty { self.path = path }
        switch values.string("log-format") ?? "text" {
        case "", "text": break
        case "json": isJSON = true
        case let other: throw RuntimeError(.invalidConfig, "invalid log-format: \(other)")
        }
    }

    func fail(_ message: String) { tell("error", message) }

    func warn(_ message: String) { tell("warning", message) }

    private func tell(_ level: String, _ message: String) {
        if let path, let file = try? File.open(path, O_WRONLY | O_CREAT | O_APPEND, mode: 0o644) {
            try? FD.writeAll(file.raw, line(level, message) + "\n")
            try? FD.writeAll(2, message + "\n")
        } else {
            try? FD.writeAll(2, line(level, message) + "\n")
        }
    }

    private func line(_ level: String, _ message: String) -> String {
        let time = Self.time
        if isJSON {
            return (["level": .string(level), "msg": .string(message), "time": .string(time)] as JSON).text()
        }
        return "time=\"\(time)\" level=\(level) msg=\(JSON.string(message).text())"
    }

    /// RFC 3339, in UTC.
    private static var time: String {
        var now = time_t()
        Glibc.time(&now)
        var parts = tm()
        gmtime_r(&now, &parts)
        var buffer = [CChar](repeating: 0, count: 32)
        let count = strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
