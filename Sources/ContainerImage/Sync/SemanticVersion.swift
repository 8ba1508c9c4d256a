/// A version by semver.org 2.0, with the freedoms that tags take: a `v` before it, and parts left out.
struct SemanticVersion: Comparable {
    var numbers: [Int]
    /// As many of the three as were written.
    var written: Int
    var prerelease: [Substring]

    init?(_ text: String) {
        var rest = Substring(text)
        if rest.first == "v" || rest.first == "V" { rest.removeFirst() }
        if let plus = rest.firstIndex(of: "+") { rest = rest[..<plus] }
        prerelease = []
        if let dash = rest.firstIndex(of: "-") {
            prerelease = rest[rest.index(after: dash)...].split(
                separator: ".", omittingEmptySubsequences: false)
            guard !prerelease.contains("") else { return nil }
            rest = rest[..<dash]
        }
        let parts = rest.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...3).contains(parts.count) else { return nil }
        numbers = []
        for part in parts {
            guard let number = Int(part), number >= 0, part.utf8.allSatisfy({ (0x30...0x39).contains($0) })
            else { return nil }
            numbers.append(number)
        }
        written = numbers.count
        while numbers.count < 3 { numbers.append(0) }
    }

    static func == (left: SemanticVersion, right: SemanticVersion) -> Bool {
        left.numbers == right.numbers && left.prerelease == right.prerelease
    }

    static func < (left: SemanticVersion, right: SemanticVersion) -> Bool {
        if left.numbers != right.numbers { return left.numbers.lexicographicallyPrecedes(right.numbers) }
        // What comes before a release is less than it.
        if left.prerelease.isEmpty || right.prerelease.isEmpty {
            return !left.prerelease.isEmpty && right.prerelease.isEmpty
        }
        for (a, b) in zip(left.prerelease, right.prerelease) where a != b {
            switch (Int(a), Int(b)) {
            case (let a?, let b?): return a < b
            case (_?, nil): return true
            case (nil, _?): return false
            default: return a < b
            }
        }
        return left.prerelease.count < right.prerelease.count
    }

    /// The first version that differs in a part: 0 the major one.
    func next(_ part: Int) -> SemanticVersion {
        var result = self
        result.prerelease = []
        result.numbers[part] += 1
        for later in (part + 1)..<max(3, part + 1) { result.numbers[later] = 0 }
        return result
    }
}

/// Which versions are wanted: `>= 1.2, < 2`, `^1.2`, `~1.2.3`, `1.x`, `1.2 - 1.4`, any of several
/// with `||` between them.
struct VersionConstraint {
    private struct Bound {
        var low: SemanticVersion?
        var includesLow = true
        var high: SemanticVersion?
        var includesHigh = false
        var isNegated = false
        var namesPrerelease = false

        func accepts(_ version: SemanticVersion) -> Bool {
            // Before a release means before it in all respects: only who names such asks for such.
            if !version.prerelease.isEmpty, !namesPrerelease { return false }
            var inside = true
            if let low, includesLow ? version < low : version <= low { inside = false }
            if let high, includesHigh ? version > high : version >= high { inside = false }
            return inside != isNegated
        }
    }

    private let alternatives: [[Bound]]

    init?(_ text: String) {
        var alternatives: [[Bound]] = []
        for alternative in Self.split(text) {
            guard let bounds = Self.bounds(alternative) else { return nil }
            alternatives.append(bounds)
        }
        guard !alternatives.isEmpty else { return nil }
        self.alternatives = alternatives
    }

    func accepts(_ version: SemanticVersion) -> Bool {
        alternatives.contains { $0.allSatisfy { $0.accepts(version) } }
    }

    private static func split(_ text: String) -> [[String]] {
        var alternatives: [[String]] = [[]]
        // Operators may stand apart from their versions: `>= 1.2`.
        let words = text.split { " ,\t".contains($0) }.map(String.init)
        var pending = ""
        for word in words {
            if word == "||" {
                alternatives.append([])
            } else if word != "-", word.allSatisfy({ "=!<>~^".contains($0) }) {
                pending = word
            } else {
                alternatives[alternatives.count - 1].append(pending + word)
                pending = ""
            }
        }
        return pending.isEmpty ? alternatives : []
    }

    private static func bounds(_ words: [String]) -> [Bound]? {
        if words.count == 3, words[1] == "-" {
            guard var bound = bound(">=" + words[0]), let high = bound_high(words[2]) else { return nil }
            (bound.high, bound.includesHigh) = high
            return [bound]
        }
        var bounds: [Bound] = []
        for word in words {
            guard let bound = bound(word) else { return nil }
            bounds.append(bound)
        }
        return bounds.isEmpty ? nil : bounds
    }

    private static func bound_high(_ text: String) -> (SemanticVersion?, Bool)? {
        guard let bound = bound("<=" + text) else { return nil }
        return (bound.high, bound.includesHigh)
    }

    private static func bound(_ word: String) -> Bound? {
        let sign = String(word.prefix { "=!<>~^".contains($0) })
        var parts = word.dropFirst(sign.count).split(separator: ".", omittingEmptySubsequences: false)
        if let wild = parts.firstIndex(where: { ["x", "X", "*"].contains($0) }) {
            parts = Array(parts[..<wild])
        }
        var bound = Bound()
        if parts.isEmpty { return ["", "=", ">=", "<=", "~", "^"].contains(sign) ? bound : nil }
        guard let version = SemanticVersion(parts.joined(separator: ".")) else { return nil }
        bound.namesPrerelease = !version.prerelease.isEmpty
        let after = version.written < 3 ? version.next(version.written - 1) : nil
        switch sign {
        case "", "=", "!=":
            (bound.low, bound.high, bound.includesHigh) = (version, after ?? version, after == nil)
            bound.isNegated = sign == "!="
        case ">":
            (bound.low, bound.includesLow) = (after ?? version, after != nil)
        case ">=", "=>": bound.low = version
        case "<": bound.high = version
        case "<=", "=<": (bound.high, bound.includesHigh) = (after ?? version, after == nil)
        case "~", "~>": (bound.low, bound.high) = (version, version.next(version.written == 1 ? 0 : 1))
        case "^":
            // The first part that is not zero stays.
            let first = version.numbers.firstIndex { $0 > 0 } ?? (version.written - 1)
            (bound.low, bound.high) = (version, version.next(min(first, version.written - 1)))
        default: return nil
        }
        return bound
    }
}
