import ContainerEngine
import LinuxSystem

/// Docker's env-file format: a variable a line, `#` comments, a name without
/// `=` taken from our own environment.
enum EnvironmentFile {
    static func lines(_ path: String) throws -> [String] {
        let text: String
        do {
            text = String(decoding: try File.read(path, limit: 16 << 20), as: UTF8.self)
        } catch {
            throw EngineError(.invalid, "\(error)")
        }
        return text.split(whereSeparator: \.isNewline).map(String.init)
            .map { String($0.drop { $0 == " " || $0 == "\t" }) }
            .filter { !$0.isEmpty && !$0.hasPrefix("#") }
    }

    static func read(_ path: String) throws -> [String] {
        try lines(path).flatMap { line in
            guard !line.hasPrefix("=") else {
                throw EngineError(.invalid, "\(path): the variable in \"\(line)\" has no name")
            }
            return expand(line)
        }
    }

    /// `NAME=VALUE` as it is; `NAME` with our value; `PREFIX*` with all that we have of it.
    static func expand(_ entry: String) -> [String] {
        if entry.contains("=") { return [entry] }
        if entry.hasSuffix("*") {
            let prefix = entry.dropLast()
            return ProcessEnvironment.all().filter { $0.hasPrefix(prefix) }
        }
        return ProcessEnvironment.value(entry).map { ["\(entry)=\($0)"] } ?? []
    }
}

enum ProcessEnvironment {
    static func value(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// From the kernel, because the C library's `environ` may change under us.
    static func all() -> [String] {
        let bytes = (try? File.read("/proc/self/environ")) ?? []
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }
}
