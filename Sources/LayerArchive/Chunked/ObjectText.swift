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

    static func base64(_ bytes: [UInt8]) -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var output: [UInt8] = []
        output.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group: UInt32 = 0
            for index in 0..<3 { group = group << 8 | (index < count ? UInt32(bytes[start + index]) : 0) }
            for index in 0..<4 {
                output.append(
                    index <= count ? letters[Int(group >> (18 - 6 * UInt32(index)) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}
