/// An interface's address of any family, as it can be given to another interface.
public struct InterfaceAddress: Sendable {
    public let index: Int32
    public let family: UInt8
    public let prefixLength: UInt8
    /// 0 is valid everywhere (rtnetlink(7), RT_SCOPE_UNIVERSE).
    public let scope: UInt8
    /// Someone set it, and it does not expire.
    public let isPermanent: Bool
    /// IFA_LOCAL, IFA_ADDRESS and IFA_BROADCAST, where it has them.
    let attributes: [(type: UInt16, value: [UInt8])]

    public init?(_ message: NetlinkMessage) throws(SystemError) {
        guard message.type == Route.newAddress, message.payload.count >= 8,
            let index = message.payload.integer(at: 4, Int32.self)
        else { return nil }
        let header = Array(message.payload.prefix(4))
        let found = try message.attributes(after: 8)
        self.index = index
        family = header[0]
        prefixLength = header[1]
        scope = header[3]
        isPermanent = (found.integer(8) ?? UInt32(header[2])) & 0x80 != 0  // IFA_FLAGS, IFA_F_PERMANENT
        var attributes: [(type: UInt16, value: [UInt8])] = []
        for type: UInt16 in [2, 1, 4] {
            if let value = found[type] { attributes.append((type, Array(value))) }
        }
        self.attributes = attributes
    }
}
