/// Changes to one IPv4 table of nf_tables (nft(8)) that the kernel makes all
/// together or not at all.
public struct FirewallTransaction: Sendable {
    private var writer: NetlinkWriter
    private let table: String
    private var nextSet: UInt32 = 1
    private var changes = 0

    public enum Hook: UInt32, Sendable {
        case prerouting = 0
        case forward = 2
        case output = 3
        case postrouting = 4
    }

    public enum ChainType: String, Sendable {
        case filter, nat
    }

    /// The parts of a map's key or value, for the kernel their lengths and for nft(8) their names.
    public enum Field: UInt32, Sendable {
        case address = 7
        case transportProtocol = 12
        case port = 13
    }

    public struct Element: Sendable, Equatable {
        public var key: [UInt8]
        public var value: [UInt8]
        public init(key: [UInt8], value: [UInt8]) {
            self.key = key
            self.value = value
        }
    }

    public init(table: String, firstSequence: UInt32 = 1) {
        self.table = table
        writer = NetlinkWriter(firstSequence: firstSequence)
        writer.message(0x10, []) { $0.netfilterHeader(family: 0, resource: 10) }  // NFNL_MSG_BATCH_BEGIN
    }

    public var isEmpty: Bool { changes == 0 }

    /// The bytes that `commit` sends.
    public var bytes: [UInt8] { ended.bytes }

    private var ended: NetlinkWriter {
        var writer = writer
        writer.message(0x11, []) { $0.netfilterHeader(family: 0, resource: 10) }  // NFNL_MSG_BATCH_END
        return writer
    }

    private mutating func add(_ type: UInt16, _ flags: NetlinkFlags, _ body: (inout NetlinkWriter) -> Void) {
        changes += 1
        writer.message(Self.subsystem | type, flags.union(.acknowledge)) {
            $0.netfilterHeader(family: 2, resource: 0)
            body(&$0)
        }
    }

    /// NFNL_SUBSYS_NFTABLES.
    private static let subsystem: UInt16 = 10 << 8

    /// Makes the table unless it exists.
    public mutating func addTable() {
        let table = table
        add(0, .create) { $0.attribute(1, string: table) }
    }

    /// The table must exist: precede this with `addTable` to replace whatever is there.
    public mutating func deleteTable() {
        let table = table
        add(2, []) { $0.attribute(1, string: table) }
    }

    public mutating func addChain(_ name: String) {
        let table = table
        add(3, .create) {
            $0.attribute(1, string: table)
            $0.attribute(3, string: name)
        }
    }

    /// A chain that the kernel enters at a hook, with the policy to accept.
    public mutating func addChain(_ name: String, _ type: ChainType, _ hook: Hook, priority: Int32) {
        let table = table
        add(3, .create) {
            $0.attribute(1, string: table)
            $0.attribute(3, string: name)
            $0.nest(4) {
                $0.attribute(1, bigEndian: hook.rawValue)
                $0.attribute(2, bigEndian: priority)
            }
            $0.attribute(5, bigEndian: UInt32(1))  // NF_ACCEPT
            $0.attribute(7, string: type.rawValue)
        }
    }

    /// A hash map, looked up in constant time.
    public mutating func addMap(_ name: String, key: [Field], value: [Field]) {
        let table = table
        let identifier = nextSet
        nextSet += 1
        add(9, .create) {
            $0.attribute(1, string: table)
            $0.attribute(2, string: name)
            $0.attribute(3, bigEndian: UInt32(8))  // NFT_SET_MAP
            $0.attribute(4, bigEndian: Self.concatenated(key))
            $0.attribute(5, bigEndian: UInt32(key.count * 4))
            $0.attribute(6, bigEndian: Self.concatenated(value))
            $0.attribute(7, bigEndian: UInt32(value.count * 4))
            $0.attribute(10, bigEndian: identifier)
        }
    }

    /// nft(8)'s number of a compound type: six bits a part.
    private static func concatenated(_ fields: [Field]) -> UInt32 {
        fields.reduce(0) { $0 << 6 | $1.rawValue }
    }

