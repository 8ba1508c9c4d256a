/// A command line that the grammar refuses. Nothing has been done yet.
public struct UsageError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Code: Sendable, Equatable {
        case unknownFlag, unknownCommand, missingValue, invalidValue, badSyntax, argumentCount
    }

    public var code: Code
    /// One line: `unknown flag: --detahc`.
    public var message: String
    /// The real names that are nearest to an unknown one: `["--detach"]`.
    public var suggestions: [String]
    /// The program and the command that the error is about: `["apus", "run"]`.
    public var command: [String]
    /// The usage line to show; empty when it would not help.
    public var usage: String

    init(
        _ code: Code, _ message: String, suggestions: [String] = [], command: [String] = [],
        usage: String = ""
    ) {
        self.code = code
        self.message = message
        self.suggestions = suggestions
        self.command = command
        self.usage = usage
    }

    /// One line, the suggestion included.
    public var description: String {
        suggestions.isEmpty
            ? message : "\(message) (did you mean \(suggestions.joined(separator: " or "))?)"
    }

    /// The lines to print after the message: the usage line and where to read more.
    public var advice: String {
        let more = "See '\(command.joined(separator: " ")) --help'"
        return usage.isEmpty ? more : "Usage:  \(usage)\n\(more)"
    }
}

enum Nearest {
    /// The candidates that are near enough to a mistyped name to be worth showing, the best
    /// first, at most two. A candidate that begins with what was typed is near.
    static func names(to typed: String, among candidates: [String]) -> [String] {
        let limit = max(1, min(3, typed.count / 3))
        var ranked: [(distance: Int, name: String)] = []
        for candidate in candidates {
            var distance = distance(Array(typed.utf8), Array(candidate.utf8))
            if typed.utf8.count > 2, candidate.hasPrefix(typed) { distance = min(distance, 1) }
            if distance <= limit { ranked.append((distance, candidate)) }
        }
        ranked.sort { ($0.distance, $0.name) < ($1.distance, $1.name) }
        guard let best = ranked.first else { return [] }
        return ranked.prefix { $0.distance == best.distance }.prefix(2).map(\.name)
    }

    /// Edits between two names; neighbours that changed places count as one (optimal string alignment).
    static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for row in 0..<left.count {
            var current = [row + 1]
            current.reserveCapacity(right.count + 1)
            for column in 0..<right.count {
                var best = min(last[column + 1] + 1, current[column] + 1)
                best = min(best, last[column] + (left[row] == right[column] ? 0 : 1))
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    best = min(best, beforeLast[column - 1] + 1)
                }
                current.append(best)
            }
            beforeLast = last
            last = current
        }
        return last[right.count]
    }
}
