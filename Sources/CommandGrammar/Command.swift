/// One command: its words, its flags and what it does.
///
///     enum LogsCommand {
///         static let command = Command(
///             "logs", usage: "[OPTIONS] CONTAINER", summary: "Fetch the logs of a container",
///             arguments: .exactly(1),
///             flags: { [Flag("follow", short: "f", .bool, "Follow log output")] }, run: run)
///
///         static func run(_ values: Values) throws -> Int32 { … }
///     }
///
/// The same value may stand in several places of the tree, under other names
/// (`named(_:aliases:)`); help lists all of them as aliases.
public struct Command: Sendable {
    public typealias Action = @Sendable (_ values: Values) throws -> Int32

    public var name: String
    public var aliases: [String]
    /// What follows the command's name: `[OPTIONS] IMAGE [COMMAND] [ARG...]`.
    public var usage: String
    public var summary: String
    /// Paragraphs for help and the man page; the summary when empty.
    public var description: String
    public var examples: [String]
    public var arguments: Arity
    /// False when flags end at the first argument, because what follows belongs to a container.
    public var isInterspersed: Bool
    public var isHidden: Bool
    public var completion: Completion
    /// Called only for the command that was chosen.
    public var flags: @Sendable () -> [Flag]
    public var subcommands: @Sendable () -> [Command]
    public var action: Action?

    /// The place in the source where it is declared: its identity under all its names.
    let declaration: (file: String, line: Int)

    public init(
        _ name: String, aliases: [String] = [], usage: String = "[OPTIONS]", summary: String,
        description: String = "", examples: [String] = [], arguments: Arity = .none,
        interspersed: Bool = true, hidden: Bool = false, completing completion: Completion = .nothing,
        flags: @escaping @Sendable () -> [Flag] = { [] }, run action: @escaping Action,
        file: String = #fileID, line: Int = #line
    ) {
        self.name = name
        self.aliases = aliases
        self.usage = usage
        self.summary = summary
        self.description = description
        self.examples = examples
        self.arguments = arguments
        isInterspersed = interspersed
        isHidden = hidden
        self.completion = completion
        self.flags = flags
        subcommands = { [] }
        self.action = action
        declaration = (file, line)
    }

    /// A noun that groups commands: `apus container COMMAND`.
    public init(
        _ name: String, aliases: [String] = [], summary: String, description: String = "",
        hidden: Bool = false, subcommands: @escaping @Sendable () -> [Command],
        file: String = #fileID, line: Int = #line
    ) {
        self.name = name
        self.aliases = aliases
        usage = "COMMAND"
        self.summary = summary
        self.description = description
        examples = []
        arguments = .any
        isInterspersed = false
        isHidden = hidden
        completion = .nothing
        flags = { [] }
        self.subcommands = subcommands
        action = nil
        declaration = (file, line)
    }

    /// The same command under another name.
    public func named(_ name: String, aliases: [String] = []) -> Command {
        var copy = self
        copy.name = name
        copy.aliases = aliases
        return copy
    }

    var isGroup: Bool { action == nil }

    func isCalled(_ word: String) -> Bool { name == word || aliases.contains(word) }

    func isSame(as other: Command) -> Bool {
        declaration.line == other.declaration.line && declaration.file == other.declaration.file
    }
}

/// How many arguments a command takes.
public enum Arity: Sendable, Equatable {
    case none
    case any
    case exactly(Int)
    case atLeast(Int)
    case atMost(Int)
    case between(Int, Int)

    var maximum: Int? {
        switch self {
        case .none: 0
        case .any, .atLeast: nil
        case .exactly(let number), .atMost(let number), .between(_, let number): number
        }
    }

    /// The complaint about a wrong number, as `'apus logs' ` goes on; nil when the number is right.
    func complaint(about count: Int) -> String? {
        func arguments(_ number: Int) -> String { "\(number) argument\(number == 1 ? "" : "s")" }
        switch self {
        case .any: return nil
        case .none: return count == 0 ? nil : "accepts no arguments"
        case .exactly(let number): return count == number ? nil : "requires \(arguments(number))"
        case .atLeast(let least):
            return count >= least ? nil : "requires at least \(arguments(least))"
        case .atMost(let most): return count <= most ? nil : "requires at most \(arguments(most))"
        case .between(let least, let most):
            return (least...most).contains(count)
                ? nil : "requires at least \(least) and at most \(arguments(most))"
        }
    }
}
