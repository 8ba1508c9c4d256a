internal import JSONText

/// Values as Go prints and judges them.
enum GoText {
    /// fmt's `%v`.
    static func plain(_ value: JSON) -> String {
        switch value {
        case .null: "<no value>"
        default: nested(value)
        }
    }

    static func nested(_ value: JSON) -> String {
        switch value {
        case .null: return "<nil>"
        case .bool(let value): return value ? "true" : "false"
        case .integer(let value): return String(value)
        case .number(let text): return number(text)
        case .string(let text): return text
        case .array(let elements): return "[" + elements.map(nested).joined(separator: " ") + "]"
        case .object(let object):
            // fmt prints maps in the order of their keys.
            let members = object.members.sorted { $0.name < $1.name }
            return "map[" + members.map { "\($0.name):\(nested($0.value))" }.joined(separator: " ") + "]"
        }
    }

    /// A decimal as strconv's 'g' with the fewest digits prints it.
    static func number(_ text: String) -> String {
        if Int64(text) != nil || UInt64(text) != nil { return text }
        return Double(text).map(decimal) ?? text
    }

    static func decimal(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        let (negative, digits, exponent) = shortest(value)
        let sign = negative ? "-" : ""
        if exponent < -4 || exponent >= 21 {
            let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
            let magnitude = String(abs(exponent))
            return "\(sign)\(digits.prefix(1))\(fraction)e\(exponent < 0 ? "-" : "+")"
                + (magnitude.count < 2 ? "0" : "") + magnitude
        }
        if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits }
        if digits.count <= exponent + 1 {
            return sign + digits + String(repeating: "0", count: exponent + 1 - digits.count)
        }
        return sign + digits.prefix(exponent + 1) + "." + digits.dropFirst(exponent + 1)
    }

    /// The shortest digits that make the same double, and the exponent of the first one.
    private static func shortest(_ value: Double) -> (negative: Bool, digits: String, exponent: Int) {
        var text = "\(value.magnitude)"
        var exponent = 0
        if let mark = text.firstIndex(of: "e") {
            exponent = Int(text[text.index(after: mark)...]) ?? 0
            text = String(text[..<mark])
        }
        let whole = text.prefix { $0 != "." }
        let fraction = text.dropFirst(whole.count + 1)
        var digits = Substring(whole + fraction)
        exponent += whole.count - 1
        let zeros = digits.prefix { $0 == "0" }.count
        if zeros == digits.count { return (value.sign == .minus, "0", 0) }
        digits.removeFirst(zeros)
        exponent -= zeros
        while digits.last == "0" { digits.removeLast() }
        return (value.sign == .minus, String(digits), exponent)
    }

    /// Whether a value counts as true in `if`: it is not its type's zero and not empty.
    static func isTrue(_ value: JSON?) -> Bool {
        switch value {
        case nil, .null?: false
        case .bool(let value)?: value
        case .integer(let value)?: value != 0
        case .number(let text)?: Double(text) != 0
        case .string(let text)?: !text.isEmpty
        case .array(let elements)?: !elements.isEmpty
        case .object(let object)?: !object.isEmpty
        }
    }

    static func typeName(_ value: JSON?) -> String {
        switch value {
        case nil, .null?: "<nil>"
        case .bool?: "bool"
        case .integer?: "int"
        case .number?: "float64"
        case .string?: "string"
        case .array?: "[]interface {}"
        case .object?: "map[string]interface {}"
        }
    }

    /// strconv.Quote.
    static func quoted(_ text: String) -> String {
        var output = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\n": output += "\\n"
            case "\t": output += "\\t"
            case "\r": output += "\\r"
            case "\u{07}": output += "\\a"
            case "\u{08}": output += "\\b"
            case "\u{0B}": output += "\\v"
            case "\u{0C}": output += "\\f"
            default:
                switch scalar.properties.generalCategory {
                case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator,
                    .paragraphSeparator:
                    let code = String(scalar.value, radix: 16)
                    let width = scalar.value < 0x80 ? 2 : scalar.value < 0x10000 ? 4 : 8
                    output += width == 2 ? "\\x" : width == 4 ? "\\u" : "\\U"
                    output += String(repeating: "0", count: width - code.count) + code
                case .spaceSeparator where scalar != " ":
                    let code = String(scalar.value, radix: 16)
                    output += "\\u" + String(repeating: "0", count: 4 - code.count) + code
                default: output.unicodeScalars.append(scalar)
                }
            }
        }
        return output + "\""
    }
}
