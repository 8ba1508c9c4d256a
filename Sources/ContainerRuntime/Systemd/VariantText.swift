/// Reads the text format of GVariant: `true`, `'text'`, `uint64 5`, `@as []`, `[('/dev/null', 'rw')]`.
///
///     let value = try VariantText.parse("[uint32 1, 2]")
///
/// A number without a type is an int32, or a double when it has a fraction or an exponent.
struct VariantText {
    private var rest: Substring.UTF8View

    /// - Throws: what is wrong with the text.
    static func parse(_ text: String) throws(DBusError) -> DBusValue {
        var parser = VariantText(rest: text[...].utf8)
        let node = try parser.node(depth: 0)
        parser.skipSpace()
        guard parser.rest.isEmpty else { throw parser.unexpected() }
        guard let type = node.type else {
            throw DBusError(message: "the type of an empty array is not given")
        }
        return try node.value(as: type)
    }

    /// What was written, before its type is known.
    fileprivate indirect enum Node {
        case number(String)
        case string(String)
        case boolean(Bool)
        case bytes([UInt8])
        case array([Node])
        case dictionary([(Node, Node)])
        case tuple([Node])
        case variant(Node)
        case typed(String, Node)
    }

    // MARK: - Syntax

    private static let depthLimit = 32
    private static let keywords = [
        "boolean": "b", "byte": "y", "int16": "n", "uint16": "q", "int32": "i", "uint32": "u", "int64": "x",
        "uint64": "t", "double": "d", "string": "s", "objectpath": "o", "signature": "g",
    ]

    private mutating func node(depth: Int) throws(DBusError) -> Node {
        guard depth <= Self.depthLimit else { throw DBusError(message: "too deep") }
        skipSpace()
        guard let first = rest.first else { throw unexpected() }
        switch first {
        case UInt8(ascii: "'"), UInt8(ascii: "\""): return .string(try quoted())
        case UInt8(ascii: "["):
            rest.removeFirst()
            return .array(try list(until: UInt8(ascii: "]"), depth))
        case UInt8(ascii: "("):
            rest.removeFirst()
            return .tuple(try list(until: UInt8(ascii: ")"), depth))
        case UInt8(ascii: "{"):
            rest.removeFirst()
            return try dictionary(depth)
        case UInt8(ascii: "<"):
            rest.removeFirst()
            let inner = try node(depth: depth + 1)
            try expect(UInt8(ascii: ">"))
            return .variant(inner)
        case UInt8(ascii: "@"):
            rest.removeFirst()
            guard let type = DBusType.takeFirst(&rest) else { throw unexpected() }
            return .typed(type, try node(depth: depth + 1))
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."):
            return .number(word())
        case UInt8(ascii: "b") where rest.dropFirst().first == UInt8(ascii: "'"),
            UInt8(ascii: "b") where rest.dropFirst().first == UInt8(ascii: "\""):
            rest.removeFirst()
            // With the zero that ends a string of C.
            return .bytes(Array(try quoted().utf8) + [0])
        default:
            let start = rest
            let word = word()
            if word == "true" || word == "false" { return .boolean(word == "true") }
            guard let type = Self.keywords[word] else {
                rest = start
                throw unexpected()
            }
            return .typed(type, try node(depth: depth + 1))
        }
    }

    private mutating func list(until end: UInt8, _ depth: Int) throws(DBusError) -> [Node] {
        var nodes: [Node] = []
        while true {
            skipSpace()
            if rest.first == end {
                rest.removeFirst()
                return nodes
            }
            if !nodes.isEmpty { try expect(UInt8(ascii: ",")) }
            skipSpace()
            // A tuple of one ends in a comma.
            if rest.first == end, end == UInt8(ascii: ")"), nodes.count == 1 { continue }
            nodes.append(try node(depth: depth + 1))
        }
    }

