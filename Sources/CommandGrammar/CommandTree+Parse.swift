extension CommandTree {
    /// Understands the arguments of a program (without its own name).
    public func parse(_ arguments: [String]) throws(UsageError) -> Invocation {
        var reader = FlagReader(arguments: arguments, flags: globals, style: style, command: [program])
        reader.isInterspersed = false
        reader.hasVersion = version != nil
        try reader.read()
        if reader.wantsVersion, let version { return .text(version + "\n") }
        if reader.wantsHelp, reader.rest.isEmpty { return .text(help()) }
        guard let first = reader.rest.first else { return .text(help()) }

        if let builtIn = try builtIn(first, Array(reader.rest.dropFirst())) { return builtIn }

        var path: [String] = []
        var words = reader.rest[...]
        var level = commands
        var chosen: Command?
        while let word = words.first, chosen?.isGroup ?? true {
            if let group = chosen, word == "--help" || word == "-h" {
                return .text(help(for: group, path: path))
            }
            guard let command = level.first(where: { $0.isCalled(word) }) else {
                throw unknown(word, among: level, path: path)
            }
            path.append(word)
            words.removeFirst()
            level = command.isGroup ? command.subcommands() : []
            chosen = command
        }
        guard let command = chosen else { return .text(help()) }
        if command.isGroup { return .text(help(for: command, path: path)) }
        return try invocation(of: command, path: path, words: Array(words), globals: reader)
    }

    private func invocation(
        of command: Command, path: [String], words: [String], globals reader: FlagReader
    ) throws(UsageError) -> Invocation {
        // The command's own flags come first, so that they win over a global of the same name.
        let own = command.flags()
        var local = FlagReader(
            arguments: words, flags: own + globals, style: style, command: [program] + path)
        local.isInterspersed = command.isInterspersed
        do throws(UsageError) {
            try local.read()
        } catch {
            var error = error
            if error.usage.isEmpty { error.usage = usageLine(command, path: path) }
            throw error
        }
        if local.wantsHelp { return .text(help(for: command, path: path)) }
        if let complaint = command.arguments.complaint(about: local.rest.count) {
            let full = [program] + path
            throw UsageError(
                .argumentCount, "'\(full.joined(separator: " "))' \(complaint)", command: full,
                usage: usageLine(command, path: path))
        }
        var values = Values(flags: own + globals)
        values.path = path
        values.arguments = local.rest
        values.warnings = reader.warnings + local.warnings
        for occurrence in reader.occurrences {
            values.occurrences.append(
                .init(flag: own.count + occurrence.flag, value: occurrence.value))
        }
        values.occurrences += local.occurrences
        return .command(command, values)
    }

    func usageLine(_ command: Command, path: [String]) -> String {
        let words = ([program] + path).joined(separator: " ")
        return command.usage.isEmpty ? words : "\(words) \(command.usage)"
    }

    private func unknown(_ word: String, among level: [Command], path: [String]) -> UsageError {
        let full = [program] + path
        if style == .urfave, !word.hasPrefix("-") {
            return UsageError(.unknownCommand, "No help topic for '\(word)'", command: full)
        }
        if word.hasPrefix("-"), word.count > 1 {
            return UsageError(.unknownFlag, "unknown flag: \(word)", command: full)
        }
        let names = level.filter { !$0.isHidden }.flatMap { [$0.name] + $0.aliases }
        return UsageError(
            .unknownCommand, "unknown command: \((full + [word]).joined(separator: " "))",
            suggestions: Nearest.names(to: word, among: names), command: full)
    }

    /// `help`, `completion`, `man` and `__complete`, unless the tree has commands of these names.
    private func builtIn(_ word: String, _ words: [String]) throws(UsageError) -> Invocation? {
        if commands.contains(where: { $0.isCalled(word) }) { return nil }
        switch word {
        case "help", "h":
            if word == "h", style != .urfave { return nil }
            if words.isEmpty { return .text(help()) }
            return try parse(words.filter { !$0.hasPrefix("-") } + ["--help"])
        case "completion" where style == .cobra:
            if words.count == 1, let shell = Shell(rawValue: words[0]) {
                return .text(completionScript(for: shell))
            }
            if words.contains("--help") || words.contains("-h") { return .text(completionHelp) }
            throw UsageError(
                .argumentCount, "'\(program) completion' requires one of bash, zsh, fish",
                command: [program, "completion"], usage: "\(program) completion bash|zsh|fish")
        case "man" where style == .cobra:
            if words.count == 2, words[0] == "--output" { return .manual(directory: words[1]) }
            if words.count == 1, words[0].hasPrefix("--output=") {
                return .manual(directory: String(words[0].dropFirst(9)))
            }
            throw UsageError(
                .argumentCount, "'\(program) man' requires --output DIR", command: [program],
                usage: "\(program) man --output DIR")
        case "__complete" where style == .cobra: return .completion(words: words)
        default: return nil
        }
    }
}
