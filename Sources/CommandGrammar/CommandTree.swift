/// A program's commands and the flags that stand before them.
public struct CommandTree: Sendable {
    public var program: String
    public var summary: String
    /// Flags of the program. They are also understood after a command that has no flag of that name.
    public var globals: [Flag]
    /// The commands, under the headings that help prints.
    public var groups: [Group]
    public var style: Style
    /// What `--version` prints; nil when there is no such flag.
    public var version: String?
    /// Columns that help may use.
    public var width = 80

    public struct Group: Sendable {
        public var title: String
        public var commands: [Command]
        public init(_ title: String, _ commands: [Command]) {
            self.title = title
            self.commands = commands
        }
    }

    /// Whose command-line grammar to follow.
    public enum Style: Sendable {
        /// Docker's and Podman's: spf13/pflag and cobra.
        case cobra
        /// runc's: urfave/cli over Go's flag package, where `-bundle` is `--bundle`.
        case urfave
    }

    public init(
        program: String, summary: String, version: String? = nil, style: Style = .cobra,
        globals: [Flag] = [], groups: [Group]
    ) {
        self.program = program
        self.summary = summary
        self.version = version
        self.style = style
        self.globals = globals
        self.groups = groups
    }

    var commands: [Command] { groups.flatMap(\.commands) }

    /// Every command with the words that lead to it, groups before their members.
    public func allCommands() -> [(path: [String], command: Command)] {
        var all: [(path: [String], command: Command)] = []
        func visit(_ commands: [Command], _ path: [String]) {
            for command in commands {
                all.append((path + [command.name], command))
                visit(command.subcommands(), path + [command.name])
            }
        }
        visit(commands, [])
        return all
    }

    /// All the ways to write a command, the full one (with its noun) first.
    func spellings(of command: Command) -> [String] {
        var found: [[String]] = []
        for (path, other) in allCommands() where other.isSame(as: command) {
            found.append(path)
            for alias in other.aliases { found.append(path.dropLast() + [alias]) }
        }
        return found.sorted { $0.count > $1.count }
            .map { ([program] + $0).joined(separator: " ") }
    }
}

/// What a command line asks for.
public enum Invocation: Sendable {
    case command(Command, Values)
    /// To be printed on standard output, with exit code 0: help, the version, a completion script.
    case text(String)
    /// A shell asks what may follow (`__complete`): see `CommandTree.candidates(for:objects:)`.
    case completion(words: [String])
    /// `man --output DIR`: the man pages are to be written there.
    case manual(directory: String)
}
