/// An IPv4 address.
public struct IPv4Address: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// In the order of arithmetic: 10.0.0.1 is 0x0A000001.
    public let value: UInt32

    public init(_ value: UInt32) { self.value = value }

    public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
        value = UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d)
    }

    /// Four decimal numbers and three dots; no octal, no leading zeros, nothing else.
    public init?(_ text: some StringProtocol) {
        var value: UInt32 = 0
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
                part.utf8.count == 1 || part.utf8.first != 0x30, let byte = UInt8(part)
            else { return nil }
            value = value << 8 | UInt32(byte)
        }
        self.value = value
    }

    /// The four bytes as they travel.
    public var bytes: [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
    }

    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 else { return nil }
        value = bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }

    public var description: String {
        let bytes = bytes
        return "\(bytes[0]).\(bytes[1]).\(bytes[2]).\(bytes[3])"
    }

    public var isLoopback: Bool { value >> 24 == 127 }
    public var isAny: Bool { value == 0 }

    public static func < (left: Self, right: Self) -> Bool { left.value < right.value }
}

/// A network address and the length of its prefix: `10.89.0.0/16`.
public struct IPv4Subnet: Hashable, Sendable, CustomStringConvertible {
    public let base: IPv4Address
    public let prefixLength: UInt8

    /// The subnet that holds an address.
    public init(containing address: IPv4Address, prefixLength: UInt8) {
        let length = min(prefixLength, 32)
        self.prefixLength = length
        base = IPv4Address(address.value & Self.mask(length))
    }

    /// `10.89.0.0/16`; an address with host bits set names the subnet around it.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPv4Address(parts[0]), (1...2).contains(parts[1].utf8.count),
            let length = UInt8(parts[1]), length <= 32
        else { return nil }
        self.init(containing: address, prefixLength: length)
    }

    private static func mask(_ length: UInt8) -> UInt32 { length == 0 ? 0 : ~0 << (32 - UInt32(length)) }

    public var netmask: UInt32 { Self.mask(prefixLength) }
    public var broadcast: IPv4Address { IPv4Address(base.value | ~netmask) }

    public func contains(_ address: IPv4Address) -> Bool { address.value & netmask == base.value }

    public func overlaps(_ other: IPv4Subnet) -> Bool {
        contains(other.base) || other.contains(base)
    }

    public var description: String { "\(base)/\(prefixLength)" }
}

/// An Ethernet address.
public struct HardwareAddress: Hashable, Sendable, CustomStringConvertible {
    public let bytes: [UInt8]

    /// A locally administered address that a given IPv4 address always gets: whoever takes
    /// the address over after another has the same pair, so no neighbour's cache is wrong.
    public init(derivedFrom address: IPv4Address) { bytes = [0x02, 0xA9] + address.bytes }

    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 6 else { return nil }
        self.bytes = Array(bytes)
    }

    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}