    public mutating func addRule(chain: String, _ expressions: [FirewallExpression]) {
        let table = table
        add(6, [.create, .append]) {
            $0.attribute(1, string: table)
            $0.attribute(2, string: chain)
            $0.nest(4) { for expression in expressions { $0.expression(expression) } }
        }
    }

    /// - Parameter exclusive: an element with the same key is an error, even with the same value.
    public mutating func addElements(to map: String, _ elements: [Element], exclusive: Bool = true) {
        change(12, exclusive ? [.create, .exclusive] : .create, map, elements)
    }

    /// An element that is not there is an error.
    public mutating func deleteElements(from map: String, _ elements: [Element]) {
        change(14, [], map, elements.map { Element(key: $0.key, value: []) })
    }

    private mutating func change(
        _ type: UInt16, _ flags: NetlinkFlags, _ map: String, _ elements: [Element]
    ) {
        let table = table
        // An attribute's length has 16 bits: 500 elements of at most 48 bytes are well below.
        for start in stride(from: 0, to: elements.count, by: 500) {
            add(type, flags) {
                $0.attribute(1, string: table)
                $0.attribute(2, string: map)
                $0.nest(3) {
                    for element in elements[start..<min(start + 500, elements.count)] {
                        $0.nest(1) {
                            $0.nest(1) { $0.attribute(1, bytes: element.key) }
                            if !element.value.isEmpty {
                                $0.nest(2) { $0.attribute(1, bytes: element.value) }
                            }
                        }
                    }
                }
            }
        }
    }

    /// Makes the changes.
    /// - Throws: what the kernel says against the first change that it refuses; nothing is changed then.
    public func commit(_ socket: borrowing NetlinkSocket) throws(SystemError) {
        if isEmpty { return }
        try socket.exchange(ended).check(
            "change firewall table", table, acknowledged: writer.nextSequence &- 1)
    }

    /// Those of the elements that a map has, with just these values.
    public static func present(
        _ elements: [Element], in map: String, of table: String, _ socket: borrowing NetlinkSocket
    ) throws(SystemError) -> [Element] {
        var present: [Element] = []
        // The answers wait in the socket's receive buffer until all are there.
        for start in stride(from: 0, to: elements.count, by: 200) {
            let part = elements[start..<min(start + 200, elements.count)]
            var writer = NetlinkWriter()
            for element in part {
                writer.message(subsystem | 13, []) {  // NFT_MSG_GETSETELEM
                    $0.netfilterHeader(family: 2, resource: 0)
                    $0.attribute(1, string: table)
                    $0.attribute(2, string: map)
                    $0.nest(3) { $0.nest(1) { $0.nest(1) { $0.attribute(1, bytes: element.key) } } }
                }
            }
            let answer = try socket.exchange(writer)
            for failure in answer.failures where failure.errno != .noEntry {
                throw SystemError("look up in firewall map", map, failure.errno)
            }
            for message in answer.messages where message.type == subsystem | 12 {
                if let found = try element(of: message), part.contains(found) { present.append(found) }
            }
        }
        return present
    }

    private static func element(of message: NetlinkMessage) throws(SystemError) -> Element? {
        guard let element = try message.attributes(after: 4).nested(3)?.nested(1),
            let key = try element.nested(1)?[1], let value = try element.nested(2)?[1]
        else { return nil }
        return Element(key: Array(key), value: Array(value))
    }

    /// Whether the table exists.
    public static func tableExists(_ table: String, _ socket: borrowing NetlinkSocket) throws(SystemError)
        -> Bool
    {
        var writer = NetlinkWriter()
        writer.message(subsystem | 1, .acknowledge) {  // NFT_MSG_GETTABLE
            $0.netfilterHeader(family: 2, resource: 0)
            $0.attribute(1, string: table)
        }
        let answer = try socket.exchange(writer)
        if answer.failures.first?.errno == .noEntry { return false }
        try answer.check("find firewall table", table)
        return true
    }
}

extension NetlinkWriter {
    /// struct nfgenmsg.
    mutating func netfilterHeader(family: UInt8, resource: UInt16) {
        append(family)
        append(UInt8(0))  // NFNETLINK_V0
        append(resource.bigEndian)
    }
}
