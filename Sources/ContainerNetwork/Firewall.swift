internal import LinuxSystem

/// The network's table of nf_tables.
///
///     map published          protocol . port           : address . port
///     map published_address  address . protocol . port : address . port
///     chain redirect         dnat to published_address, else published
///     chain prerouting       to an own address, not 127/8: redirect
///     chain output           to an own address: redirect
///     chain postrouting      masquerade what leaves, and what must come back this way
///     chain forward          into the bridge only answers and redirected packets
///     chain guard            nothing from the bridge to 127/8
struct Firewall: Sendable {
    /// Counts up when the rules change, so that a newer program replaces an older one's table.
    static let version = 1

    let table: String
    let bridge: String
    let subnet: IPv4Subnet

    static let anyAddressMap = "published"
    static let addressMap = "published_address"

    /// Replaces the table as a whole.
    func replacement(leases: [Lease]) -> FirewallTransaction {
        var transaction = FirewallTransaction(table: table)
        transaction.addTable()
        transaction.deleteTable()
        transaction.addTable()
        transaction.addMap(
            Self.anyAddressMap, key: [.transportProtocol, .port], value: [.address, .port])
        transaction.addMap(
            Self.addressMap, key: [.address, .transportProtocol, .port], value: [.address, .port])
        addRedirection(to: &transaction)
        addMasquerading(to: &transaction)
        addProtection(to: &transaction)
        for lease in leases { Self.addElements(of: lease, to: &transaction, exclusive: false) }
        return transaction
    }

    private func addRedirection(to transaction: inout FirewallTransaction) {
        let first = FirewallExpression.firstRegister
        let destinationAddress: FirewallExpression = .payload(.network, offset: 16, length: 4, into: first)
        let toContainer: FirewallExpression = .destinationNAT(address: first, port: first + 1)
        func portKey(from register: UInt32) -> [FirewallExpression] {
            [
                .meta(.transportProtocol, into: register),
                .payload(.transport, offset: 2, length: 2, into: register + 1),
            ]
        }
        transaction.addChain("redirect")
        transaction.addRule(
            chain: "redirect",
            [destinationAddress] + portKey(from: first + 1) + [.lookUp(map: Self.addressMap), toContainer])
        transaction.addRule(
            chain: "redirect", portKey(from: first) + [.lookUp(map: Self.anyAddressMap), toContainer])

        let local: [FirewallExpression] = [
            .destinationType(), .compare(equal: true, [2, 0, 0, 0]),  // RTN_LOCAL
            .verdict(.jump("redirect")),
        ]
        // The hook comes before the routing decision that drops packets to 127/8 from outside:
        // redirected, they would reach a port that was published for the host alone.
        transaction.addChain("prerouting", .nat, .prerouting, priority: -100)
        transaction.addRule(
            chain: "prerouting",
            FirewallExpression.address(.destination, in: Self.loopback, is: false) + local)
        transaction.addChain("output", .nat, .output, priority: -100)
        transaction.addRule(chain: "output", local)
    }

    private func addMasquerading(to transaction: inout FirewallTransaction) {
        transaction.addChain("postrouting", .nat, .postrouting, priority: 100)
        transaction.addRule(
            chain: "postrouting",
            FirewallExpression.address(.source, in: subnet) + FirewallExpression.outputIsNot(bridge)
                + FirewallExpression.outputIsNot("lo") + [.masquerade])
        // The host's own packets to 127.0.0.1: the container has no way back to that address.
        transaction.addRule(
            chain: "postrouting",
            FirewallExpression.outputIs(bridge) + FirewallExpression.address(.source, in: Self.loopback)
                + [.masquerade])
        // From a container by way of the host to a container: without this the second would
        // answer the first directly over the bridge, with an address that the first never asked.
        transaction.addRule(
            chain: "postrouting",
            FirewallExpression.outputIs(bridge) + FirewallExpression.address(.source, in: subnet)
                + FirewallExpression.tracking(.status, any: true, of: Self.redirected) + [.masquerade])
    }

    private func addProtection(to transaction: inout FirewallTransaction) {
        transaction.addChain("forward", .filter, .forward, priority: 0)
        transaction.addRule(
            chain: "forward",
            FirewallExpression.outputIs(bridge) + FirewallExpression.inputIsNot(bridge)
                + FirewallExpression.tracking(.state, any: false, of: Self.establishedOrRelated)
                + FirewallExpression.tracking(.status, any: false, of: Self.redirected)
                + [.verdict(.drop)])
        // route_localnet lets packets to 127/8 in from the bridge: only the answers to the
        // host's own are meant, which do not have that address yet at this priority ("raw").
        transaction.addChain("guard", .filter, .prerouting, priority: -300)
        transaction.addRule(
            chain: "guard",
            FirewallExpression.inputIs(bridge)
                + FirewallExpression.address(.destination, in: Self.loopback) + [.verdict(.drop)])
    }

    private static let loopback = IPv4Subnet(containing: IPv4Address(127, 0, 0, 0), prefixLength: 8)
    private static let redirected: UInt32 = 1 << 5  // IPS_DST_NAT
    private static let establishedOrRelated: UInt32 = 2 | 4  // NF_CT_STATE_BIT

    // MARK: Elements

    static func addElements(
        of lease: Lease, to transaction: inout FirewallTransaction, exclusive: Bool = true
    ) {
        for (map, elements) in elements(of: lease) where !elements.isEmpty {
            transaction.addElements(to: map, elements, exclusive: exclusive)
        }
    }

    /// Removes those of a lease's elements that are there and lead to its address: a port may
    /// have been published again by another since.
    static func removeElements(
        of lease: Lease, from table: String, _ socket: borrowing NetlinkSocket
    ) throws(SystemError) {
        var transaction = FirewallTransaction(table: table)
        for (map, elements) in elements(of: lease) where !elements.isEmpty {
            let present = try FirewallTransaction.present(elements, in: map, of: table, socket)
            if !present.isEmpty { transaction.deleteElements(from: map, present) }
        }
        try transaction.commit(socket)
    }

    static func elements(of lease: Lease) -> [(map: String, [FirewallTransaction.Element])] {
        var any: [FirewallTransaction.Element] = []
        var addressed: [FirewallTransaction.Element] = []
        for port in lease.ports {
            guard let hostPort = port.hostPort else { continue }
            // Each part of a key or value takes up four bytes.
            let key: [UInt8] =
                [port.proto.number, 0, 0, 0, UInt8(hostPort >> 8), UInt8(hostPort & 255), 0, 0]
            let value =
                lease.address.bytes
                + [UInt8(port.containerPort >> 8), UInt8(port.containerPort & 255), 0, 0]
            if let address = port.hostIP.flatMap({ IPv4Address($0) }), !address.isAny {
                addressed.append(FirewallTransaction.Element(key: address.bytes + key, value: value))
            } else {
                any.append(FirewallTransaction.Element(key: key, value: value))
            }
        }
        return [(anyAddressMap, any), (addressMap, addressed)]
    }
}

extension Lease {
    /// The host's UDP ports that lead to the container.
    var datagramPorts: Set<UInt16> { Set(ports.filter { $0.proto == .udp }.compactMap(\.hostPort)) }
}
