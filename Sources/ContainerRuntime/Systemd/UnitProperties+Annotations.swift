extension SystemdManager.Property {
    private static let prefix = "org.systemd.property."

    /// The properties that annotations `org.systemd.property.NAME` give, with values in the text
    /// format of GVariant. As systemd's own tools have it, `TimeoutStopSec` is `TimeoutStopUSec`.
    static func all(in annotations: [String: String]) throws(CgroupError) -> [Self] {
        var properties: [Self] = []
        for (key, text) in annotations.sorted(by: { $0.key < $1.key }) where key.hasPrefix(prefix) {
            let name = String(key.dropFirst(prefix.count))
            guard name.utf8.count >= 3, name.utf8.allSatisfy(isLetter) else {
                throw CgroupError(.invalid, "annotation \(key): \"\(name)\" is no name of a property")
            }
            do throws(DBusError) {
                properties.append(try property(name, try VariantText.parse(text)))
            } catch {
                throw CgroupError(.invalid, "annotation \(key)=\(text) value parse error: \(error)")
            }
        }
        return properties
    }

    private static func property(_ name: String, _ value: DBusValue) throws(DBusError) -> Self {
        let stem = name.utf8.dropLast(3)
        guard name.hasSuffix("Sec"), let last = stem.last,
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(last)
        else { return Self(name, value) }
        return Self(String(Substring(stem)) + "USec", .uint64(try microseconds(value)))
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    private static func microseconds(_ value: DBusValue) throws(DBusError) -> UInt64 {
        let seconds: UInt64?
        switch value {
        case .byte(let number): seconds = UInt64(number)
        case .uint16(let number): seconds = UInt64(number)
        case .uint32(let number): seconds = UInt64(number)
        case .uint64(let number): seconds = number
        case .int16(let number): seconds = UInt64(exactly: number)
        case .int32(let number): seconds = UInt64(exactly: number)
        case .int64(let number): seconds = UInt64(exactly: number)
        case .double(let number):
            guard let all = UInt64(exactly: (number * 1_000_000).rounded(.towardZero)) else {
                throw DBusError(message: "not a time")
            }
            return all
        default: throw DBusError(message: "not a number")
        }
        guard let seconds else { throw DBusError(message: "a time below zero") }
        let product = seconds.multipliedReportingOverflow(by: 1_000_000)
        return product.overflow ? .max : product.partialValue
    }
}