    private mutating func dictionary(_ depth: Int) throws(DBusError) -> Node {
        var entries: [(Node, Node)] = []
        while true {
            skipSpace()
            if rest.first == UInt8(ascii: "}") {
                rest.removeFirst()
                return .dictionary(entries)
            }
            if !entries.isEmpty { try expect(UInt8(ascii: ",")) }
            let key = try node(depth: depth + 1)
            try expect(UInt8(ascii: ":"))
            entries.append((key, try node(depth: depth + 1)))
        }
    }

    private mutating func quoted() throws(DBusError) -> String {
        guard let quote = rest.popFirst() else { throw unexpected() }
        var text: [UInt8] = []
        while let byte = rest.popFirst() {
            if byte == quote { return String(decoding: text, as: UTF8.self) }
            guard byte == UInt8(ascii: "\\") else {
                text.append(byte)
                continue
            }
            guard let escaped = rest.popFirst() else { break }
            switch escaped {
            case UInt8(ascii: "a"): text.append(0x07)
            case UInt8(ascii: "b"): text.append(0x08)
            case UInt8(ascii: "f"): text.append(0x0C)
            case UInt8(ascii: "n"): text.append(0x0A)
            case UInt8(ascii: "r"): text.append(0x0D)
            case UInt8(ascii: "t"): text.append(0x09)
            case UInt8(ascii: "v"): text.append(0x0B)
            case 0x0A: break
            case UInt8(ascii: "u"), UInt8(ascii: "U"):
                let digits = rest.prefix(escaped == UInt8(ascii: "u") ? 4 : 8)
                rest = rest.dropFirst(digits.count)
                guard let number = UInt32(String(Substring(digits)), radix: 16),
                    let scalar = Unicode.Scalar(number)
                else { throw DBusError(message: "bad unicode escape") }
                text += Array(String(Character(scalar)).utf8)
            default: text.append(escaped)
            }
        }
        throw DBusError(message: "a string does not end")
    }

    private mutating func word() -> String {
        let word = rest.prefix { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "+"),
                UInt8(ascii: "-"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
        rest = rest.dropFirst(word.count)
        return String(Substring(word))
    }

    private mutating func skipSpace() {
        rest = rest.drop { $0 == 0x20 || (0x09...0x0D).contains($0) }
    }

    private mutating func expect(_ byte: UInt8) throws(DBusError) {
        skipSpace()
        guard rest.first == byte else { throw unexpected() }
        rest.removeFirst()
    }

    private func unexpected() -> DBusError {
        DBusError(
            message: rest.isEmpty ? "unexpected end" : "unexpected \"\(String(Substring(rest.prefix(20))))\"")
    }
}

extension VariantText.Node {
    /// The type by itself; nil for an array in which nothing says it.
    fileprivate var type: String? {
        switch self {
        case .number(let text): return Self.isFraction(text) ? "d" : "i"
        case .string: return "s"
        case .boolean: return "b"
        case .bytes: return "ay"
        case .variant: return "v"
        case .typed(let type, _): return type
        case .array(let nodes): return Self.common(nodes).map { "a" + $0 }
        case .dictionary(let entries):
            guard let key = Self.common(entries.map(\.0)), let value = Self.common(entries.map(\.1)) else {
                return nil
            }
            return "a{\(key)\(value)}"
        case .tuple(let nodes):
            var members = ""
            for node in nodes {
                guard let type = node.type else { return nil }
                members += type
            }
            return members.isEmpty ? nil : "(\(members))"
        }
    }

    /// What an array's elements are: as one of them says, else a number with a fraction decides.
    private static func common(_ nodes: [Self]) -> String? {
        let types = nodes.compactMap(\.type)
        if let stated = nodes.first(where: \.isTyped)?.type { return stated }
        return types.contains("d") ? "d" : types.first
    }

    private var isTyped: Bool {
        switch self {
        case .typed: true
        case .array(let nodes), .tuple(let nodes): nodes.contains(where: \.isTyped)
        default: false
        }
    }

