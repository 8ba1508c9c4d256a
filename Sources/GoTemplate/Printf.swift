internal import JSONText

/// Go's fmt.Sprintf for the verbs that templates use.
enum Printf {
    static func format(_ format: String, _ arguments: [JSON?]) -> String {
        var output = ""
        var rest = format.unicodeScalars[...]
        var next = 0
        while let scalar = rest.popFirst() {
            guard scalar == "%" else {
                output.unicodeScalars.append(scalar)
                continue
            }
            var verb = Verb()
            while let flag = rest.first, "+-# 0".unicodeScalars.contains(flag) {
                verb.flags.insert(flag)
                rest.removeFirst()
            }
            verb.width = number(&rest, arguments, &next)
            if rest.first == "." {
                rest.removeFirst()
                verb.precision = number(&rest, arguments, &next) ?? 0
            }
            guard let letter = rest.popFirst() else { return output + "%!(NOVERB)" }
            if letter == "%" {
                output += "%"
            } else if next < arguments.count {
                output += verb.text(letter, arguments[next])
                next += 1
            } else {
                output += "%!\(letter)(MISSING)"
            }
        }
        if next < arguments.count {
            let extra = arguments[next...].map {
                "\(GoText.typeName($0))=\($0.map(GoText.nested) ?? "<nil>")"
            }
            output += "%!(EXTRA \(extra.joined(separator: ", ")))"
        }
        return output
    }

    /// A width or precision: digits, or `*` for the next argument.
    private static func number(
        _ rest: inout Substring.UnicodeScalarView, _ arguments: [JSON?], _ next: inout Int
    ) -> Int? {
        if rest.first == "*" {
            rest.removeFirst()
            guard next < arguments.count, let value = arguments[next]?.int else { return nil }
            next += 1
            return min(max(0, value), 4096)
        }
        var value: Int?
        while let digit = rest.first,
            let amount = digit.properties.numericType == .decimal
                ? Int(String(digit)) : nil
        {
            value = min((value ?? 0) * 10 + amount, 4096)
            rest.removeFirst()
        }
        return value
    }

    struct Verb {
        var flags: Set<Unicode.Scalar> = []
        var width: Int?
        var precision: Int?

        func text(_ letter: Unicode.Scalar, _ value: JSON?) -> String {
            switch (letter, value) {
            case ("v", nil), ("v", .null?): return padded("<nil>")
            case ("v", .integer(let value)?): return integer(value, radix: 10)
            case ("v", .number(let text)?):
                return Double(text).map {
                    precision == nil ? padded(GoText.decimal($0), numeric: true) : fixed($0)
                }
                    ?? padded(text)
            case ("v", let value?): return padded(cut(GoText.nested(value)))
            case ("s", .string(let text)?): return padded(cut(text))
            case ("q", .string(let text)?): return padded(GoText.quoted(cut(text)))
            case ("T", let value): return padded(GoText.typeName(value))
            case (_, .array(let elements)?):
                return "[" + elements.map { text(letter, $0) }.joined(separator: " ") + "]"
            case ("d", .integer(let value)?): return integer(value, radix: 10)
            case ("x", .integer(let value)?): return integer(value, radix: 16)
            case ("X", .integer(let value)?): return integer(value, radix: 16).uppercased()
            case ("o", .integer(let value)?): return integer(value, radix: 8)
            case ("b", .integer(let value)?): return integer(value, radix: 2)
            case ("c", .integer(let value)?):
                return padded(
                    UInt32(exactly: value).flatMap(Unicode.Scalar.init).map { String($0) } ?? "\u{FFFD}")
            case ("x", .string(let text)?): return padded(hexadecimal(text))
            case ("X", .string(let text)?): return padded(hexadecimal(text).uppercased())
            case ("t", .bool(let value)?): return padded(value ? "true" : "false")
            case ("f", .number(let text)?), ("F", .number(let text)?):
                return Double(text).map(fixed) ?? padded(text)
            case ("g", .number(let text)?): return padded(GoText.number(text), numeric: true)
            case (_, nil), (_, .null?): return "%!\(letter)(<nil>)"
            case (_, let value?): return "%!\(letter)(\(GoText.typeName(value))=\(GoText.nested(value)))"
            }
        }

        private func cut(_ text: String) -> String {
            guard let precision else { return text }
            return String(String.UnicodeScalarView(text.unicodeScalars.prefix(precision)))
        }

        private func padded(_ text: String, numeric: Bool = false) -> String {
            guard let width else { return text }
            let missing = width - text.unicodeScalars.count
            if missing <= 0 { return text }
            if flags.contains("-") { return text + String(repeating: " ", count: missing) }
            if numeric, flags.contains("0") {
                let sign = text.prefix { $0 == "-" || $0 == "+" }
                return sign + String(repeating: "0", count: missing) + text.dropFirst(sign.count)
            }
            return String(repeating: " ", count: missing) + text
        }

        private func signed(_ digits: String, negative: Bool) -> String {
            if negative { return "-" + digits }
            return flags.contains("+") ? "+" + digits : flags.contains(" ") ? " " + digits : digits
        }

        private func integer(_ value: Int64, radix: Int) -> String {
            var digits = String(value.magnitude, radix: radix)
            if flags.contains("#") {
                digits = (radix == 16 ? "0x" : radix == 8 ? "0" : radix == 2 ? "0b" : "") + digits
            }
            return padded(signed(digits, negative: value < 0), numeric: true)
        }

        /// `%.2f`. The digits come from a whole number, exact up to 2^53.
        private func fixed(_ value: Double) -> String {
            let places = min(precision ?? 6, 15)
            var scale = 1.0
            for _ in 0..<places { scale *= 10 }
            let scaled = (value.magnitude * scale).rounded(.toNearestOrEven)
            guard scaled < 9.007e15 else { return padded(GoText.decimal(value), numeric: true) }
            var digits = String(UInt64(scaled))
            if places > 0 {
                if digits.count <= places {
                    digits = String(repeating: "0", count: places + 1 - digits.count) + digits
                }
                digits.insert(".", at: digits.index(digits.endIndex, offsetBy: -places))
            }
            return padded(signed(digits, negative: value < 0), numeric: true)
        }

        private func hexadecimal(_ text: String) -> String {
            text.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
    }
}
