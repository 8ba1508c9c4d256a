/// A message from the kernel: its header's fields and what follows.
public struct NetlinkMessage: Sendable {
    public let type: UInt16
    public let flags: NetlinkFlags
    public let sequence: UInt32
    public let payload: ArraySlice<UInt8>

    static let noop: UInt16 = 1
    static let error: UInt16 = 2
    static let done: UInt16 = 3
    static let headerLength = 16

    /// Takes a datagram apart.
    /// - Throws: EBADMSG when a length leads outside of it.
    public static func parse(_ datagram: ArraySlice<UInt8>) throws(SystemError) -> [NetlinkMessage] {
        var messages: [NetlinkMessage] = []
        var rest = datagram
        while !rest.isEmpty {
            guard let length = rest.integer(at: 0, UInt32.self), length >= headerLength,
                Int(length) <= rest.count, let type = rest.integer(at: 4, UInt16.self),
                let flags = rest.integer(at: 6, UInt16.self), let sequence = rest.integer(at: 8, UInt32.self)
            else { throw SystemError("read", "netlink message", Errno(EBADMSG)) }
            let end = rest.startIndex + Int(length)
            messages.append(
                NetlinkMessage(
                    type: type, flags: NetlinkFlags(rawValue: flags), sequence: sequence,
                    payload: rest[(rest.startIndex + headerLength)..<end]))
            rest = rest.dropFirst((Int(length) + 3) & ~3)
        }
        return messages
    }

    /// The attributes behind a fixed structure of `offset` bytes.
    public func attributes(after offset: Int) throws(SystemError) -> NetlinkAttributes {
        guard payload.count >= offset else { throw SystemError("read", "netlink message", Errno(EBADMSG)) }
        return try NetlinkAttributes(payload.dropFirst((offset + 3) & ~3))
    }
}

/// A row of attributes. Of a type that stands twice the last counts, as in the kernel.
public struct NetlinkAttributes: Sendable {
    public private(set) var all: [(type: UInt16, value: ArraySlice<UInt8>)] = []

    /// - Throws: EBADMSG when a length leads outside.
    public init(_ bytes: ArraySlice<UInt8>) throws(SystemError) {
        var rest = bytes
        while rest.count >= 4 {
            guard let length = rest.integer(at: 0, UInt16.self), length >= 4, Int(length) <= rest.count,
                let type = rest.integer(at: 2, UInt16.self)
            else { throw SystemError("read", "netlink attribute", Errno(EBADMSG)) }
            let start = rest.startIndex
            // The two upper bits are NLA_F_NESTED and NLA_F_NET_BYTEORDER.
            all.append((type & 0x3FFF, rest[(start + 4)..<(start + Int(length))]))
            rest = rest.dropFirst((Int(length) + 3) & ~3)
        }
    }

    public subscript(type: UInt16) -> ArraySlice<UInt8>? { all.last { $0.type == type }?.value }

    public func nested(_ type: UInt16) throws(SystemError) -> NetlinkAttributes? {
        guard let value = self[type] else { return nil }
        return try NetlinkAttributes(value)
    }

    /// An integer in the machine's byte order; nil when the attribute is missing or of another size.
    public func integer<Value: FixedWidthInteger>(_ type: UInt16, _: Value.Type = Value.self) -> Value? {
        guard let value = self[type], value.count == MemoryLayout<Value>.size else { return nil }
        return value.integer(at: 0, Value.self)
    }

    /// An integer in the network's byte order.
    public func bigEndian<Value: FixedWidthInteger>(_ type: UInt16, _: Value.Type = Value.self) -> Value? {
        integer(type, Value.self).map { Value(bigEndian: $0) }
    }

    public func string(_ type: UInt16) -> String? {
        self[type].map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}

extension ArraySlice<UInt8> {
    /// The integer at a distance from the start, in the machine's byte order; nil beyond the end.
    func integer<Value: FixedWidthInteger>(at offset: Int, _: Value.Type = Value.self) -> Value? {
        guard offset >= 0, count >= offset + MemoryLayout<Value>.size else { return nil }
        return withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Value.self) }
    }
}
