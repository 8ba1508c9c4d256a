internal import LinuxSystem

/// What the host needs once, before the first container.
extension BridgeNetwork {
    /// Sets the host up where it is not, and says how.
    /// In the usual case that everything is there this takes no lock and five short calls.
    func prepareHost(
        _ route: borrowing NetlinkSocket
    ) throws(NetworkError) -> (record: NetworkRecord, bridgeIndex: Int32) {
        if let record = try state.record(), try isReady(record, route) {
            return (record, try bridgeIndex(route))
        }
        let lock = try state.lock()
        defer { _ = lock.raw }
        var record = try chosenRecord(route)
        try makeBridge(record, route)
        try setKernelParameters()
        try makeTable(&record)
        return (record, try bridgeIndex(route))
    }

    private func isReady(
        _ record: NetworkRecord, _ route: borrowing NetlinkSocket
    ) throws(NetworkError) -> Bool {
        if let wanted = configuration.subnet, wanted != record.subnet { return false }
        do throws(SystemError) {
            guard record.rules == Firewall.version,
                try NetworkInterface.isUp(configuration.bridge, socket: route.raw) == true, try forwards()
            else { return false }
            return try tableExists()
        } catch {
            throw NetworkError(.system, "cannot examine network \(configuration.name)", cause: error)
        }
    }

    private func bridgeIndex(_ route: borrowing NetlinkSocket) throws(NetworkError) -> Int32 {
        let name = configuration.bridge
        let raw = route.raw
        let index = try attempting("find bridge \(name)") { () throws(SystemError) in
            try NetworkInterface.index(of: name, socket: raw)
        }
        guard let index else { throw NetworkError(.system, "bridge \(name) has just been removed") }
        return index
    }

    private func chosenRecord(_ route: borrowing NetlinkSocket) throws(NetworkError) -> NetworkRecord {
        if let record = try state.record() {
            if let wanted = configuration.subnet, wanted != record.subnet {
                throw NetworkError(
                    .invalidArgument,
                    "network \(configuration.name) has subnet \(record.subnet), not \(wanted)")
            }
            return record
        }
        var routes: [RouteDescription] = []
        var addresses: [AddressDescription] = []
        var mtu: UInt32 = 1500
        var bridge: Int32?
        do throws(SystemError) {
            bridge = try NetworkInterface.index(of: configuration.bridge, socket: route.raw)
            var request = NetlinkWriter()
            request.dumpRoutes()
            let answer = try route.exchange(request)
            try answer.check("list", "routes")
            for message in answer.messages {
                if let description = try RouteDescription(message) { routes.append(description) }
            }
            request = NetlinkWriter()
            request.dumpAddresses()
            let addressAnswer = try route.exchange(request)
            try addressAnswer.check("list", "addresses")
            for message in addressAnswer.messages {
                if let description = try AddressDescription(message) { addresses.append(description) }
            }
            let outward = routes.first { $0.destination.prefixLength == 0 && $0.index != 0 }
            if let outward {
                request = NetlinkWriter()
                request.getLink(index: outward.index)
                let link = try route.exchange(request).messages.first.flatMap {
                    message throws(SystemError) in try LinkDescription(message)
                }
                if let link, link.mtu >= 576 { mtu = min(link.mtu, 65535) }
            }
        } catch {
            throw NetworkError(.system, "cannot examine the host's network", cause: error)
        }
        let own = bridge.flatMap { bridge in addresses.first { $0.index == bridge } }
        let subnet: IPv4Subnet
        if let wanted = configuration.subnet {
            subnet = wanted
        } else if let own {
            // The records were deleted under a bridge in use: its containers keep their addresses.
            subnet = IPv4Subnet(containing: own.address, prefixLength: own.prefixLength)
        } else {
            let foreign = routes.filter { $0.index != bridge || bridge == nil }.map(\.destination)
            guard let free = SubnetChoice.free(among: foreign) else {
                throw NetworkError(.exhausted, "the host routes every private IPv4 subnet already")
            }
            subnet = free
        }
        guard subnet.prefixLength <= 29, subnet.prefixLength >= 8 else {
            throw NetworkError(.invalidArgument, "subnet \(subnet) is no network of 8 to 29 bits")
        }
        let gateway = own.flatMap { subnet.contains($0.address) ? $0.address : nil }
        let record = NetworkRecord(
            subnet: subnet, gateway: gateway ?? IPv4Address(subnet.base.value + 1),
            mtu: configuration.mtu ?? mtu, rules: 0)
        // On record before the bridge exists: a bridge without a record would look like a foreign one.
        try state.write(record)
        return record
    }

