import JSONText
import LinuxSystem

/// Our own standard streams.
enum Output {
    static func print(_ text: String) {
        // A reader that went away (`| head`) is no error worth words.
        try? FD.writeAll(STDOUT_FILENO, text)
    }

    static func printLine(_ text: String) { print(text + "\n") }

    /// One line on standard error.
    static func complain(_ text: String, prefix: Bool = true) {
        // Ours may have several lines.
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            .map { String($0).printable() }.joined(separator: "\n")
        try? FD.writeAll(STDERR_FILENO, (prefix ? "Error: " : "") + lines + "\n")
    }

    static func warn(_ text: String) {
        try? FD.writeAll(STDERR_FILENO, "Warning: " + text.printable() + "\n")
    }
}
