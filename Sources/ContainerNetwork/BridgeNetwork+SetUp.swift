public import LinuxSystem

extension BridgeNetwork {
    /// Connects a network namespace: eth0 with an address and a default route, lo up, the
    /// ports published. On an error nothing has changed.
    /// - Parameters:
    ///   - containerID: what `tearDown` gets; a file name.
    ///   - netns: the container's namespace, without an eth0.
    /// - Throws: `portInUse` when a host port is held by anyone.
    public func setUp(
        containerID: String, netns: borrowing Descriptor, ports: [PortMapping] = []
    ) throws(NetworkError) -> NetworkAttachment {
        try checkNames(containerID)
        let (sockets, ports) = try PortSockets.reserve(ports)
        let route = try attempting("talk to the kernel") { () throws(SystemError) in try NetlinkSocket(.route)
        }
        let (record, bridge) = try prepareHost(route)
        if try state.lease(of: containerID) != nil { try tearDown(containerID: containerID) }

        let netnsRaw = netns.raw
        let link = try makeLink(record, bridge, netns: netnsRaw, hairpin: !ports.isEmpty, route)
        do throws(NetworkError) {
            try configureInside(netnsRaw, link.address, record)
            let lease = Lease(
                containerID: containerID, address: link.address, hostInterface: link.name,
                index: link.index, ports: ports, namespace: NamespaceIdentity(own: "net"))
            try publish(lease, record, route)
        } catch {
            try? deleteInterface(link.index, route)
            throw error
        }
        return NetworkAttachment(
            network: configuration.name, address: link.address, subnet: record.subnet,
            gateway: record.gateway, hardwareAddress: HardwareAddress(derivedFrom: link.address),
            interface: Self.containerInterface, hostInterface: link.name, mtu: record.mtu, ports: ports,
            portSockets: sockets)
    }

    static let containerInterface = "eth0"

