/// One instruction of an nf_tables rule. Instructions work on sixteen 4-byte
/// registers, numbered from 8 as the kernel does (`NFT_REG32_00`); one that
/// compares ends the rule when the comparison fails.
public enum FirewallExpression: Sendable, Equatable {
    public typealias Register = UInt32
    public static let firstRegister: Register = 8

    public enum Header: UInt32, Sendable {
        case network = 1
        case transport = 2
    }

    public enum Meta: UInt32, Sendable {
        case inputName = 6
        case outputName = 7
        case transportProtocol = 16
    }

    public enum Tracking: UInt32, Sendable {
        case state = 0
        case status = 2
    }

    public enum Verdict: Sendable, Equatable {
        case accept
        case drop
        case jump(String)
    }

    case payload(Header, offset: UInt32, length: UInt32, into: Register = firstRegister)
    case meta(Meta, into: Register = firstRegister)
    case tracking(Tracking, into: Register = firstRegister)
    /// The kind of the destination address in the routing table (`RTN_LOCAL` is 2).
    case destinationType(into: Register = firstRegister)
    case compare(equal: Bool, [UInt8], register: Register = firstRegister)
    case mask([UInt8], register: Register = firstRegister)
    /// Looks up a key of consecutive registers; no such element ends the rule.
    case lookUp(map: String, key: Register = firstRegister, into: Register = firstRegister)
    case destinationNAT(address: Register, port: Register)
    case masquerade
    case verdict(Verdict)

    /// `meta iifname/oifname == NAME`.
    static func interface(_ meta: Meta, equal: Bool, _ name: String) -> [FirewallExpression] {
        let bytes = Array(name.utf8.prefix(15))
        return [.meta(meta), .compare(equal: equal, bytes + [UInt8](repeating: 0, count: 16 - bytes.count))]
    }

    public static func inputIs(_ name: String) -> [FirewallExpression] {
        interface(.inputName, equal: true, name)
    }
    public static func inputIsNot(_ name: String) -> [FirewallExpression] {
        interface(.inputName, equal: false, name)
    }
    public static func outputIs(_ name: String) -> [FirewallExpression] {
        interface(.outputName, equal: true, name)
    }
    public static func outputIsNot(_ name: String) -> [FirewallExpression] {
        interface(.outputName, equal: false, name)
    }

    public enum AddressField: UInt32, Sendable {
        case source = 12
        case destination = 16
    }

    /// `ip saddr/daddr == SUBNET`.
    public static func address(
        _ field: AddressField, in subnet: IPv4Subnet, is equal: Bool = true
    ) -> [FirewallExpression] {
        [
            .payload(.network, offset: field.rawValue, length: 4),
            .mask(IPv4Address(subnet.netmask).bytes), .compare(equal: equal, subnet.base.bytes),
        ]
    }

    /// `ct state/status & BITS`, none or any of them.
    public static func tracking(_ key: Tracking, any: Bool, of bits: UInt32) -> [FirewallExpression] {
        let mask = withUnsafeBytes(of: bits) { Array($0) }
        return [.tracking(key), .mask(mask), .compare(equal: !any, [0, 0, 0, 0])]
    }
}

extension NetlinkWriter {
    /// An expression in NFTA_LIST_ELEM.
    mutating func expression(_ expression: FirewallExpression) {
        nest(1) {
            switch expression {
            case .payload(let header, let offset, let length, let register):
                $0.body("payload") {
                    $0.attribute(1, bigEndian: register)
                    $0.attribute(2, bigEndian: header.rawValue)
                    $0.attribute(3, bigEndian: offset)
                    $0.attribute(4, bigEndian: length)
                }
            case .meta(let key, let register):
                $0.body("meta") {
                    $0.attribute(1, bigEndian: register)
                    $0.attribute(2, bigEndian: key.rawValue)
                }
            case .tracking(let key, let register):
                $0.body("ct") {
                    $0.attribute(1, bigEndian: register)
                    $0.attribute(2, bigEndian: key.rawValue)
                }
            case .destinationType(let register):
                $0.body("fib") {
                    $0.attribute(1, bigEndian: register)
                    $0.attribute(2, bigEndian: UInt32(3))  // NFT_FIB_RESULT_ADDRTYPE
                    $0.attribute(3, bigEndian: UInt32(2))  // NFTA_FIB_F_DADDR
                }
            case .compare(let equal, let value, let register):
                $0.body("cmp") {
                    $0.attribute(1, bigEndian: register)
                    $0.attribute(2, bigEndian: UInt32(equal ? 0 : 1))
                    $0.nest(3) { $0.attribute(1, bytes: value) }
                }
            case .mask(let mask, let register):
                $0.body("bitwise") {
                    $0.attribute(1, bigEndian: register)
                    $0.attribute(2, bigEndian: register)
                    $0.attribute(3, bigEndian: UInt32(mask.count))
                    $0.nest(4) { $0.attribute(1, bytes: mask) }
                    $0.nest(5) { $0.attribute(1, bytes: [UInt8](repeating: 0, count: mask.count)) }
                }
            case .lookUp(let map, let key, let register):
                $0.body("lookup") {
                    $0.attribute(1, string: map)
                    $0.attribute(2, bigEndian: key)
                    $0.attribute(3, bigEndian: register)
                }
            case .destinationNAT(let address, let port):
                $0.body("nat") {
                    $0.attribute(1, bigEndian: UInt32(1))  // NFT_NAT_DNAT
                    $0.attribute(2, bigEndian: UInt32(2))  // NFPROTO_IPV4
                    $0.attribute(3, bigEndian: address)
                    $0.attribute(5, bigEndian: port)
                }
            case .masquerade:
                $0.attribute(1, string: "masq")
            case .verdict(let verdict):
                $0.body("immediate") {
                    $0.attribute(1, bigEndian: UInt32(0))  // NFT_REG_VERDICT
                    $0.nest(2) { $0.nest(2) { $0.verdict(verdict) } }
                }
            }
        }
    }

    private mutating func body(_ name: String, _ data: (inout NetlinkWriter) -> Void) {
        attribute(1, string: name)
        nest(2, data)
    }

    private mutating func verdict(_ verdict: FirewallExpression.Verdict) {
        switch verdict {
        case .accept: attribute(1, bigEndian: Int32(1))  // NF_ACCEPT
        case .drop: attribute(1, bigEndian: Int32(0))  // NF_DROP
        case .jump(let chain):
            attribute(1, bigEndian: Int32(-3))  // NFT_JUMP
            attribute(2, string: chain)
        }
    }
}
