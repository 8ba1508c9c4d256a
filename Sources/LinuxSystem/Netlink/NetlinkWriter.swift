/// Builds netlink messages (netlink(7)): a header, a fixed structure and
/// attributes, each padded to four bytes. Several messages in one buffer go to
/// the kernel in one call.
///
/// Callers bound what they put in: a message over 4 GiB or an attribute over
/// 64 KiB is a mistake in the program and stops it.
public struct NetlinkWriter: Sendable {
    public private(set) var bytes: [UInt8] = []
    /// The number that the next message gets; the kernel's answers carry it.
    public private(set) var nextSequence: UInt32

    public init(firstSequence: UInt32 = 1) {
        nextSequence = firstSequence
        bytes.reserveCapacity(512)
    }

    public var isEmpty: Bool { bytes.isEmpty }

    /// Appends a message.
    /// - Returns: its sequence number.
    @discardableResult
    public mutating func message(
        _ type: UInt16, _ flags: NetlinkFlags, _ body: (inout NetlinkWriter) -> Void
    ) -> UInt32 {
        let start = bytes.count
        let sequence = nextSequence
        nextSequence &+= 1
        append(UInt32(0))
        append(type)
        append(flags.union(.request).rawValue)
        append(sequence)
        append(UInt32(0))
        body(&self)
        let length = UInt32(bytes.count - start)
        withUnsafeBytes(of: length) { bytes.replaceSubrange(start..<start + 4, with: $0) }
        pad()
        return sequence
    }

    // MARK: Fixed structures, in the machine's byte order

    public mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    // MARK: Attributes

    public mutating func attribute(_ type: UInt16, bytes value: some Collection<UInt8>) {
        header(type, length: value.count)
        bytes.append(contentsOf: value)
        pad()
    }

    /// An integer in the machine's byte order (rtnetlink).
    public mutating func attribute(_ type: UInt16, _ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value) { attribute(type, bytes: $0) }
    }

    /// An integer in the network's byte order (nfnetlink).
    public mutating func attribute(_ type: UInt16, bigEndian value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.bigEndian) { attribute(type, bytes: $0) }
    }

    /// A text and the zero byte that ends it.
    public mutating func attribute(_ type: UInt16, string value: String) {
        precondition(!value.utf8.contains(0), "zero byte in a netlink string")
        header(type, length: value.utf8.count + 1)
        bytes.append(contentsOf: value.utf8)
        bytes.append(0)
        pad()
    }

    /// An attribute that holds attributes (or, for some, a structure first).
    public mutating func nest(_ type: UInt16, _ body: (inout NetlinkWriter) -> Void) {
        let start = bytes.count
        append(UInt16(0))
        append(type | 0x8000)  // NLA_F_NESTED
        body(&self)
        let length = UInt16(bytes.count - start)
        withUnsafeBytes(of: length) { bytes.replaceSubrange(start..<start + 2, with: $0) }
        pad()
    }

    private mutating func header(_ type: UInt16, length: Int) {
        append(UInt16(4 + length))
        append(type)
    }

    private mutating func pad() {
        while bytes.count & 3 != 0 { bytes.append(0) }
    }
}

/// Flags of a message (netlink(7)). Their meaning depends on the request: for
/// one that makes something `create` and `exclusive`, for one that asks `dump`.
public struct NetlinkFlags: OptionSet, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let request = NetlinkFlags(rawValue: 0x01)
    public static let multipart = NetlinkFlags(rawValue: 0x02)
    public static let acknowledge = NetlinkFlags(rawValue: 0x04)
    public static let dumpInterrupted = NetlinkFlags(rawValue: 0x10)
    public static let replace = NetlinkFlags(rawValue: 0x100)
    public static let exclusive = NetlinkFlags(rawValue: 0x200)
    public static let create = NetlinkFlags(rawValue: 0x400)
    public static let append = NetlinkFlags(rawValue: 0x800)
    public static let dump = NetlinkFlags(rawValue: 0x300)
}
