/// A piece of a template's text.
enum Token: Equatable {
    case text(String)
    case open, close
    case identifier(String)
    /// `.A`; without its dot. A field is glued when no space stands before it: `$x.A`, `(…).A`.
    case field(String, glued: Bool)
    case dot
    /// `$` or `$x`, without the dollar.
    case variable(String)
    case string(String)
    case character(Int64)
    case integer(Int64)
    case decimal(Double)
    case pipe, comma, declare, assign, leftParenthesis, rightParenthesis
    case end
}

/// Splits a template into tokens (text/template/parse/lex.go describes the same language).
struct Lexer {
    let bytes: [UInt8]
    private var position = 0
    private(set) var tokens: [(token: Token, offset: Int)] = []

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    static func tokens(of bytes: [UInt8]) throws(Fault) -> [(token: Token, offset: Int)] {
        var lexer = Lexer(bytes)
        try lexer.run()
        return lexer.tokens
    }

    private func at(_ offset: Int) -> UInt8 { offset < bytes.count ? bytes[offset] : 0 }

    private func has(_ text: StaticString, at offset: Int) -> Bool {
        guard offset + text.utf8CodeUnitCount <= bytes.count else { return false }
        return (0..<text.utf8CodeUnitCount).allSatisfy { bytes[offset + $0] == text.utf8Start[$0] }
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x80...: true
        default: false
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

    private mutating func run() throws(Fault) {
        var trimNext = false
        while position < bytes.count {
            let start = position
            while position < bytes.count, !has("{{", at: position) { position += 1 }
            var slice = bytes[start..<position]
            if trimNext { slice = slice.drop(while: Self.isSpace) }
            let opens = position < bytes.count
            let trims = opens && at(position + 2) == UInt8(ascii: "-") && Self.isSpace(at(position + 3))
            if trims { while let last = slice.last, Self.isSpace(last) { slice.removeLast() } }
            if !slice.isEmpty { tokens.append((.text(String(decoding: slice, as: UTF8.self)), start)) }
            guard opens else { break }
            let opened = position
            position += trims ? 3 : 2
            trimNext = try action(opened)
        }
        tokens.append((.end, bytes.count))
    }

    /// Everything up to the closing braces.
    /// - Returns: whether the white space after them is to go.
    private mutating func action(_ opened: Int) throws(Fault) -> Bool {
        var lookahead = position
        while Self.isSpace(at(lookahead)) { lookahead += 1 }
        if has("/*", at: lookahead) { return try comment(opened, from: lookahead + 2) }
        tokens.append((.open, opened))
        while true {
            var spaced = false
            while position < bytes.count, Self.isSpace(bytes[position]) {
                position += 1
                spaced = true
            }
            guard position < bytes.count else { throw Fault("unclosed action", at: opened) }
            if spaced, has("-}}", at: position) {
                tokens.append((.close, position))
                position += 3
                return true
            }
            if has("}}", at: position) {
                tokens.append((.close, position))
                position += 2
                return false
            }
            try element(spaced: spaced)
        }
    }

    private mutating func comment(_ opened: Int, from start: Int) throws(Fault) -> Bool {
        position = start
        while position < bytes.count, !has("*/", at: position) { position += 1 }
        guard position < bytes.count else { throw Fault("unclosed comment", at: opened) }
        position += 2
        var spaced = false
        while Self.isSpace(at(position)) {
            position += 1
            spaced = true
        }
        if spaced, has("-}}", at: position) {
            position += 3
            return true
        }
        guard has("}}", at: position) else {
            throw Fault("comment ends before closing delimiter", at: opened)
        }
        position += 2
        return false
    }

    private mutating func element(spaced: Bool) throws(Fault) {
        let start = position
        let byte = bytes[position]
        switch byte {
        case UInt8(ascii: "|"): single(.pipe)
        case UInt8(ascii: ","): single(.comma)
        case UInt8(ascii: "("): single(.leftParenthesis)
        case UInt8(ascii: ")"): single(.rightParenthesis)
        case UInt8(ascii: "="): single(.assign)
        case UInt8(ascii: ":"):
            guard at(position + 1) == UInt8(ascii: "=") else { throw Fault("expected :=", at: start) }
            position += 2
            tokens.append((.declare, start))
        case UInt8(ascii: "\""): try quoted()
        case UInt8(ascii: "`"):
            guard let close = bytes[(start + 1)...].firstIndex(of: byte) else {
                throw Fault("unterminated raw quoted string", at: start)
            }
            position = close + 1
            tokens.append((.string(String(decoding: bytes[(start + 1)..<close], as: UTF8.self)), start))
        case UInt8(ascii: "'"):
            position += 1
            let scalars = String(decoding: try unescaped(until: byte, start), as: UTF8.self).unicodeScalars
            guard scalars.count == 1, let scalar = scalars.first else {
                throw Fault("malformed character constant", at: start)
            }
            tokens.append((.character(Int64(scalar.value)), start))
        case UInt8(ascii: "$"):
            position += 1
            tokens.append((.variable(word()), start))
        case UInt8(ascii: ".") where !Self.isDigit(at(position + 1)):
            position += 1
            let name = word()
            tokens.append((name.isEmpty ? .dot : .field(name, glued: !spaced), start))
        case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "0")...UInt8(ascii: "9"):
            try number()
        case _ where Self.isWord(byte): tokens.append((.identifier(word()), start))
        default:
            let character = String(decoding: bytes[start...], as: UTF8.self).first.map(String.init) ?? ""
            throw Fault("unexpected \"\(character)\" in action", at: start)
        }
    }

