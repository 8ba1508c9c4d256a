/// The reader behind `TOML.init(parsing:)`.
struct TOMLParser {
    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    private static let maximumDepth = 64

    init(_ text: String) { bytes = Array(text.utf8) }

    mutating func document() throws(TOMLError) -> [String: TOML] {
        var root: [String: TOML] = [:]
        var current: [String] = []
        var defined: Set<[String]> = []
        while true {
            skipBlank()
            guard let byte = peek else { return root }
            if byte == UInt8(ascii: "[") {
                position += 1
                let isArray = peek == UInt8(ascii: "[")
                if isArray { position += 1 }
                current = try keys()
                try expect(UInt8(ascii: "]"))
                if isArray {
                    try expect(UInt8(ascii: "]"))
                    // Tables below the previous element may be defined again below the new one.
                    defined = defined.filter { !$0.starts(with: current) }
                    try insert(nil, at: current, appending: true, in: &root)
                } else {
                    guard defined.insert(current).inserted else {
                        throw failure("the table \(current.joined(separator: ".")) is defined twice")
                    }
                    try insert(nil, at: current, appending: false, in: &root)
                }
            } else {
                let path = try keys()
                try expect(UInt8(ascii: "="))
                let value = try value(depth: 0)
                try insert(value, at: current + path, appending: false, in: &root)
            }
            try endOfLine()
        }
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func failure(_ message: String) -> TOMLError { TOMLError(line: line, message: message) }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x09 { position += 1 }
    }

    private mutating func skipBlank() {
        while let byte = peek {
            switch byte {
            case 0x20, 0x09, 0x0D: position += 1
            case 0x0A:
                line += 1
                position += 1
            case UInt8(ascii: "#"):
                while let byte = peek, byte != 0x0A {
                    _ = byte
                    position += 1
                }
            default: return
            }
        }
    }

    private mutating func endOfLine() throws(TOMLError) {
        skipSpace()
        guard let byte = peek else { return }
        guard byte == 0x0A || byte == 0x0D || byte == UInt8(ascii: "#") else {
            throw failure("unexpected text after a value")
        }
        skipBlank()
    }

    private mutating func expect(_ byte: UInt8) throws(TOMLError) {
        skipSpace()
        guard peek == byte else { throw failure("expected '\(Character(Unicode.Scalar(byte)))'") }
        position += 1
        skipSpace()
    }

    /// A key, dotted or not.
    private mutating func keys() throws(TOMLError) -> [String] {
        var keys: [String] = []
        repeat {
            if !keys.isEmpty { position += 1 }
            skipSpace()
            switch peek {
            case UInt8(ascii: "\""), UInt8(ascii: "'"): keys.append(try string())
            default:
                let start = position
                while let byte = peek, Self.isBare(byte) { position += 1 }
                guard position > start else { throw failure("expected a key") }
                keys.append(String(decoding: bytes[start..<position], as: UTF8.self))
            }
            skipSpace()
        } while peek == UInt8(ascii: ".")
        guard keys.count <= Self.maximumDepth else { throw failure("too many parts in a key") }
        return keys
    }

