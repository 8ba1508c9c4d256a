/// The shells that completion scripts are written for.
public enum Shell: String, Sendable, CaseIterable {
    case bash, zsh, fish
}

/// What may stand for the last of some words.
public struct Candidates: Sendable, Equatable {
    public struct Candidate: Sendable, Equatable {
        public var word: String
        public var summary: String
    }

    public var words: [Candidate] = []
    /// What the shell itself is to offer beside the words.
    public var paths: Completion = .nothing

    /// A line a candidate (`word TAB summary`), then `:files`, `:directories` or `:nothing`:
    /// what the scripts read.
    public var text: String {
        var text = words.map { "\($0.word)\t\($0.summary)\n" }.joined()
        switch paths {
        case .files: text += ":files\n"
        case .directories: text += ":directories\n"
        default: text += ":nothing\n"
        }
        return text
    }
}

// A completion script hands the words to the hidden command `__complete`, so that the shells
// and the parser can't disagree.
extension CommandTree {
    /// - Parameters:
    ///   - words: the words after the program's name; the last is the unfinished one, maybe empty.
    ///   - objects: the names of the objects of a kind (`Completion.objects`).
    public func candidates(
        for words: [String], objects: (_ kind: String, _ values: Values) -> [String] = { _, _ in [] }
    ) -> Candidates {
        let typed = words.last ?? ""
        var flags = globals
        var level = commands
        var chosen: Command?
        var values = Values(flags: globals)
        var pending: Int?
        var flagsEnded = false
        var arguments = 0
        for word in words.dropLast() {
            if let index = pending {
                values.occurrences.append(.init(flag: index, value: word))
                pending = nil
            } else if !flagsEnded, word.hasPrefix("-"), word.count > 1 {
                if word == "--" { flagsEnded = true } else { pending = awaiting(word, flags, &values) }
            } else if chosen?.isGroup ?? true {
                guard let command = level.first(where: { $0.isCalled(word) }) else { return Candidates() }
                chosen = command
                level = command.isGroup ? command.subcommands() : []
                if !command.isGroup {
                    // Globals first: the numbers of those already read stay right.
                    flags = globals + command.flags()
                    var wider = Values(flags: flags)
                    wider.occurrences = values.occurrences
                    values = wider
                }
            } else {
                arguments += 1
                if chosen?.isInterspersed == false { flagsEnded = true }
            }
        }
        if let pending {
            return offer(flags[pending].completionOfValue, typed, prefix: "", values, objects)
        }
        if !flagsEnded, typed.hasPrefix("--"), let equals = typed.firstIndex(of: "=") {
            let name = typed[typed.index(typed.startIndex, offsetBy: 2)..<equals]
            guard let flag = flags.first(where: { $0.isNamed(name) }) else { return Candidates() }
            let start = typed.index(after: equals)
            return offer(
                flag.completionOfValue, String(typed[start...]), prefix: String(typed[..<start]), values,
                objects)
        }
        if !flagsEnded, typed.hasPrefix("-") {
            let own = chosen == nil ? globals : Array(flags.dropFirst(globals.count))
            return flagNames(own, typed)
        }
        if chosen?.isGroup ?? true {
            var found = Candidates()
            for command in level where !command.isHidden && command.name.hasPrefix(typed) {
                found.words.append(.init(word: command.name, summary: command.summary))
            }
            return found
        }
        guard let command = chosen else { return Candidates() }
        if let maximum = command.arguments.maximum, arguments >= maximum { return Candidates() }
        if !command.isInterspersed, arguments > 0 { return Candidates(words: [], paths: .files) }
        return offer(command.completion, typed, prefix: "", values, objects)
    }

    /// The flag whose value the next word is; notes a value that is attached.
    private func awaiting(_ word: String, _ flags: [Flag], _ values: inout Values) -> Int? {
        if word.hasPrefix("--") {
            let body = word.dropFirst(2)
            let name = body.prefix { $0 != "=" }
            guard let index = flags.firstIndex(where: { $0.isNamed(name) }) else { return nil }
            if name.endIndex < body.endIndex {
                let value = String(body[body.index(after: name.endIndex)...])
                values.occurrences.append(.init(flag: index, value: value))
                return nil
            }
            return flags[index].impliedValue == nil ? index : nil
        }
        var letters = word.dropFirst()
        while let letter = letters.popFirst() {
            guard let index = flags.firstIndex(where: { $0.short == letter }) else { return nil }
            if flags[index].impliedValue == nil { return letters.isEmpty ? index : nil }
        }
        return nil
    }

    private func flagNames(_ flags: [Flag], _ typed: String) -> Candidates {
        var found = Candidates()
        for flag in flags where !flag.isHidden {
            let word = "--\(flag.name)"
            if word.hasPrefix(typed) { found.words.append(.init(word: word, summary: flag.summary)) }
        }
        if "--help".hasPrefix(typed) { found.words.append(.init(word: "--help", summary: "Print help")) }
        found.words.sort { $0.word < $1.word }
        return found
    }

    private func offer(
        _ completion: Completion, _ typed: String, prefix: String, _ values: Values,
        _ objects: (String, Values) -> [String]
    ) -> Candidates {
        var found = Candidates()
        let words: [String]
        switch completion {
        case .nothing: words = []
        case .files, .directories:
            found.paths = completion
            words = []
        case .words(let fixed): words = fixed
        case .objects(let kind): words = objects(kind, values)
        }
        for word in words where word.hasPrefix(typed) {
            found.words.append(.init(word: prefix + word, summary: ""))
        }
        return found
    }
}

extension Flag {
    fileprivate var completionOfValue: Completion {
        if case .nothing = completion, case .choice(let words) = kind { return .words(words) }
        return completion
    }
}