    private mutating func single(_ token: Token) {
        tokens.append((token, position))
        position += 1
    }

    private mutating func word() -> String {
        let start = position
        while position < bytes.count, Self.isWord(bytes[position]) { position += 1 }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func number() throws(Fault) {
        let start = position
        position += 1
        while position < bytes.count {
            let byte = bytes[position]
            let isSign = byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
            let afterExponent = bytes[position - 1] | 0x20 == UInt8(ascii: "e")
            guard Self.isWord(byte) || byte == UInt8(ascii: ".") || isSign && afterExponent else { break }
            position += 1
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        let digits = text.filter { $0 != "_" }
        if let value = Int64(digits) ?? Self.prefixed(digits) {
            tokens.append((.integer(value), start))
        } else if let value = Double(digits), value.isFinite {
            tokens.append((.decimal(value), start))
        } else {
            throw Fault("bad number syntax: \"\(text)\"", at: start)
        }
    }

    private static func prefixed(_ text: String) -> Int64? {
        let negative = text.hasPrefix("-")
        let digits = text.drop { $0 == "-" || $0 == "+" }
        let radix: Int
        switch digits.prefix(2).lowercased() {
        case "0x": radix = 16
        case "0o": radix = 8
        case "0b": radix = 2
        default: return nil
        }
        return Int64((negative ? "-" : "") + digits.dropFirst(2), radix: radix)
    }

    private mutating func quoted() throws(Fault) {
        let start = position
        position += 1
        let content = try unescaped(until: UInt8(ascii: "\""), start)
        tokens.append((.string(String(decoding: content, as: UTF8.self)), start))
    }

    /// The bytes of an interpreted Go literal, up to its closing quote.
    private mutating func unescaped(until quote: UInt8, _ start: Int) throws(Fault) -> [UInt8] {
        var output: [UInt8] = []
        while true {
            guard position < bytes.count, bytes[position] != 0x0A else {
                throw Fault("unterminated quoted string", at: start)
            }
            let byte = bytes[position]
            position += 1
            if byte == quote { return output }
            guard byte == UInt8(ascii: "\\") else {
                output.append(byte)
                continue
            }
            let escape = at(position)
            position += 1
            switch escape {
            case UInt8(ascii: "n"): output.append(0x0A)
            case UInt8(ascii: "t"): output.append(0x09)
            case UInt8(ascii: "r"): output.append(0x0D)
            case UInt8(ascii: "a"): output.append(0x07)
            case UInt8(ascii: "b"): output.append(0x08)
            case UInt8(ascii: "f"): output.append(0x0C)
            case UInt8(ascii: "v"): output.append(0x0B)
            case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: "'"): output.append(escape)
            case UInt8(ascii: "x"): output.append(UInt8(truncatingIfNeeded: try code(2, 16, start)))
            case UInt8(ascii: "u"): try append(try code(4, 16, start), to: &output, start)
            case UInt8(ascii: "U"): try append(try code(8, 16, start), to: &output, start)
            case UInt8(ascii: "0")...UInt8(ascii: "7"):
                position -= 1
                output.append(UInt8(truncatingIfNeeded: try code(3, 8, start)))
            default: throw Fault("unknown escape in a quoted string", at: start)
            }
        }
    }

    private mutating func code(_ digits: Int, _ radix: Int, _ start: Int) throws(Fault) -> UInt32 {
        let end = min(position + digits, bytes.count)
        let text = String(decoding: bytes[position..<end], as: UTF8.self)
        guard text.utf8.count == digits, let value = UInt32(text, radix: radix) else {
            throw Fault("unknown escape in a quoted string", at: start)
        }
        position = end
        return value
    }

    private func append(_ code: UInt32, to output: inout [UInt8], _ start: Int) throws(Fault) {
        guard let scalar = Unicode.Scalar(code) else {
            throw Fault("unknown escape in a quoted string", at: start)
        }
        output.append(contentsOf: String(scalar).utf8)
    }
}
