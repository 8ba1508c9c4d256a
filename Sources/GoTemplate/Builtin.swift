internal import JSONText

/// The functions of text/template and those that Docker adds.
enum Builtin {
    static let names: Set<String> = [
        "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "index", "slice", "print", "printf",
        "println", "json", "join", "split", "lower", "upper", "title", "pad", "truncate", "trim", "replace",
    ]

    typealias Failure = Template.FunctionError

    static func call(_ name: String, _ arguments: [JSON?]) throws(Failure) -> JSON? {
        switch name {
        case "not": return .bool(!GoText.isTrue(try only(name, arguments)))
        case "eq", "ne", "lt", "le", "gt", "ge": return .bool(try Comparison.judge(name, arguments))
        case "len": return .integer(Int64(try length(try only(name, arguments))))
        case "index": return try index(arguments)
        case "slice": return try slice(arguments)
        case "print": return .string(print(arguments))
        case "println": return .string(arguments.map(printed).joined(separator: " ") + "\n")
        case "printf":
            guard case .string(let format)?? = arguments.first else {
                throw Failure("wrong type for the format: expected a string")
            }
            return .string(Printf.format(format, Array(arguments.dropFirst())))
        case "json": return .string((try only(name, arguments) ?? .null).text())
        case "join": return .string(try join(arguments))
        case "split":
            let (text, separator) = try twoStrings(name, arguments)
            return .array(parts(of: text, separator).map { .string($0) })
        case "lower": return .string(try string(name, arguments).lowercased())
        case "upper": return .string(try string(name, arguments).uppercased())
        case "title": return .string(title(try string(name, arguments)))
        case "trim":
            let text = Substring(try string(name, arguments))
            return .string(String(text.trimmingSpace))
        case "replace":
            guard arguments.count == 3, let old = arguments[0]?.string, let new = arguments[1]?.string,
                let text = arguments[2]?.string
            else { throw Failure("expected the old text, the new text and the text") }
            return .string(parts(of: text, old).joined(separator: new))
        case "pad":
            guard arguments.count == 3, let text = arguments[0]?.string, let before = arguments[1]?.int,
                let after = arguments[2]?.int, (0...4096).contains(before), (0...4096).contains(after)
            else { throw Failure("expected a string and two numbers") }
            if text.isEmpty { return .string(text) }
            return .string(
                String(repeating: " ", count: before) + text + String(repeating: " ", count: after))
        case "truncate":
            guard arguments.count == 2, let text = arguments[0]?.string, let length = arguments[1]?.int else {
                throw Failure("expected a string and a number")
            }
            return .string(String(text.unicodeScalars.prefix(max(0, length)).map(Character.init)))
        default: throw Failure("not defined")
        }
    }

    private static func only(_ name: String, _ arguments: [JSON?]) throws(Failure) -> JSON? {
        guard arguments.count == 1 else {
            throw Failure("wrong number of args for \(name): want 1 got \(arguments.count)")
        }
        return arguments[0]
    }

    private static func string(_ name: String, _ arguments: [JSON?]) throws(Failure) -> String {
        let value = try only(name, arguments)
        guard let text = value?.string else {
            throw Failure("wrong type for value; expected string; got \(GoText.typeName(value))")
        }
        return text
    }

    private static func twoStrings(_ name: String, _ arguments: [JSON?]) throws(Failure) -> (String, String) {
        guard arguments.count == 2 else {
            throw Failure("wrong number of args for \(name): want 2 got \(arguments.count)")
        }
        guard let first = arguments[0]?.string, let second = arguments[1]?.string else {
            throw Failure("expected two strings")
        }
        return (first, second)
    }

    private static func length(_ value: JSON?) throws(Failure) -> Int {
        switch value {
        case .string(let text)?: return text.utf8.count
        case .array(let elements)?: return elements.count
        case .object(let object)?: return object.count
        case nil, .null?: throw Failure("len of nil pointer")
        case let value?: throw Failure("len of type \(GoText.typeName(value))")
        }
    }

    private static func index(_ arguments: [JSON?]) throws(Failure) -> JSON? {
        guard var value = arguments.first else {
            throw Failure("wrong number of args for index: want at least 1 got 0")
        }
        for key in arguments.dropFirst() {
            switch value {
            case nil, .null?: throw Failure("index of untyped nil")
            case .array(let elements)?:
                guard let position = key?.int else {
                    throw Failure("cannot index slice/array with type \(GoText.typeName(key))")
                }
                guard elements.indices.contains(position) else {
                    throw Failure("index out of range: \(position)")
                }
                value = elements[position]
            case .string(let text)?:
                guard let position = key?.int else {
                    throw Failure("cannot index slice/array with type \(GoText.typeName(key))")
                }
                let bytes = Array(text.utf8)
                guard bytes.indices.contains(position) else {
                    throw Failure("index out of range: \(position)")
                }
                value = .integer(Int64(bytes[position]))
            case .object(let object)?:
                guard let name = key?.string else {
                    throw Failure("value has type \(GoText.typeName(key)); should be string")
                }
                if let member = object[name] {
                    value = member
                } else {
                    // Labels and options are map[string]string in Go, where what is missing is "".
                    let isStrings = !object.isEmpty && object.members.allSatisfy { $0.value.string != nil }
                    value = isStrings ? .string("") : nil
                }
            case let other?: throw Failure("can't index item of type \(GoText.typeName(other))")
            }
        }
        return value
    }

