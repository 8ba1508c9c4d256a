/// Why a text is no JSON, or a document lacks what is asked of it.
public struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Where: `linux.namespaces[2].type`, empty at the top or in the raw text.
    public var path: String
    public var message: String

    public init(path: String = "", _ message: String) {
        self.path = path
        self.message = message
    }

    public var description: String { path.isEmpty ? message : "\(path): \(message)" }

    /// The same error seen from one level further out.
    public func under(_ outer: String) -> JSONError {
        if path.isEmpty { return JSONError(path: outer, message) }
        return JSONError(path: path.hasPrefix("[") ? outer + path : "\(outer).\(path)", message)
    }
}

extension JSON {
    /// Deeper documents are refused: the parser recurses.
    public static let maximumDepth = 512

    /// Parses one JSON text; anything but white space after it is an error.
    public init(parsing text: String) throws(JSONError) {
        var text = text
        self = try text.withUTF8Typed { bytes throws(JSONError) in try JSON(parsing: bytes) }
    }

    /// - Parameter refusingNUL: strings are for the kernel, which would see their begin up to a NUL only:
    ///   `/proc\u0000` is another path for it than for who checked it.
    /// - Parameter refusingDuplicates: a name that stands twice in an object is an error: for documents
    ///   that are signed or that rule what is trusted, of which all readers must see the same.
    public init(
        parsing bytes: [UInt8], refusingNUL: Bool = false, refusingDuplicates: Bool = false
    ) throws(JSONError) {
        var result: Result<JSON, JSONError> = .failure(JSONError("unread"))
        bytes.withUnsafeBufferPointer { buffer in
            do throws(JSONError) {
                var parser = Parser(bytes: buffer, refusesNUL: refusingNUL)
                parser.refusesDuplicates = refusingDuplicates
                result = .success(try parser.document())
            } catch {
                result = .failure(error)
            }
        }
        self = try result.get()
    }

    public init(parsing bytes: UnsafeBufferPointer<UInt8>) throws(JSONError) {
        var parser = Parser(bytes: bytes, refusesNUL: false)
        self = try parser.document()
    }
}

extension String {
    fileprivate mutating func withUTF8Typed(
        _ body: (UnsafeBufferPointer<UInt8>) throws(JSONError) -> JSON
    ) throws(JSONError) -> JSON {
        var result: Result<JSON, JSONError> = .failure(JSONError("unread"))
        withUTF8 { buffer in
            do throws(JSONError) {
                result = .success(try body(buffer))
            } catch {
                result = .failure(error)
            }
        }
        return try result.get()
    }
}

private struct Parser {
    let bytes: UnsafeBufferPointer<UInt8>
    let refusesNUL: Bool
    var refusesDuplicates = false
    var position = 0

    init(bytes: UnsafeBufferPointer<UInt8>, refusesNUL: Bool) {
        self.bytes = bytes
        self.refusesNUL = refusesNUL
    }

    mutating func document() throws(JSONError) -> JSON {
        skipSpace()
        let value = try value(depth: 0)
        skipSpace()
        guard position == bytes.count else { throw failure("unexpected text after the document") }
        return value
    }

    func failure(_ what: String) -> JSONError {
        position >= bytes.count
            ? JSONError("invalid JSON: unexpected end of input at byte \(bytes.count)")
            : JSONError("invalid JSON: \(what) at byte \(position)")
    }

    @inline(__always)
    mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    mutating func value(depth: Int) throws(JSONError) -> JSON {
        guard position < bytes.count else { throw failure("") }
        guard depth < JSON.maximumDepth else {
            throw JSONError("invalid JSON: nested deeper than \(JSON.maximumDepth) levels")
        }
        switch bytes[position] {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw failure("unexpected character")
        }
    }

    mutating func literal(_ text: StaticString, _ value: JSON) throws(JSONError) -> JSON {
        let count = text.utf8CodeUnitCount
        guard position + count <= bytes.count else {
            position = bytes.count
            throw failure("")
        }
        for offset in 0..<count where bytes[position + offset] != text.utf8Start[offset] {
            throw failure("unexpected character")
        }
        position += count
        return value
    }

