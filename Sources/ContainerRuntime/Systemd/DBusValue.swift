/// A value that D-Bus can carry (D-Bus Specification, "Type System").
indirect enum DBusValue: Equatable, Sendable {
    case byte(UInt8)
    case boolean(Bool)
    case int16(Int16)
    case uint16(UInt16)
    case int32(Int32)
    case uint32(UInt32)
    case int64(Int64)
    case uint64(UInt64)
    case double(Double)
    case string(String)
    case objectPath(String)
    case signature(String)
    /// The elements' signature is there for an array without elements.
    case array(of: String, [DBusValue])
    case structure([DBusValue])
    /// Only as the element of an array.
    case entry(DBusValue, DBusValue)
    case variant(DBusValue)

    var signature: String {
        switch self {
        case .byte: "y"
        case .boolean: "b"
        case .int16: "n"
        case .uint16: "q"
        case .int32: "i"
        case .uint32: "u"
        case .int64: "x"
        case .uint64: "t"
        case .double: "d"
        case .string: "s"
        case .objectPath: "o"
        case .signature: "g"
        case .array(let element, _): "a" + element
        case .structure(let members): "(" + Self.signature(members) + ")"
        case .entry(let key, let value): "{" + key.signature + value.signature + "}"
        case .variant: "v"
        }
    }

    static func signature(_ values: [DBusValue]) -> String {
        var signature = ""
        for value in values { signature += value.signature }
        return signature
    }

    static func bytes(_ bytes: [UInt8]) -> DBusValue { .array(of: "y", bytes.map { .byte($0) }) }

    /// A string, or what is like one.
    var text: String? {
        switch self {
        case .string(let text), .objectPath(let text), .signature(let text): text
        default: nil
        }
    }
}

/// One complete type at the front of a signature (D-Bus Specification, "Signature strings").
struct DBusType {
    /// Arrays and structures may be this deep in each other, each.
    private static let depthLimit = 32

    /// Splits the first type off; nil when there is none that is well formed.
    static func takeFirst(_ signature: inout Substring.UTF8View, depth: Int = 0) -> String? {
        let start = signature
        guard depth <= 2 * depthLimit, let first = signature.popFirst() else { return nil }
        switch first {
        case UInt8(ascii: "a"):
            if signature.first == UInt8(ascii: "{") {
                signature.removeFirst()
                guard let key = signature.first, isBasic(key), takeFirst(&signature, depth: depth + 1) != nil,
                    takeFirst(&signature, depth: depth + 1) != nil,
                    signature.popFirst() == UInt8(ascii: "}")
                else { return nil }
            } else if takeFirst(&signature, depth: depth + 1) == nil {
                return nil
            }
        case UInt8(ascii: "("):
            guard signature.first != UInt8(ascii: ")") else { return nil }
            while signature.first != UInt8(ascii: ")") {
                if takeFirst(&signature, depth: depth + 1) == nil { return nil }
            }
            signature.removeFirst()
        case UInt8(ascii: "v"): break
        default: if !isBasic(first) { return nil }
        }
        return String(Substring(start[..<signature.startIndex]))
    }

    /// The types of a signature; nil when it is malformed.
    static func all(_ signature: String) -> [String]? {
        var rest = signature[...].utf8
        var types: [String] = []
        while !rest.isEmpty {
            guard let type = takeFirst(&rest) else { return nil }
            types.append(type)
        }
        return types
    }

    static func isSingle(_ signature: String) -> Bool { all(signature)?.count == 1 }

    private static func isBasic(_ code: UInt8) -> Bool { "ybnqiuxtdsog".utf8.contains(code) }

    /// What a value of the type is aligned to in a message.
    static func alignment(_ type: String) -> Int {
        switch type.utf8.first {
        case UInt8(ascii: "y"), UInt8(ascii: "g"), UInt8(ascii: "v"): 1
        case UInt8(ascii: "n"), UInt8(ascii: "q"): 2
        case UInt8(ascii: "x"), UInt8(ascii: "t"), UInt8(ascii: "d"), UInt8(ascii: "("), UInt8(ascii: "{"): 8
        default: 4
        }
    }
}
