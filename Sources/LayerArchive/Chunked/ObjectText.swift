/// An object's text, member by member.
struct ObjectText {
    private var bytes: [UInt8] = [UInt8(ascii: "{")]

    mutating func set(_ name: String, _ value: String) {
        begin(name)
        append(quoted: value)
    }

    mutating func set(_ name: String, nonEmpty value: String) {
        if !value.isEmpty { set(name, value) }
    }

    mutating func set(_ name: String, nonZero value: Int64) {
        if value != 0 { set(name, number: value) }
    }

    mutating func set(_ name: String, number: Int64) {
        begin(name)
        bytes += Array(String(number).utf8)
    }

    mutating func set(_ name: String, _ value: ObjectText) {
        begin(name)
        bytes += value.finish()
    }

    mutating func set(_ name: String, null: Void) {
        begin(name)
        bytes += Array("null".utf8)
    }

    func finish() -> [UInt8] { bytes + [UInt8(ascii: "}")] }

    private mutating func begin(_ name: String) {
        if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
        append(quoted: name)
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func append(quoted text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case 0..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                bytes += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