    mutating func object(depth: Int) throws(JSONError) -> JSON {
        position += 1
        var object = JSONObject()
        skipSpace()
        if position < bytes.count, bytes[position] == UInt8(ascii: "}") {
            position += 1
            return .object(object)
        }
        while true {
            skipSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
                throw failure("expected a member name")
            }
            let name = try string()
            if refusesDuplicates, object[name] != nil {
                throw JSONError(path: name, "stands twice")
            }
            skipSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: ":") else {
                throw failure("expected ':'")
            }
            position += 1
            skipSpace()
            object[name] = try value(depth: depth + 1)
            skipSpace()
            guard position < bytes.count else { throw failure("") }
            switch bytes[position] {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "}"):
                position += 1
                return .object(object)
            default: throw failure("expected ',' or '}'")
            }
        }
    }

    mutating func array(depth: Int) throws(JSONError) -> JSON {
        position += 1
        var elements: [JSON] = []
        skipSpace()
        if position < bytes.count, bytes[position] == UInt8(ascii: "]") {
            position += 1
            return .array(elements)
        }
        while true {
            skipSpace()
            elements.append(try value(depth: depth + 1))
            skipSpace()
            guard position < bytes.count else { throw failure("") }
            switch bytes[position] {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "]"):
                position += 1
                return .array(elements)
            default: throw failure("expected ',' or ']'")
            }
        }
    }

    mutating func string() throws(JSONError) -> String {
        position += 1
        let start = position
        // The common case: no escape, one copy.
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                let slice = UnsafeBufferPointer(rebasing: bytes[start..<position])
                position += 1
                return String(decoding: slice, as: UTF8.self)
            }
            if byte == UInt8(ascii: "\\") { break }
            guard byte >= 0x20 else { throw failure("control character in a string") }
            position += 1
        }
        var text = Array(bytes[start..<position])
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                position += 1
                try escape(into: &text)
            case 0..<0x20:
                throw failure("control character in a string")
            default:
                text.append(byte)
                position += 1
            }
        }
        throw failure("")
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        guard position < bytes.count else { throw failure("") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            var scalar = UInt32(try hexadecimal())
            if refusesNUL, scalar == 0 { throw failure("NUL in a string") }
            if (0xD800..<0xDC00).contains(scalar), position + 6 <= bytes.count,
                bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u")
            {
                let resume = position
                position += 2
                let low = UInt32(try hexadecimal())
                if (0xDC00..<0xE000).contains(low) {
                    scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
                } else {
                    position = resume
                }
            }
            // A lone surrogate becomes U+FFFD, as Go's decoder has it.
            text.append(contentsOf: String(Unicode.Scalar(scalar) ?? "\u{FFFD}").utf8)
        default:
            position -= 1
            throw failure("unknown escape")
        }
    }

    private mutating func hexadecimal() throws(JSONError) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard position < bytes.count else { throw failure("") }
            let digit: UInt8
            switch bytes[position] {
            case let byte where byte >= 0x30 && byte <= 0x39: digit = byte - 0x30
            case let byte where byte >= 0x41 && byte <= 0x46: digit = byte - 0x41 + 10
            case let byte where byte >= 0x61 && byte <= 0x66: digit = byte - 0x61 + 10
            default: throw failure("expected a hexadecimal digit")
            }
            value = value << 4 | UInt16(digit)
            position += 1
        }
        return value
    }

    mutating func number() throws(JSONError) -> JSON {
        let start = position
        var isInteger = true
        if bytes[position] == UInt8(ascii: "-") { position += 1 }
        guard position < bytes.count else { throw failure("") }
        if bytes[position] == UInt8(ascii: "0") {
            position += 1
        } else {
            try digits()
        }
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            isInteger = false
            position += 1
            try digits()
        }
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            position += 1
            if position < bytes.count,
                bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-")
            {
                position += 1
            }
            try digits()
        }
        let text = String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<position]), as: UTF8.self)
        if isInteger, let value = Int64(text) { return .integer(value) }
        return .number(text)
    }

    private mutating func digits() throws(JSONError) {
        let start = position
        while position < bytes.count, bytes[position] >= 0x30, bytes[position] <= 0x39 {
            position += 1
        }
        guard position > start else { throw failure("expected a digit") }
    }
}
