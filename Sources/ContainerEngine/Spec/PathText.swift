import LinuxSystem

/// Paths as text, before they meet the kernel: what a user typed, never what
/// an image or a container wrote.
public enum PathText {
    /// Without `.`, `..`, doubled or closing slashes; `..` stops at the root.
    public static func normalized(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// Made absolute by the working directory, and normalised.
    public static func absolute(_ path: String) throws(EngineError) -> String {
        if path.hasPrefix("/") { return normalized(path) }
        guard let cwd = getcwd(nil, 0) else {
            throw EngineError(.failed, "working directory: \(Errno.current)")
        }
        defer { free(cwd) }
        return normalized(String(cString: cwd) + "/" + path)
    }
}
