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
        try? FD.writeAll(STDERR_FILENO, (prefix ? "Error: " : "") + text + "\n")
    }

    static func warn(_ text: String) { try? FD.writeAll(STDERR_FILENO, "Warning: " + text + "\n") }
}
