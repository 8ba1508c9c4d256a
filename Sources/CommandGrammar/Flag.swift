/// One flag of a command: what may be written, and what help says about it.
///
///     Flag("detach", short: "d", .bool, "Run the container in the background")
///     Flag("env", short: "e", .list("KEY=VALUE"), "Set an environment variable")
///     Flag("network", aliases: ["net"], .string, default: "bridge", "Network to join")
public struct Flag: Sendable {
    public var name: String
    public var short: Character?
    /// Other long names that mean the same; help does not list them.
    public var aliases: [String]
    public var kind: Kind
    public var summary: String
    /// The value when the flag is not given; help shows it.
    public var defaultValue: String?
    public var isHidden: Bool
    /// What to use instead. A deprecated flag works, is hidden, and its use is reported.
    public var deprecation: String?
    /// What completes its value in a shell.
    public var completion: Completion

    public init(
        _ name: String, short: Character? = nil, aliases: [String] = [], _ kind: Kind,
        default defaultValue: String? = nil, _ summary: String, hidden: Bool = false,
        deprecated: String? = nil, completing completion: Completion = .nothing
    ) {
        self.name = name
        self.short = short
        self.aliases = aliases
        self.kind = kind
        self.summary = summary
        self.defaultValue = defaultValue
        self.isHidden = hidden || deprecated != nil
        self.deprecation = deprecated
        self.completion = completion
    }

    /// What a flag's value is. The text in a case names the value in help.
    public enum Kind: Sendable, Equatable {
        case bool
        /// `-vv`: how often it was given; `--verbose=2` sets it.
        case count
        case text(String)
        case integer(String)
        case unsignedInteger(String)
        /// A decimal number: `1.5`.
        case decimal(String)
        /// A number of bytes: `512m`, `1.5GiB`, `1024`.
        case size(String)
        /// Go's notation: `10s`, `1m30s`, `250ms`.
        case duration(String)
        case choice([String])
        /// May be given many times; every value is kept as it is.
        case list(String)
        /// May be given many times; a value with commas counts as several.
        case commaList(String)
        /// `--name` alone means `implied`; a value needs the equals sign.
        case optional(String, implied: String)

        public static var string: Kind { .text("string") }
        public static func string(_ placeholder: String) -> Kind { .text(placeholder) }
        public static var int: Kind { .integer("int") }
        public static var uint: Kind { .unsignedInteger("uint") }
        public static var decimal: Kind { .decimal("decimal") }
        public static var size: Kind { .size("bytes") }
        public static var duration: Kind { .duration("duration") }
        public static var list: Kind { .list("list") }
        public static var commaList: Kind { .commaList("list") }
    }

    /// What stands in for the value when the flag is written without one; nil when it needs one.
    var impliedValue: String? {
        switch kind {
        case .bool: "true"
        case .count: "+1"
        case .optional(_, let implied): implied
        default: nil
        }
    }

    /// The word for the value in help; empty for a flag that takes none.
    var placeholder: String {
        switch kind {
        case .bool: ""
        case .count: "count"
        case .text(let name), .integer(let name), .unsignedInteger(let name), .decimal(let name),
            .size(let name), .duration(let name), .list(let name), .commaList(let name),
            .optional(let name, _):
            name
        case .choice: "string"
        }
    }

    /// `-e, --env`, as an error names the flag.
    var spelling: String { short.map { "-\($0), --\(name)" } ?? "--\(name)" }

    func isNamed(_ text: Substring) -> Bool { name == text || aliases.contains { $0 == text } }
}

/// What a shell offers for a word.
public enum Completion: Sendable, Equatable {
    case nothing
    case files
    case directories
    case words([String])
    /// Names that only the program knows: `containers`, `images`.
    case objects(String)
}
