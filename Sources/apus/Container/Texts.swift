import ContainerEngine
import JSONText
import LinuxSystem

enum JSONList {
    /// The strings of a JSON array of strings; nil for anything else.
    static func strings(_ text: String) -> [String]? {
        guard let elements = (try? JSON(parsing: text))?.array else { return nil }
        let strings = elements.compactMap(\.string)
        return strings.count == elements.count ? strings : nil
    }
}

/// `--runtime`: a path, or a name found in PATH.
enum RuntimeProgram {
    static func resolve(_ text: String) throws -> String {
        if text.contains("/") {
            let path = try PathText.absolute(text)
            guard access(path, X_OK) == 0 else {
                throw EngineError(.notFound, "OCI runtime \(path): \(Errno.current)")
            }
            guard try File.status(path).st_mode & S_IFMT != S_IFDIR else {
                throw EngineError(.invalid, "OCI runtime \(path): is a directory")
            }
            return path
        }
        let search =
            ProcessEnvironment.value("PATH") ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        for directory in search.split(separator: ":") where access("\(directory)/\(text)", X_OK) == 0 {
            return "\(directory)/\(text)"
        }
        throw EngineError(.notFound, "OCI runtime \"\(text)\" not found in PATH: give its path")
    }
}