    private static func slice(_ arguments: [JSON?]) throws(Failure) -> JSON? {
        guard let value = arguments.first, arguments.count <= 3 else {
            throw Failure("wrong number of args for slice")
        }
        var bounds: [Int] = []
        for argument in arguments.dropFirst() {
            guard let bound = argument?.int else {
                throw Failure("cannot index slice/array with type \(GoText.typeName(argument))")
            }
            bounds.append(bound)
        }
        let count = try length(value)
        let (low, high) = (bounds.first ?? 0, bounds.count > 1 ? bounds[1] : count)
        guard 0 <= low, low <= high, high <= count else {
            throw Failure("index out of range: \(low):\(high)")
        }
        switch value {
        case .string(let text)?: return .string(String(decoding: Array(text.utf8)[low..<high], as: UTF8.self))
        case .array(let elements)?: return .array(Array(elements[low..<high]))
        default: throw Failure("can't slice item of type \(GoText.typeName(value))")
        }
    }

    private static func printed(_ value: JSON?) -> String { value.map(GoText.nested) ?? "<nil>" }

    /// fmt.Sprint: a space between operands of which neither is a string.
    private static func print(_ arguments: [JSON?]) -> String {
        var output = ""
        var lastIsString = true
        for (position, argument) in arguments.enumerated() {
            let isString = argument?.string != nil
            if position > 0, !isString, !lastIsString { output += " " }
            output += printed(argument)
            lastIsString = isString
        }
        return output
    }

    private static func join(_ arguments: [JSON?]) throws(Failure) -> String {
        guard arguments.count == 2 else {
            throw Failure("wrong number of args for join: want 2 got \(arguments.count)")
        }
        guard let separator = arguments[1]?.string else { throw Failure("the separator is no string") }
        switch arguments[0] {
        case nil, .null?: return ""
        case .array(let elements)?: return elements.map(GoText.nested).joined(separator: separator)
        case let value:
            throw Failure("wrong type for value; expected []string; got \(GoText.typeName(value))")
        }
    }

    /// strings.Split: an empty separator splits into characters.
    private static func parts(of text: String, _ separator: String) -> [String] {
        if separator.isEmpty { return text.unicodeScalars.map { String($0) } }
        let (bytes, pattern) = (Array(text.utf8), Array(separator.utf8))
        var parts: [String] = []
        var start = 0
        var position = 0
        while position + pattern.count <= bytes.count {
            if bytes[position..<(position + pattern.count)].elementsEqual(pattern) {
                parts.append(String(decoding: bytes[start..<position], as: UTF8.self))
                position += pattern.count
                start = position
            } else {
                position += 1
            }
        }
        parts.append(String(decoding: bytes[start...], as: UTF8.self))
        return parts
    }

    /// strings.Title: the first letter of every word in upper case.
    private static func title(_ text: String) -> String {
        var output = ""
        var atStart = true
        for character in text {
            output += atStart ? character.uppercased() : String(character)
            atStart = !(character.isLetter || character.isNumber || character == "_")
        }
        return output
    }
}

extension Substring {
    fileprivate var trimmingSpace: Substring {
        var text = drop { $0.isWhitespace }
        while text.last?.isWhitespace ?? false { text.removeLast() }
        return text
    }
}

enum Comparison {
    static func judge(_ name: String, _ arguments: [JSON?]) throws(Template.FunctionError) -> Bool {
        guard let first = arguments.first, arguments.count == 2 || name == "eq" && arguments.count > 2 else {
            throw Template.FunctionError("missing argument for comparison")
        }
        switch name {
        case "eq":
            for other in arguments.dropFirst() where try areEqual(first, other) { return true }
            return false
        case "ne": return try !areEqual(first, arguments[1])
        case "lt": return try precedes(first, arguments[1])
        case "le":
            if try precedes(first, arguments[1]) { return true }
            return try areEqual(first, arguments[1])
        case "gt":
            if try precedes(first, arguments[1]) { return false }
            return try !areEqual(first, arguments[1])
        default: return try !precedes(first, arguments[1])
        }
    }

    private static func areEqual(_ left: JSON?, _ right: JSON?) throws(Template.FunctionError) -> Bool {
        let (left, right) = (left ?? .null, right ?? .null)
        switch (left, right) {
        case (.null, _), (_, .null): return left == right
        case (.string(let left), .string(let right)): return left == right
        case (.bool(let left), .bool(let right)): return left == right
        case (.integer(let left), .integer(let right)): return left == right
        case (.integer, .number), (.number, .integer), (.number, .number): return left.double == right.double
        case (.array, _), (.object, _):
            throw Template.FunctionError("non-comparable type \(GoText.typeName(left))")
        default: throw Template.FunctionError("incompatible types for comparison")
        }
    }

    private static func precedes(_ left: JSON?, _ right: JSON?) throws(Template.FunctionError) -> Bool {
        switch (left, right) {
        case (.string(let left)?, .string(let right)?): return left.utf8.lexicographicallyPrecedes(right.utf8)
        case (.integer(let left)?, .integer(let right)?): return left < right
        case (.integer?, .number?), (.number?, .integer?), (.number?, .number?):
            guard let left = left?.double, let right = right?.double else { return false }
            return left < right
        case (.bool?, _), (.array?, _), (.object?, _), (nil, _), (.null?, _):
            throw Template.FunctionError("invalid type for comparison")
        default: throw Template.FunctionError("incompatible types for comparison")
        }
    }
}
