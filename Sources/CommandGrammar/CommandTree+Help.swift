// Help in the layout of Docker's command line.
extension CommandTree {
    /// The program's own help.
    public func help() -> String {
        if style == .urfave { return urfaveHelp() }
        var text = "Usage:  \(program) [OPTIONS] COMMAND\n\n\(summary)\n"
        for group in groups {
            let shown = group.commands.filter { !$0.isHidden }
            if !shown.isEmpty { text += "\n\(group.title):\n" + Self.list(shown) }
        }
        var options = globals
        if version != nil {
            options.append(Flag("version", short: "v", .bool, "Print version information and quit"))
        }
        text += optionsSection("Global Options", options)
        text += "\nRun '\(program) COMMAND --help' for more information on a command.\n"
        return text
    }

    /// A command's help.
    public func help(for command: Command, path: [String]) -> String {
        if style == .urfave, !command.isGroup { return urfaveHelp(for: command, path: path) }
        let full = ([program] + path).joined(separator: " ")
        var text = "Usage:  \(usageLine(command, path: path))\n\n"
        text += (command.description.isEmpty ? command.summary : command.description) + "\n"
        if command.isGroup {
            let shown = command.subcommands().filter { !$0.isHidden }
            text += "\nCommands:\n" + Self.list(shown)
            text += "\nRun '\(full) COMMAND --help' for more information on a command.\n"
            return text
        }
        let spellings = spellings(of: command)
        if spellings.count > 1 { text += "\nAliases:\n  \(spellings.joined(separator: ", "))\n" }
        if !command.examples.isEmpty {
            text += "\nExamples:\n" + command.examples.map { "  \($0)\n" }.joined()
        }
        return text + optionsSection("Options", command.flags())
    }

    private static func list(_ commands: [Command]) -> String {
        let width = max(11, commands.map(\.name.count).max() ?? 0)
        return commands.sorted { $0.name < $1.name }.map { command in
            "  \(padded(command.name, width + 1))\(command.summary)\n"
        }.joined()
    }

    private func optionsSection(_ title: String, _ flags: [Flag]) -> String {
        let shown = flags.filter { !$0.isHidden }.sorted { $0.name < $1.name }
        if shown.isEmpty { return "" }
        let heads = shown.map(Self.head)
        let column = (heads.map(\.count).max() ?? 0) + 3
        var text = "\n\(title):\n"
        for (head, flag) in zip(heads, shown) {
            let lines = Self.wrapped(Self.explanation(flag), to: max(24, width - column))
            text += Self.padded(head, column) + lines[0] + "\n"
            for line in lines.dropFirst() { text += String(repeating: " ", count: column) + line + "\n" }
        }
        return text
    }

    /// `  -e, --env list`
    private static func head(_ flag: Flag) -> String {
        var text = flag.short.map { "  -\($0), " } ?? "      "
        text += "--\(flag.name)"
        if case .optional(let name, _) = flag.kind { return text + "[=\(name)]" }
        if case .bool = flag.kind { return text }
        if case .count = flag.kind { return text }
        return text + " " + flag.placeholder
    }

    /// The summary, with the words of a choice and the default.
    static func explanation(_ flag: Flag) -> String {
        var text = flag.summary
        if case .choice(let words) = flag.kind, !words.contains(where: { text.contains($0) }) {
            text += " (" + words.joined(separator: "|") + ")"
        }
        guard let value = flag.defaultValue, !value.isEmpty else { return text }
        switch flag.kind {
        case .bool: return value == "true" ? text + " (default true)" : text
        case .text, .choice, .list, .commaList, .optional: return text + " (default \"\(value)\")"
        default: return text + " (default \(value))"
        }
    }

    static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    static func wrapped(_ text: String, to width: Int) -> [String] {
        var lines: [String] = []
        for paragraph in text.split(separator: "\n", omittingEmptySubsequences: false) {
            var line = ""
            for word in paragraph.split(separator: " ") {
                if !line.isEmpty, line.count + 1 + word.count > width {
                    lines.append(line)
                    line = ""
                }
                line += line.isEmpty ? String(word) : " " + word
            }
            lines.append(line)
        }
        return lines
    }
}
