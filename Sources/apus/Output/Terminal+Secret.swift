import LinuxSystem

extension Terminal {
    /// Asks on standard output, and reads a line of standard input without an echo.
    static func askSecret(_ prompt: String) throws -> String {
        let before = try attributes(of: STDIN_FILENO)
        var silent = before
        silent.c_lflag &= ~tcflag_t(ECHO)
        try setAttributes(of: STDIN_FILENO, silent)
        defer {
            try? setAttributes(of: STDIN_FILENO, before)
            Output.print("\n")
        }
        Output.print(prompt)
        return readLine() ?? ""
    }
}