    private static func isBare(_ byte: UInt8) -> Bool {
        (byte >= 0x30 && byte <= 0x39) || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A)
            || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
    }

    /// Puts a value, or an empty table, under a path; the last element of an
    /// array of tables stands for the array on the way.
    private func insert(
        _ value: TOML?, at path: [String], appending: Bool, in table: inout [String: TOML]
    ) throws(TOMLError) {
        let name = path[0]
        if path.count > 1 {
            switch table[name] {
            case nil:
                var inner: [String: TOML] = [:]
                try insert(value, at: Array(path.dropFirst()), appending: appending, in: &inner)
                table[name] = .table(inner)
            case .table(var inner):
                try insert(value, at: Array(path.dropFirst()), appending: appending, in: &inner)
                table[name] = .table(inner)
            case .array(var elements):
                guard case .table(var inner) = elements.last else { throw failure("\(name) is no table") }
                try insert(value, at: Array(path.dropFirst()), appending: appending, in: &inner)
                elements[elements.count - 1] = .table(inner)
                table[name] = .array(elements)
            default: throw failure("\(name) is no table")
            }
            return
        }
        switch (table[name], value) {
        case (nil, let value?): table[name] = value
        case (nil, nil): table[name] = appending ? .array([.table([:])]) : .table([:])
        case (.array(let elements)?, nil) where appending:
            table[name] = .array(elements + [.table([:])])
        case (.table?, nil) where !appending: break
        default: throw failure("\(name) is defined twice")
        }
    }

    private mutating func value(depth: Int) throws(TOMLError) -> TOML {
        guard depth < Self.maximumDepth else { throw failure("nested too deep") }
        switch peek {
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return .string(try string())
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "{"): return try inlineTable(depth: depth)
        default: return try word()
        }
    }

    private mutating func array(depth: Int) throws(TOMLError) -> TOML {
        position += 1
        var elements: [TOML] = []
        while true {
            skipBlank()
            if peek == UInt8(ascii: "]") { break }
            elements.append(try value(depth: depth + 1))
            skipBlank()
            if peek == UInt8(ascii: ",") {
                position += 1
            } else if peek != UInt8(ascii: "]") {
                throw failure("expected ',' or ']'")
            }
        }
        position += 1
        return .array(elements)
    }

    private mutating func inlineTable(depth: Int) throws(TOMLError) -> TOML {
        position += 1
        var table: [String: TOML] = [:]
        skipBlank()
        while peek != UInt8(ascii: "}") {
            let path = try keys()
            try expect(UInt8(ascii: "="))
            let value = try value(depth: depth + 1)
            try insert(value, at: path, appending: false, in: &table)
            skipBlank()
            if peek == UInt8(ascii: ",") {
                position += 1
                skipBlank()
            } else if peek != UInt8(ascii: "}") {
                throw failure("expected ',' or '}'")
            }
        }
        position += 1
        return .table(table)
    }

    /// A boolean, a number or a date.
    private mutating func word() throws(TOMLError) -> TOML {
        let start = position
        while let byte = peek,
            Self.isBare(byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".")
                || byte == UInt8(ascii: ":")
        {
            position += 1
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        switch text {
        case "": throw failure("expected a value")
        case "true": return .bool(true)
        case "false": return .bool(false)
        default: break
        }
        let digits = text.filter { $0 != "_" }
        if let number = Int64(digits) { return .integer(number) }
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where digits.hasPrefix(prefix) {
            if let number = Int64(digits.dropFirst(2), radix: radix) { return .integer(number) }
        }
        if let number = Double(digits) { return .float(number) }
        if text.first!.isNumber, text.contains("-") || text.contains(":") { return .string(text) }
        throw failure("\"\(text.prefix(60))\" is no value")
    }

    private mutating func string() throws(TOMLError) -> String {
        let quote = bytes[position]
        let isBasic = quote == UInt8(ascii: "\"")
        let isLong =
            position + 2 < bytes.count && bytes[position + 1] == quote && bytes[position + 2] == quote
        position += isLong ? 3 : 1
        if isLong {
            if peek == 0x0D { position += 1 }
            if peek == 0x0A {
                position += 1
                line += 1
            }
        }
        var output: [UInt8] = []
        while let byte = peek {
            if byte == quote {
                if !isLong {
                    position += 1
                    return String(decoding: output, as: UTF8.self)
                }
                if position + 2 < bytes.count, bytes[position + 1] == quote, bytes[position + 2] == quote {
                    position += 3
                    // Up to two quotes may stand before the closing three.
                    while peek == quote {
                        output.append(quote)
                        position += 1
                    }
                    return String(decoding: output, as: UTF8.self)
                }
            }
            if byte == 0x0A {
                guard isLong else { break }
                line += 1
            }
            position += 1
            if byte == UInt8(ascii: "\\"), isBasic {
                try escape(into: &output, isLong: isLong)
            } else {
                output.append(byte)
            }
        }
        throw failure("a string without end")
    }

    private mutating func escape(into output: inout [UInt8], isLong: Bool) throws(TOMLError) {
        guard let byte = peek else { throw failure("a string without end") }
        position += 1
        switch byte {
        case UInt8(ascii: "b"): output.append(0x08)
        case UInt8(ascii: "t"): output.append(0x09)
        case UInt8(ascii: "n"): output.append(0x0A)
        case UInt8(ascii: "f"): output.append(0x0C)
        case UInt8(ascii: "r"): output.append(0x0D)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): output.append(byte)
        case UInt8(ascii: "u"), UInt8(ascii: "U"):
            let count = byte == UInt8(ascii: "u") ? 4 : 8
            guard position + count <= bytes.count,
                let value = UInt32(
                    String(decoding: bytes[position..<position + count], as: UTF8.self), radix: 16),
                let scalar = Unicode.Scalar(value)
            else { throw failure("an escape that is no character") }
            output.append(contentsOf: Array(String(Character(scalar)).utf8))
            position += count
        case 0x20 where isLong, 0x09 where isLong, 0x0D where isLong, 0x0A where isLong:
            // A backslash at the end of a line swallows the white space up to the next character.
            position -= 1
            while let byte = peek, byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A {
                if byte == 0x0A { line += 1 }
                position += 1
            }
        default: throw failure("an unknown escape")
        }
    }
}
