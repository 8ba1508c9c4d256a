/// Writes values as the wire has them (D-Bus Specification, "Marshaling"), in this machine's order.
struct DBusWriter {
    private(set) var bytes: [UInt8] = []

    static var orderMark: UInt8 { UInt8(ascii: 1.littleEndian == 1 ? "l" : "B") }

    mutating func align(_ alignment: Int) {
        while bytes.count % alignment != 0 { bytes.append(0) }
    }

    mutating func append(_ value: DBusValue) {
        switch value {
        case .byte(let number): bytes.append(number)
        case .boolean(let flag): append(UInt32(flag ? 1 : 0))
        case .int16(let number): append(number)
        case .uint16(let number): append(number)
        case .int32(let number): append(number)
        case .uint32(let number): append(number)
        case .int64(let number): append(number)
        case .uint64(let number): append(number)
        case .double(let number): append(number.bitPattern)
        case .string(let text), .objectPath(let text):
            append(UInt32(text.utf8.count))
            bytes += text.utf8
            bytes.append(0)
        case .signature(let text): append(signature: text)
        case .array(let element, let values):
            append(UInt32(0))
            let place = bytes.count - 4
            // Not counted in the length, and there even before no element.
            align(DBusType.alignment(element))
            let start = bytes.count
            for value in values { append(value) }
            withUnsafeBytes(of: UInt32(bytes.count - start)) {
                for (offset, byte) in $0.enumerated() { bytes[place + offset] = byte }
            }
        case .structure(let members):
            align(8)
            for member in members { append(member) }
        case .entry(let key, let value):
            align(8)
            append(key)
            append(value)
        case .variant(let value):
            append(signature: value.signature)
            append(value)
        }
    }

    private mutating func append<Number: FixedWidthInteger>(_ number: Number) {
        align(MemoryLayout<Number>.size)
        withUnsafeBytes(of: number) { bytes += $0 }
    }

    private mutating func append(signature: String) {
        bytes.append(UInt8(truncatingIfNeeded: signature.utf8.count))
        bytes += signature.utf8
        bytes.append(0)
    }
}

/// Reads values from the wire. Positions, for alignment, are counted from the message's start.
struct DBusReader {
    private let bytes: [UInt8]
    private(set) var position: Int
    private let isSwapped: Bool

    init(_ bytes: [UInt8], at position: Int = 0, orderMark: UInt8) {
        self.bytes = bytes
        self.position = position
        isSwapped = orderMark != DBusWriter.orderMark
    }

    mutating func align(_ alignment: Int) {
        position = (position + alignment - 1) / alignment * alignment
    }

    mutating func values(_ signature: String) throws(DBusError) -> [DBusValue] {
        guard let types = DBusType.all(signature) else { throw .malformed }
        var values: [DBusValue] = []
        for type in types { values.append(try value(type, depth: 0)) }
        return values
    }

    private mutating func value(_ type: String, depth: Int) throws(DBusError) -> DBusValue {
        guard depth <= 64 else { throw .malformed }
        align(DBusType.alignment(type))
        switch type.utf8.first {
        case UInt8(ascii: "y"): return .byte(try number())
        case UInt8(ascii: "b"): return .boolean(try number(UInt32.self) != 0)
        case UInt8(ascii: "n"): return .int16(try number())
        case UInt8(ascii: "q"): return .uint16(try number())
        case UInt8(ascii: "i"): return .int32(try number())
        case UInt8(ascii: "u"): return .uint32(try number())
        case UInt8(ascii: "x"): return .int64(try number())
        case UInt8(ascii: "t"): return .uint64(try number())
        case UInt8(ascii: "d"): return .double(Double(bitPattern: try number()))
        case UInt8(ascii: "s"): return .string(try text(Int(try number(UInt32.self))))
        case UInt8(ascii: "o"): return .objectPath(try text(Int(try number(UInt32.self))))
        case UInt8(ascii: "g"): return .signature(try text(Int(try number(UInt8.self))))
        case UInt8(ascii: "v"):
            let inner = try text(Int(try number(UInt8.self)))
            guard DBusType.isSingle(inner) else { throw .malformed }
            return .variant(try value(inner, depth: depth + 1))
        case UInt8(ascii: "a"): return try array(String(type.dropFirst()), depth)
        case UInt8(ascii: "("):
            var members: [DBusValue] = []
            for member in DBusType.all(String(type.dropFirst().dropLast())) ?? [] {
                members.append(try value(member, depth: depth + 1))
            }
            return .structure(members)
        default: throw .malformed
        }
    }

    private mutating func array(_ element: String, _ depth: Int) throws(DBusError) -> DBusValue {
        let length = Int(try number(UInt32.self))
        align(DBusType.alignment(element))
        guard length <= bytes.count - position else { throw .malformed }
        let end = position + length
        var values: [DBusValue] = []
        while position < end {
            let start = position
            if element.utf8.first == UInt8(ascii: "{") {
                let types = DBusType.all(String(element.dropFirst().dropLast())) ?? []
                guard types.count == 2 else { throw .malformed }
                align(8)
                let key = try value(types[0], depth: depth + 1)
                values.append(.entry(key, try value(types[1], depth: depth + 1)))
            } else {
                values.append(try value(element, depth: depth + 1))
            }
            guard position > start else { throw .malformed }
        }
        guard position == end else { throw .malformed }
        return .array(of: element, values)
    }

    private mutating func number<Number: FixedWidthInteger>(
        _ type: Number.Type = Number.self
    ) throws(DBusError) -> Number {
        let size = MemoryLayout<Number>.size
        guard position >= 0, bytes.count - position >= size else { throw .malformed }
        let number = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position, as: Number.self) }
        position += size
        return isSwapped ? number.byteSwapped : number
    }

    private mutating func text(_ length: Int) throws(DBusError) -> String {
        guard bytes.count - position > length, bytes[position + length] == 0 else { throw .malformed }
        let text = String(decoding: bytes[position..<(position + length)], as: UTF8.self)
        position += length + 1
        return text
    }
}
