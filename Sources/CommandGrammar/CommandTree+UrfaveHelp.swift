// Help in the layout of urfave/cli, which runc's is.
extension CommandTree {
    func urfaveHelp() -> String {
        var text = "NAME:\n   \(program) - \(summary)\n"
        text += "\nUSAGE:\n   \(program) [global options] [command [command options]]\n"
        if let version { text += "\nVERSION:\n" + Self.indented(version) }
        var rows: [(head: String, text: String)] = []
        for group in groups {
            for command in group.commands where !command.isHidden {
                rows.append((command.name, command.summary))
            }
        }
        rows.append(("help, h", "Shows a list of commands or help for one command"))
        text += "\nCOMMANDS:\n" + Self.table(rows)
        var flags = Self.rows(globals) + [(head: "--help, -h", text: "show help")]
        if version != nil { flags.append((head: "--version, -v", text: "print the version")) }
        return text + "\nGLOBAL OPTIONS:\n" + Self.table(flags)
    }

    func urfaveHelp(for command: Command, path: [String]) -> String {
        var text = "NAME:\n   \(([program] + path).joined(separator: " ")) - \(command.summary)\n"
        text += "\nUSAGE:\n   \(usageLine(command, path: path))\n"
        if !command.description.isEmpty { text += "\nDESCRIPTION:\n" + Self.indented(command.description) }
        return text + "\nOPTIONS:\n"
            + Self.table(Self.rows(command.flags()) + [(head: "--help, -h", text: "show help")])
    }

    private static func rows(_ flags: [Flag]) -> [(head: String, text: String)] {
        flags.filter { !$0.isHidden }.map { flag in
            let names = "--\(flag.name)" + (flag.short.map { ", -\($0)" } ?? "")
            if case .bool = flag.kind { return (names, explanation(flag)) }
            return ("\(names) \(flag.placeholder)", explanation(flag))
        }
    }

    private static func table(_ rows: [(head: String, text: String)]) -> String {
        let width = (rows.map(\.head.count).max() ?? 0) + 2
        return rows.map { "   \(padded($0.head, width))\($0.text)\n" }.joined()
    }

    private static func indented(_ text: String) -> String {
        text.split(separator: "\n").map { "   \($0)\n" }.joined()
    }
}
