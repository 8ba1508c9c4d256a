extension String {
    /// What somebody else wrote, fit for a terminal: one line, and not endless, without control
    /// characters (escape sequences among them) or what turns the direction of text.
    /// - Parameter limit: in scalars.
    public func printable(limit: Int = .max) -> String {
        // Mostly it is: listings have much of it.
        if utf8.count <= limit, utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return self }
        var output = String.UnicodeScalarView()
        var count = 0
        for scalar in unicodeScalars {
            if count == limit { return String(output) + "…" }
            switch scalar.value {
            case 0..<0x20, 0x7F..<0xA0, 0x2028...0x202E, 0x2066...0x2069: output.append(" ")
            default: output.append(scalar)
            }
            count += 1
        }
        return String(output)
    }
}

extension JSON {
    /// With all that is text in it so.
    public var printable: JSON {
        switch self {
        case .string(let text): return .string(text.printable())
        case .array(let items): return .array(items.map(\.printable))
        case .object(let object):
            var result = JSONObject()
            for (name, value) in object.members { result[name.printable()] = value.printable }
            return .object(result)
        case .null, .bool, .integer, .number: return self
        }
    }
}