    private static func isFraction(_ text: String) -> Bool {
        !isHexadecimal(text) && text.utf8.contains { ".eE".utf8.contains($0) }
    }

    private static func isHexadecimal(_ text: String) -> Bool { text.contains("0x") || text.contains("0X") }

    /// - Throws: when the text is nothing of the type, or out of its range.
    fileprivate func value(as type: String) throws(DBusError) -> DBusValue {
        switch self {
        case .typed(let own, let inner):
            guard own == type else { throw Self.mismatch(own, type) }
            return try inner.value(as: own)
        case .number(let text): return try Self.number(text, type)
        case .boolean(let flag) where type == "b": return .boolean(flag)
        case .string(let text) where type == "s": return .string(text)
        case .string(let text) where type == "o": return .objectPath(text)
        case .string(let text) where type == "g" && DBusType.all(text) != nil: return .signature(text)
        case .bytes(let bytes) where type == "ay": return .bytes(bytes)
        case .variant(let inner) where type == "v":
            guard let own = inner.type else {
                throw DBusError(message: "the type of an empty array is not given")
            }
            return .variant(try inner.value(as: own))
        case .array(let nodes) where type.utf8.first == UInt8(ascii: "a"):
            let element = String(type.dropFirst())
            var values: [DBusValue] = []
            for node in nodes { values.append(try node.value(as: element)) }
            return .array(of: element, values)
        case .dictionary(let entries) where type.hasPrefix("a{"):
            let types = DBusType.all(String(type.dropFirst(2).dropLast())) ?? []
            guard types.count == 2 else { break }
            var values: [DBusValue] = []
            for (key, value) in entries {
                values.append(.entry(try key.value(as: types[0]), try value.value(as: types[1])))
            }
            return .array(of: String(type.dropFirst()), values)
        case .tuple(let nodes) where type.utf8.first == UInt8(ascii: "("):
            let types = DBusType.all(String(type.dropFirst().dropLast())) ?? []
            guard types.count == nodes.count else { break }
            var values: [DBusValue] = []
            for (node, type) in zip(nodes, types) { values.append(try node.value(as: type)) }
            return .structure(values)
        default: break
        }
        throw Self.mismatch(self.type ?? "an empty array", type)
    }

    private static func mismatch(_ own: String, _ wanted: String) -> DBusError {
        DBusError(message: "type \(own) where \(wanted) is wanted")
    }

    private static func number(_ text: String, _ type: String) throws(DBusError) -> DBusValue {
        func integer<Number: FixedWidthInteger>(_: Number.Type) throws(DBusError) -> Number {
            let isNegative = text.utf8.first == UInt8(ascii: "-")
            var digits = text[...]
            if isNegative || text.utf8.first == UInt8(ascii: "+") { digits = digits.dropFirst() }
            var radix = 10
            if digits.hasPrefix("0x") || digits.hasPrefix("0X") {
                radix = 16
                digits = digits.dropFirst(2)
            } else if digits.utf8.count > 1, digits.utf8.first == UInt8(ascii: "0") {
                radix = 8
            }
            guard digits.utf8.first != UInt8(ascii: "-"), digits.utf8.first != UInt8(ascii: "+"),
                let number = Number((isNegative ? "-" : "") + digits, radix: radix)
            else { throw DBusError(message: "\(text) is no number of type \(type)") }
            return number
        }
        switch type {
        case "y": return .byte(try integer(UInt8.self))
        case "n": return .int16(try integer(Int16.self))
        case "q": return .uint16(try integer(UInt16.self))
        case "i": return .int32(try integer(Int32.self))
        case "u": return .uint32(try integer(UInt32.self))
        case "x": return .int64(try integer(Int64.self))
        case "t": return .uint64(try integer(UInt64.self))
        case "d":
            guard let number = Double(text), number.isFinite else {
                throw DBusError(message: "\(text) is no number of type d")
            }
            return .double(number)
        default: throw mismatch(isFraction(text) ? "d" : "i", type)
        }
    }
}
