import CommandGrammar
import ContainerRuntime
import JSONText
import LinuxSystem

/// Where failures are told: as runc does it, so that engines find the reason in
/// the log file that they named.
struct RuntimeLog: Sendable {
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

    /// - Parameter plainly: as the container's process would say it.
    func fail(_ message: String, plainly: Bool = false) {
        if plainly, path == nil {
            try? FD.writeAll(2, message + "\n")
        } else {
            tell("error", message)
        }
    }

    func warn(_ message: String) { tell("warning", message) }

    /// - Parameter debug: with what is done, step by step.
    func reporter(debug: Bool) throws(RuntimeError) -> RuntimeReporter {
        let log = self
        var reporter = RuntimeReporter { log.warn($0) }
        guard debug else { return reporter }
        let file = try debugFile()
        reporter.debug = { try? FD.writeAll(file.descriptor.raw, log.line("debug", $0) + "\n") }
        reporter.debugDescriptor = file.descriptor.raw
        return reporter
    }

    private final class OpenFile: Sendable {
        let descriptor: Descriptor
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    }

    /// Open from the start: in the container's process the log's path leads nowhere, and the
    /// standard error is the container's.
    private func debugFile() throws(RuntimeError) -> OpenFile {
        do throws(SystemError) {
            if let path { return OpenFile(try Self.open(path)) }
            return OpenFile(
                Descriptor(
                    owning: try checked("duplicate descriptor") { linux_fcntl(2, F_DUPFD_CLOEXEC, 3) }))
        } catch {
            throw RuntimeError(.system, "open the log", cause: error)
        }
    }

    private static func open(_ path: String) throws(SystemError) -> Descriptor {
        try File.open(path, O_WRONLY | O_CREAT | O_APPEND, mode: 0o644)
    }

    private func tell(_ level: String, _ message: String) {
        if let path, let file = try? Self.open(path) {
            try? FD.writeAll(file.raw, line(level, message) + "\n")
            if level == "error" { try? FD.writeAll(2, message + "\n") }
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
