extension JSON {
    /// The text of the value.
    /// - Parameter indent: one level's indentation for a text over several
    ///   lines, laid out as Go's `json.MarshalIndent` does; nil for one line.
    public func text(indent: String? = nil) -> String {
        String(decoding: bytes(indent: indent), as: UTF8.self)
    }

    public func bytes(indent: String? = nil) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(256)
        write(to: &output, indent: indent.map { Array($0.utf8) }, depth: 0)
        return output
    }

    private func write(to output: inout [UInt8], indent: [UInt8]?, depth: Int) {
        func newLine(_ depth: Int) {
            guard let indent else { return }
            output.append(0x0A)
            for _ in 0..<depth { output.append(contentsOf: indent) }
        }
        switch self {
        case .null: output.append(contentsOf: "null".utf8)
        case .bool(let value): output.append(contentsOf: (value ? "true" : "false").utf8)
        case .integer(let value): output.append(contentsOf: String(value).utf8)
        case .number(let text): output.append(contentsOf: text.utf8)
        case .string(let value): JSON.write(string: value, to: &output)
        case .array(let elements):
            output.append(UInt8(ascii: "["))
            for (position, element) in elements.enumerated() {
                if position > 0 { output.append(UInt8(ascii: ",")) }
                newLine(depth + 1)
                element.write(to: &output, indent: indent, depth: depth + 1)
            }
            if !elements.isEmpty { newLine(depth) }
            output.append(UInt8(ascii: "]"))
        case .object(let object):
            output.append(UInt8(ascii: "{"))
            for (position, member) in object.members.enumerated() {
                if position > 0 { output.append(UInt8(ascii: ",")) }
                newLine(depth + 1)
                JSON.write(string: member.name, to: &output)
                output.append(UInt8(ascii: ":"))
                if indent != nil { output.append(0x20) }
                member.value.write(to: &output, indent: indent, depth: depth + 1)
            }
            if !object.isEmpty { newLine(depth) }
            output.append(UInt8(ascii: "}"))
        }
    }

    /// Writes a quoted string with the escapes that RFC 8259 requires.
    public static func write(string: String, to output: inout [UInt8]) {
        let hexadecimal: StaticString = "0123456789abcdef"
        output.append(UInt8(ascii: "\""))
        for byte in string.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                output.append(UInt8(ascii: "\\"))
                output.append(byte)
            case 0x0A: output.append(contentsOf: "\\n".utf8)
            case 0x0D: output.append(contentsOf: "\\r".utf8)
            case 0x09: output.append(contentsOf: "\\t".utf8)
            case 0..<0x20, 0x7F:
                output.append(contentsOf: "\\u00".utf8)
                output.append(hexadecimal.utf8Start[Int(byte >> 4)])
                output.append(hexadecimal.utf8Start[Int(byte & 15)])
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}
