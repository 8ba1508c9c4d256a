/// A man page: its file's name and its text in roff.
public struct ManualPage: Sendable, Equatable {
    public var name: String
    public var text: String
}

extension CommandTree {
    /// `apus.1` and a page for every command. A command with several names has one page, under
    /// the shortest; the others point to it.
    public func manualPages() -> [ManualPage] {
        var pages = [programPage()]
        let all = allCommands().filter { !$0.command.isHidden }
        for (path, command) in all {
            let same = all.filter { $0.command.isSame(as: command) }
            let home = same.map(\.path).min { $0.count < $1.count } ?? path
            if home == path {
                pages.append(page(for: command, path: path))
            } else {
                pages.append(
                    ManualPage(name: fileName(path), text: ".so man1/\(fileName(home))\n"))
            }
        }
        return pages
    }

    private func fileName(_ path: [String]) -> String { ([program] + path).joined(separator: "-") + ".1" }

    private func header(_ name: String, _ summary: String) -> String {
        """
        .TH "\(name.uppercased())" "1" "" "\(Roff.escaped(program))" "User Commands"
        .SH NAME
        \(Roff.escaped(name)) \\- \(Roff.escaped(summary))

        """
    }

    private func programPage() -> ManualPage {
        var text = header(program, summary)
        text += ".SH SYNOPSIS\n.B \(Roff.escaped(program))\n[OPTIONS] COMMAND [ARG...]\n"
        for group in groups {
            let shown = group.commands.filter { !$0.isHidden }.sorted { $0.name < $1.name }
            if shown.isEmpty { continue }
            text += ".SH \(group.title.uppercased())\n"
            for command in shown {
                let page = "\(program)-\(command.name)"
                text += ".TP\n.BR \(Roff.escaped(page)) (1)\n\(Roff.escaped(command.summary))\n"
            }
        }
        text += Roff.options("GLOBAL OPTIONS", globals)
        return ManualPage(name: "\(program).1", text: text)
    }

    private func page(for command: Command, path: [String]) -> ManualPage {
        let name = ([program] + path).joined(separator: "-")
        var text = header(name, command.summary)
        text += ".SH SYNOPSIS\n"
        for spelling in spellings(of: command).reversed() {
            text += ".B \(Roff.escaped(spelling))\n\(Roff.escaped(command.usage))\n.br\n"
        }
        text += ".SH DESCRIPTION\n"
        text += Roff.paragraphs(command.description.isEmpty ? command.summary : command.description)
        let subcommands = command.subcommands().filter { !$0.isHidden }
        if !subcommands.isEmpty {
            text += ".SH COMMANDS\n"
            for sub in subcommands {
                text += ".TP\n.BR \(Roff.escaped("\(name)-\(sub.name)")) (1)\n\(Roff.escaped(sub.summary))\n"
            }
        }
        text += Roff.options("OPTIONS", command.flags())
        if !command.examples.isEmpty {
            text += ".SH EXAMPLES\n"
            for example in command.examples { text += ".PP\n.nf\n\(Roff.escaped(example))\n.fi\n" }
        }
        text += ".SH SEE ALSO\n.BR \(Roff.escaped(program)) (1)\n"
        return ManualPage(name: fileName(path), text: text)
    }
}

private enum Roff {
    /// Text that groff(7) prints as it stands.
    static func escaped(_ text: some StringProtocol) -> String {
        var output = ""
        for character in text {
            switch character {
            case "\\": output += "\\e"
            case "-": output += "\\-"
            case ".", "'": output += (output.isEmpty || output.last == "\n" ? "\\&" : "") + String(character)
            default: output.append(character)
            }
        }
        return output
    }

    static func paragraphs(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.isEmpty ? ".PP\n" : escaped(line) + "\n"
        }.joined()
    }

    static func options(_ title: String, _ flags: [Flag]) -> String {
        let shown = flags.filter { !$0.isHidden }.sorted { $0.name < $1.name }
        if shown.isEmpty { return "" }
        var text = ".SH \(title)\n"
        for flag in shown {
            text += ".TP\n"
            if let short = flag.short { text += "\\fB\\-\(short)\\fR, " }
            text += "\\fB\(escaped("--" + flag.name))\\fR"
            switch flag.kind {
            case .bool, .count: break
            case .optional(let name, _): text += "[=\\fI\(escaped(name))\\fR]"
            default: text += " \\fI\(escaped(flag.placeholder))\\fR"
            }
            text += "\n" + paragraphs(CommandTree.explanation(flag))
        }
        return text
    }
}