    private func checkNames(_ containerID: String) throws(NetworkError) {
        let allowed = containerID.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"), UInt8(ascii: "-"),
                UInt8(ascii: "."):
                true
            default: false
            }
        }
        guard allowed, (1...200).contains(containerID.utf8.count), !containerID.hasPrefix("."),
            !containerID.hasSuffix(".tmp")
        else { throw NetworkError(.invalidArgument, "\"\(containerID)\" is no container ID") }
        guard (1...NetworkInterface.maximumNameLength).contains(configuration.bridge.utf8.count),
            !configuration.bridge.contains("/"), configuration.bridge != ".", configuration.bridge != ".."
        else { throw NetworkError(.invalidArgument, "\"\(configuration.bridge)\" is no interface name") }
    }

    // MARK: Link

    /// Makes the veth pair. Its host end's name claims the address: the kernel allows no second.
    private func makeLink(
        _ record: NetworkRecord, _ bridge: Int32, netns: Int32, hairpin: Bool,
        _ route: borrowing NetlinkSocket
    ) throws(NetworkError) -> (address: IPv4Address, name: String, index: Int32) {
        let hosts = Int(record.subnet.broadcast.value - record.subnet.base.value) - 2
        // A bridge has at most 1,024 ports: more addresses than those are never taken at once.
        for _ in 0..<min(hosts, 2048) {
            let address = try nextAddress(record)
            let name = Self.hostInterface(for: address)
            do throws(SystemError) {
                var request = NetlinkWriter()
                let creation = request.createVirtualEthernet(
                    NetlinkWriter.VirtualEthernet(
                        name: name, master: bridge, mtu: record.mtu, peerName: Self.containerInterface,
                        peerHardwareAddress: HardwareAddress(derivedFrom: address), peerNamespace: netns))
                // With bridge-nf-call-iptables a container's packets to its own published port
                // go back through the port they came from without passing through the host.
                if hairpin { request.setHairpin(port: name) }
                let answer = try route.exchange(request)
                if let failure = answer.failure(of: creation), failure.errno == .exists,
                    try NetworkInterface.index(of: name, socket: route.raw) != nil
                {
                    continue
                }
                if answer.failures.first?.errno.rawValue == EXFULL {
                    throw SystemError("add port", "to bridge \(configuration.bridge)", Errno(EXFULL))
                }
                try answer.check("create interface", name)
                guard let index = try NetworkInterface.index(of: name, socket: route.raw) else {
                    throw SystemError("find interface", name, Errno(ENODEV))
                }
                return (address, name, index)
            } catch {
                throw NetworkError(
                    error.errno.rawValue == EXFULL ? .exhausted : .system,
                    "cannot connect the container to bridge \(configuration.bridge)", cause: error)
            }
        }
        throw NetworkError(
            .exhausted, "no address is free in \(record.subnet) of network \(configuration.name)")
    }

    private func nextAddress(_ record: NetworkRecord) throws(NetworkError) -> IPv4Address {
        let lock = try state.lock()
        defer { _ = lock.raw }
        return try state.nextAddress(in: record.subnet, gateway: record.gateway)
    }

    private func configureInside(
        _ netns: Int32, _ address: IPv4Address, _ record: NetworkRecord
    ) throws(NetworkError) {
        try attempting("set up the container's network") { () throws(SystemError) in
            let inside = try NetworkNamespace.inside(netns) { () throws(SystemError) in
                try NetlinkSocket(.route)
            }
            guard let index = try NetworkInterface.index(of: Self.containerInterface, socket: inside.raw)
            else {
                throw SystemError("find interface", Self.containerInterface, Errno(ENODEV))
            }
            var request = NetlinkWriter()
            request.setUp(index: 1)  // lo: every namespace's first
            request.setUp(index: index)
            request.addAddress(address, in: record.subnet, index: index)
            request.addDefaultRoute(gateway: record.gateway, index: index)
            try inside.exchange(request).check("set up interface", Self.containerInterface)
        }
    }

    func deleteInterface(_ index: Int32, _ route: borrowing NetlinkSocket) throws(SystemError) {
        var request = NetlinkWriter()
        request.deleteLink(index: index)
        let answer = try route.exchange(request)
        if answer.failures.first?.errno.rawValue == ENODEV { return }
        try answer.check("delete", "interface \(index)")
    }

    // MARK: Ports

    /// Records the lease, then opens its ports, so that whatever is open is on record.
    private func publish(
        _ lease: Lease, _ record: NetworkRecord, _ route: borrowing NetlinkSocket
    ) throws(NetworkError) {
        var attemptsLeft = 10
        while true {
            do throws(NetworkError) {
                try publishOnce(lease, record, route)
                break
            } catch  where error.code == .portInUse && attemptsLeft > 0 {
                // Its last user's namespace may be going just now.
                attemptsLeft -= 1
                usleep(20_000)
            }
        }
        forgetDatagrams(of: lease)
    }

    private func publishOnce(
        _ lease: Lease, _ record: NetworkRecord, _ route: borrowing NetlinkSocket
    ) throws(NetworkError) {
        let lock = try state.lock()
        defer { _ = lock.raw }
        // Our interface has the address, so whoever else is on record with it is dead: its
        // ports would lead to the new container.
        if let previous = state.owner(of: lease.address), let dead = try state.lease(of: previous) {
            try release(dead)
        }
        try state.add(lease)
        do throws(NetworkError) {
            try open(lease, record, route)
        } catch {
            try? release(lease)
            throw error
        }
    }

    private func open(
        _ lease: Lease, _ record: NetworkRecord, _ route: borrowing NetlinkSocket
    ) throws(NetworkError) {
        if lease.ports.isEmpty { return }
        var transaction = FirewallTransaction(table: configuration.table)
        Firewall.addElements(of: lease, to: &transaction)
        let addition = transaction
        func commit() throws(SystemError) {
            try netfilter { socket throws(SystemError) in try addition.commit(socket) }
        }
        do throws(SystemError) {
            try commit()
        } catch  where error.errno == .exists {
            // We hold the port, so who published it before has not cleaned up. That container is
            // gone, or it has lost its monitor and runs on.
            try sweep(route, keeping: lease)
            try refuseConflicts(with: lease)
            try attempting("publish ports") { () throws(SystemError) in try commit() }
        } catch  where error.errno == .noEntry {
            // Somebody flushed the ruleset since we looked.
            try replaceTable(record)
        } catch {
            throw NetworkError(.system, "cannot publish ports", cause: error)
        }
    }

    private func refuseConflicts(with lease: Lease) throws(NetworkError) {
        for other in try state.leases() where other.containerID != lease.containerID {
            for port in other.ports {
                let taken = lease.ports.contains {
                    $0.hostPort == port.hostPort && $0.proto == port.proto && $0.hostIP == port.hostIP
                }
                if taken {
                    throw NetworkError(
                        .portInUse,
                        "host port \(port.hostPlace) is in use already: it leads to container \(other.containerID)"
                    )
                }
            }
        }
    }
}
