/// A message in the wire format of protocol buffers, while it is written.
///
/// The encoding is a sequence of fields, each a number with a type and a value
/// (protobuf.dev, "Encoding"). Only what CRIU's messages use is here: integers,
/// booleans, texts, and messages within messages.
struct ProtocolBufferWriter {
    private(set) var bytes: [UInt8] = []

    mutating func set(_ field: Int, _ value: Int32?) {
        guard let value else { return }
        // A negative int32 takes the ten bytes of its 64-bit form.
        put(UInt64(bitPattern: Int64(value)), of: field)
    }

    mutating func set(_ field: Int, _ value: UInt32?) {
        if let value { put(UInt64(value), of: field) }
    }

    mutating func set(_ field: Int, _ value: Bool?) {
        if let value { put(value ? 1 : 0, of: field) }
    }

    mutating func set(_ field: Int, _ text: String?) {
        if let text { put(Array(text.utf8), of: field) }
    }

    mutating func set(_ field: Int, _ message: ProtocolBufferWriter) { put(message.bytes, of: field) }

    private mutating func put(_ value: UInt64, of field: Int) {
        append(UInt64(field) << 3)
        append(value)
    }

    private mutating func put(_ value: [UInt8], of field: Int) {
        append(UInt64(field) << 3 | 2)
        append(UInt64(value.count))
        bytes += value
    }

    /// Seven bits a byte, the lowest first; the top bit says that more follow.
    private mutating func append(_ value: UInt64) {
        var rest = value
        while rest > 0x7f {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}

/// A message in that format that was received. Fields that nobody asks for are skipped.
struct ProtocolBufferReader {
    private enum Value {
        case number(UInt64)
        case bytes([UInt8])
    }

    private var fields: [(number: UInt64, value: Value)] = []

    /// nil when the bytes are no message.
    init?(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let key = Self.number(&rest), key >> 3 != 0 else { return nil }
            switch key & 7 {
            case 0:
                guard let value = Self.number(&rest) else { return nil }
                fields.append((key >> 3, .number(value)))
            case 2:
                guard let count = Self.number(&rest), count <= UInt64(rest.count) else { return nil }
                fields.append((key >> 3, .bytes(Array(rest.prefix(Int(count))))))
                rest = rest.dropFirst(Int(count))
            case let fixed where fixed == 1 || fixed == 5:
                let count = fixed == 1 ? 8 : 4
                guard rest.count >= count else { return nil }
                rest = rest.dropFirst(count)
            default: return nil
            }
        }
    }

    private static func number(_ rest: inout ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = rest.popFirst() else { return nil }
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }

    /// The last value of a field, which is the one that counts.
    private func last(_ field: Int) -> Value? { fields.last { $0.number == UInt64(field) }?.value }

    func int32(_ field: Int) -> Int32? {
        guard case .number(let value)? = last(field) else { return nil }
        return Int32(truncatingIfNeeded: value)
    }

    func bool(_ field: Int) -> Bool? { int32(field).map { $0 != 0 } }

    func text(_ field: Int) -> String? {
        guard case .bytes(let bytes)? = last(field) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    func message(_ field: Int) -> ProtocolBufferReader? {
        guard case .bytes(let bytes)? = last(field) else { return nil }
        return ProtocolBufferReader(bytes)
    }
}