    private func makeBridge(
        _ record: NetworkRecord, _ route: borrowing NetlinkSocket
    ) throws(NetworkError) {
        let name = configuration.bridge
        do throws(SystemError) {
            var request = NetlinkWriter()
            request.createBridge(
                name: name, mtu: record.mtu,
                hardwareAddress: HardwareAddress(derivedFrom: record.gateway))
            try route.exchange(request).checkAllowing(.exists, "create", "bridge \(name)")
        } catch {
            throw NetworkError(.system, "cannot set up network \(configuration.name)", cause: error)
        }
        let index = try bridgeIndex(route)
        do throws(SystemError) {
            // Up is last: a bridge that is up is complete.
            var request = NetlinkWriter()
            request.addAddress(record.gateway, in: record.subnet, index: index)
            request.setUp(index: index)
            try route.exchange(request).checkAllowing(.exists, "set up", "bridge \(name)")
        } catch {
            throw NetworkError(.system, "cannot set up network \(configuration.name)", cause: error)
        }
    }

    private static let forwarding = "/proc/sys/net/ipv4/ip_forward"

    private func forwards() throws(SystemError) -> Bool {
        try File.read(Self.forwarding, limit: 64).first == UInt8(ascii: "1")
    }

    private func setKernelParameters() throws(NetworkError) {
        do throws(SystemError) {
            if try !forwards() { try File.write("1", to: Self.forwarding) }
            // Without it the kernel drops what the host sends to a port published on 127.0.0.1.
            try File.write("1", to: "/proc/sys/net/ipv4/conf/\(configuration.bridge)/route_localnet")
        } catch {
            throw NetworkError(.system, "cannot let the host forward packets", cause: error)
        }
    }

    private func tableExists() throws(SystemError) -> Bool {
        try netfilter { socket throws(SystemError) in
            try FirewallTransaction.tableExists(configuration.table, socket)
        }
    }

    private func makeTable(_ record: inout NetworkRecord) throws(NetworkError) {
        do throws(SystemError) {
            if record.rules == Firewall.version, try tableExists() { return }
        } catch {
            throw NetworkError(.system, "cannot examine the firewall", cause: error)
        }
        try replaceTable(record)
        record.rules = Firewall.version
        try state.write(record)
    }

    /// Makes the table anew with the elements of all containers on record. Needs the lock.
    func replaceTable(_ record: NetworkRecord) throws(NetworkError) {
        let replacement = firewall(record).replacement(leases: try state.leases())
        try attempting("set up the firewall") { () throws(SystemError) in
            try netfilter { socket throws(SystemError) in try replacement.commit(socket) }
        }
    }

    func firewall(_ record: NetworkRecord) -> Firewall {
        Firewall(table: configuration.table, bridge: configuration.bridge, subnet: record.subnet)
    }
}

extension NetlinkAnswer {
    /// Throws the first failure that is not the expected one.
    fileprivate func checkAllowing(
        _ allowed: Errno, _ operation: String, _ object: String
    ) throws(SystemError) {
        for failure in failures where failure.errno != allowed {
            throw SystemError(operation, failure.text.map { "\(object) (\($0))" } ?? object, failure.errno)
        }
    }
}
