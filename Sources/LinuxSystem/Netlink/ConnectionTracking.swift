/// The kernel's table of connections (ctnetlink).
public enum ConnectionTracking {
    /// How many connections there are; nil when the kernel does not say.
    public static func count() -> Int? {
        guard let text = try? File.readText("/proc/sys/net/netfilter/nf_conntrack_count") else { return nil }
        return Int(text.prefix { $0 != "\n" })
    }

    /// Forgets the UDP flows that were sent to one of these ports. A flow keeps the
    /// translation, or the lack of one, that its first packet got, for as long as packets
    /// come: after the rules for a port have changed, it must be judged anew.
    public static func forgetDatagrams(
        to ports: Set<UInt16>, _ socket: borrowing NetlinkSocket
    ) throws(SystemError) {
        if ports.isEmpty { return }
        var dump = NetlinkWriter()
        dump.message(subsystem | 1, .dump) { $0.netfilterHeader(family: UInt8(AF_INET), resource: 0) }
        let answer = try socket.exchange(dump)
        try answer.check("list", "tracked connections")
        for message in answer.messages where message.type == subsystem {
            let attributes = try message.attributes(after: 4)
            guard let original = attributes[originalTuple],
                let transport = try NetlinkAttributes(original).nested(2),  // CTA_TUPLE_PROTO
                transport.integer(1, UInt8.self) == UInt8(IPPROTO_UDP),
                let port = transport.bigEndian(3, UInt16.self),  // CTA_PROTO_DST_PORT
                ports.contains(port)
            else { continue }
            var request = NetlinkWriter()
            request.message(subsystem | 2, .acknowledge) {
                $0.netfilterHeader(family: UInt8(AF_INET), resource: 0)
                $0.attribute(originalTuple | 0x8000, bytes: original)
                if let zone = attributes[18] { $0.attribute(18, bytes: zone) }  // CTA_ZONE
            }
            let deletion = try socket.exchange(request)
            if deletion.failures.first?.errno == .noEntry { continue }
            try deletion.check("forget", "tracked connection")
        }
    }

    /// NFNL_SUBSYS_CTNETLINK; message 0 describes, 1 asks, 2 deletes.
    private static let subsystem: UInt16 = 1 << 8
    private static let originalTuple: UInt16 = 1
}
