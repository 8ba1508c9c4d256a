/// Reads flags as spf13/pflag does, or as Go's flag package does for urfave/cli.
struct FlagReader {
    private let arguments: [String]
    private let flags: [Flag]
    private let style: CommandTree.Style
    private let command: [String]
    var isInterspersed = true
    var hasVersion = false

    private(set) var occurrences: [Values.Occurrence] = []
    private(set) var rest: [String] = []
    private(set) var warnings: [String] = []
    private(set) var wantsHelp = false
    private(set) var wantsVersion = false
    private var position = 0

    init(arguments: [String], flags: [Flag], style: CommandTree.Style, command: [String]) {
        self.arguments = arguments
        self.flags = flags
        self.style = style
        self.command = command
    }

    mutating func read() throws(UsageError) {
        while position < arguments.count {
            let argument = arguments[position]
            position += 1
            if argument.utf8.first != UInt8(ascii: "-") || argument.utf8.count == 1 {
                if !isInterspersed {
                    rest = Array(arguments[(position - 1)...])
                    return
                }
                rest.append(argument)
            } else if argument == "--" {
                rest += arguments[position...]
                return
            } else if argument.hasPrefix("--") {
                try long(argument.dropFirst(2), written: argument)
            } else if style == .urfave, isLong(argument.dropFirst()) {
                try long(argument.dropFirst(), written: argument)
            } else {
                try shorts(argument.dropFirst(), written: argument)
            }
            if wantsHelp || wantsVersion { return }
        }
    }

    private func isLong(_ text: Substring) -> Bool {
        let name = text.prefix { $0 != "=" }
        return name == "help" || flags.contains { $0.isNamed(name) }
    }

    private mutating func long(_ text: Substring, written: String) throws(UsageError) {
        let name = text.prefix { $0 != "=" }
        let attached = name.endIndex < text.endIndex ? String(text[text.index(after: name.endIndex)...]) : nil
        guard let first = name.utf8.first, first != UInt8(ascii: "-") else {
            throw failure(.badSyntax, "bad flag syntax: \(written)")
        }
        guard let index = flags.firstIndex(where: { $0.isNamed(name) }) ?? urfaveShort(name) else {
            if name == "help" {
                wantsHelp = true
                return
            }
            if name == "version", hasVersion {
                wantsVersion = true
                return
            }
            throw unknown(String(name), written: written)
        }
        if let value = attached ?? flags[index].impliedValue {
            try record(index, value)
        } else if position < arguments.count {
            position += 1
            try record(index, arguments[position - 1])
        } else {
            throw failure(.missingValue, "flag needs an argument: --\(name)")
        }
    }

    /// Go's flag package takes `--b` for `-b`.
    private func urfaveShort(_ name: Substring) -> Int? {
        guard style == .urfave, let only = name.first, name.dropFirst().isEmpty else { return nil }
        return flags.firstIndex { $0.short == only }
    }

    private mutating func shorts(_ letters: Substring, written: String) throws(UsageError) {
        var letters = letters
        while let letter = letters.popFirst() {
            guard let index = flags.firstIndex(where: { $0.short == letter }) else {
                if letter == "h" {
                    wantsHelp = true
                    return
                }
                if letter == "v", hasVersion {
                    wantsVersion = true
                    return
                }
                if style == .urfave {
                    throw unknown(String(written.dropFirst().prefix { $0 != "=" }), written: written)
                }
                throw failure(
                    .unknownFlag, "unknown shorthand flag: '\(letter)' in \(written)",
                    suggestions: longNamesNear(written))
            }
            if letters.first == "=" {
                try record(index, String(letters.dropFirst()))
                return
            }
            if let implied = flags[index].impliedValue {
                try record(index, implied)
                continue
            }
            // Go's flag package knows no `-nVALUE`.
            if style == .urfave, !letters.isEmpty {
                throw unknown(String(written.dropFirst().prefix { $0 != "=" }), written: written)
            }
            if !letters.isEmpty {
                try record(index, String(letters))
            } else if position < arguments.count {
                position += 1
                try record(index, arguments[position - 1])
            } else {
                throw failure(.missingValue, "flag needs an argument: '\(letter)' in \(written)")
            }
            return
        }
    }

    /// `-detach` is a usual slip for `--detach`.
    private func longNamesNear(_ written: String) -> [String] {
        let name = written.dropFirst().prefix { $0 != "=" }
        return name.count > 2 && flags.contains { $0.isNamed(name) } ? ["--\(name)"] : []
    }

    private mutating func record(_ index: Int, _ value: String) throws(UsageError) {
        let flag = flags[index]
        if let complaint = Quantity.complaint(about: value, for: flag.kind) {
            throw failure(
                .invalidValue, "invalid argument \"\(value)\" for \"\(flag.spelling)\" flag: \(complaint)")
        }
        if let deprecation = flag.deprecation {
            warnings.append("flag --\(flag.name) has been deprecated, \(deprecation)")
        }
        occurrences.append(.init(flag: index, value: value))
    }

    private func unknown(_ name: String, written: String) -> UsageError {
        let names = flags.filter { !$0.isHidden }.flatMap { [$0.name] + $0.aliases } + ["help"]
        let message =
            style == .urfave
            ? "flag provided but not defined: -\(name)" : "unknown flag: --\(name)"
        return failure(
            .unknownFlag, message,
            suggestions: Nearest.names(to: name, among: names).map { "--\($0)" })
    }

    private func failure(
        _ code: UsageError.Code, _ message: String, suggestions: [String] = []
    ) -> UsageError {
        UsageError(code, message, suggestions: suggestions, command: command)
    }
}
