/// The notations of flag values.
public enum Quantity {
    /// Go's `strconv.ParseBool`.
    public static func bool(_ text: String) -> Bool? {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": true
        case "0", "f", "F", "false", "FALSE", "False": false
        default: nil
        }
    }

    /// Decimal, or with the prefix 0x, 0o, 0b (and 0 for octal), as Go reads with base 0.
    public static func integer(_ text: String) -> Int? {
        let negative = text.hasPrefix("-")
        let digits = negative || text.hasPrefix("+") ? text.dropFirst() : Substring(text)
        guard let magnitude = magnitude(digits) else { return nil }
        return negative
            ? (magnitude <= UInt(Int.max) + 1 ? Int(truncatingIfNeeded: 0 &- magnitude) : nil)
            : Int(exactly: magnitude)
    }

    public static func unsignedInteger(_ text: String) -> UInt? { magnitude(Substring(text)) }

    private static func magnitude(_ digits: Substring) -> UInt? {
        guard let first = digits.utf8.first, first >= 0x30, first <= 0x39 else { return nil }
        if first == 0x30, digits.utf8.count > 1 {
            switch digits.dropFirst().first {
            case "x", "X": return unsigned(digits.dropFirst(2), radix: 16)
            case "o", "O": return unsigned(digits.dropFirst(2), radix: 8)
            case "b", "B": return unsigned(digits.dropFirst(2), radix: 2)
            default: return unsigned(digits.dropFirst(), radix: 8)
            }
        }
        return unsigned(digits, radix: 10)
    }

    private static func unsigned(_ digits: Substring, radix: Int) -> UInt? {
        guard let first = digits.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-") else {
            return nil
        }
        return UInt(digits, radix: radix)
    }

    public static func decimal(_ text: String) -> Double? {
        guard let first = text.utf8.first, first != 0x20, let value = Double(text), value.isFinite else {
            return nil
        }
        return value
    }

    /// A number of bytes with the units that Docker takes: `b k m g t p`, `kb`, `KiB`, all of
    /// 1024; `-1` stands as it is.
    public static func bytes(_ text: String) -> Int64? {
        if text == "-1" { return -1 }
        var number = Substring(text)
        let isUnit: (Character) -> Bool = { !("0"..."9").contains($0) && $0 != "." }
        guard let unitStart = number.firstIndex(where: isUnit) else { return scaled(number, by: 1) }
        let unit = number[unitStart...].lowercased()
        number = number[..<unitStart]
        if number.last == " " { number.removeLast() }
        let letter = unit.drop { $0 == " " }
        let shift: Int64
        switch letter {
        case "b": shift = 0
        case "k", "kb", "kib": shift = 10
        case "m", "mb", "mib": shift = 20
        case "g", "gb", "gib": shift = 30
        case "t", "tb", "tib": shift = 40
        case "p", "pb", "pib": shift = 50
        default: return nil
        }
        return scaled(number, by: 1 << shift)
    }

    private static func scaled(_ number: Substring, by factor: Int64) -> Int64? {
        if let whole = Int64(number) {
            let (product, overflow) = whole.multipliedReportingOverflow(by: factor)
            return overflow || whole < 0 ? nil : product
        }
        guard let value = Double(number), value.isFinite, value >= 0 else { return nil }
        return Int64(exactly: (value * Double(factor)).rounded(.down))
    }

    /// Go's `time.ParseDuration`: `1h2m3.5s`, `250ms`, `-1s`, `0`.
    public static func duration(_ text: String) -> Duration? {
        var rest = Substring(text)
        let negative = rest.first == "-"
        if negative || rest.first == "+" { rest.removeFirst() }
        if rest == "0" { return .zero }
        guard !rest.isEmpty else { return nil }
        var nanoseconds = 0.0
        var exact: Int64 = 0
        while !rest.isEmpty {
            let number = rest.prefix { ("0"..."9").contains($0) || $0 == "." }
            rest.removeFirst(number.count)
            let unit = rest.prefix { !("0"..."9").contains($0) && $0 != "." }
            rest.removeFirst(unit.count)
            let scale: Int64
            switch unit {
            case "ns": scale = 1
            case "us", "µs", "μs": scale = 1000
            case "ms": scale = 1_000_000
            case "s": scale = 1_000_000_000
            case "m": scale = 60_000_000_000
            case "h": scale = 3_600_000_000_000
            default: return nil
            }
            if let whole = Int64(number) {
                let (product, overflow) = whole.multipliedReportingOverflow(by: scale)
                let (sum, tooLarge) = exact.addingReportingOverflow(product)
                if overflow || tooLarge { return nil }
                exact = sum
            } else {
                guard let value = Double(number), value.isFinite else { return nil }
                nanoseconds += value * Double(scale)
            }
        }
        guard let rounded = Int64(exactly: nanoseconds.rounded()) else { return nil }
        let (total, overflow) = exact.addingReportingOverflow(rounded)
        if overflow { return nil }
        return .nanoseconds(negative ? -total : total)
    }

    /// Why a value does not fit a flag; nil when it does.
    static func complaint(about value: String, for kind: Flag.Kind) -> String? {
        switch kind {
        case .text, .list, .commaList, .optional: return nil
        case .bool: return bool(value) == nil ? "must be true or false" : nil
        case .count: return value == "+1" || integer(value) != nil ? nil : "must be a whole number"
        case .integer: return integer(value) == nil ? "must be a whole number" : nil
        case .unsignedInteger:
            return unsignedInteger(value) == nil ? "must be a whole number that is not negative" : nil
        case .decimal: return decimal(value) == nil ? "must be a number" : nil
        case .size: return bytes(value) == nil ? "must be a size such as 512m or 1g" : nil
        case .duration: return duration(value) == nil ? "must be a duration such as 10s or 1m30s" : nil
        case .choice(let words):
            return words.contains(value) ? nil : "must be one of \(words.joined(separator: ", "))"
        }
    }
}
