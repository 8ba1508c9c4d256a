internal import LinuxSystem

extension BridgeNetwork {
    /// Closes a container's ports and forgets it; nothing happens when it is unknown. The
    /// interfaces and the address go with the network namespace, when its last process and
    /// descriptor do.
    /// - Parameter deletingInterface: deletes the interfaces now, for a namespace that stays. It
    ///   takes the kernel some ten milliseconds.
    public func tearDown(containerID: String, deletingInterface: Bool = false) throws(NetworkError) {
        guard !containerID.contains("/"), let known = try state.lease(of: containerID) else { return }
        let lock = try state.lock()
        defer { _ = lock.raw }
        // Again under the lock: another may have been faster.
        guard let lease = try state.lease(of: containerID), lease == known else { return }
        let netfilter = try attempting("talk to the kernel") { () throws(SystemError) in
            try NetlinkSocket(.netfilter)
        }
        try release(lease, state.record(), netfilter)
        if deletingInterface {
            try attempting("disconnect \(containerID)") { () throws(SystemError) in
                let route = try NetlinkSocket(.route)
                if try NetworkInterface.index(of: lease.hostInterface, socket: route.raw) == lease.index {
                    try deleteInterface(lease.index, route)
                }
            }
        }
    }

    /// Releases what containers left that are gone without `tearDown`: those whose host
    /// interface does not exist any more.
    /// - Returns: how many there were.
    @discardableResult
    public func sweep() throws(NetworkError) -> Int {
        let leases = try state.leases()
        if leases.isEmpty { return 0 }
        let route = try attempting("talk to the kernel") { () throws(SystemError) in try NetlinkSocket(.route) }
        var anyDead = false
        for lease in leases where !anyDead { anyDead = try isDead(lease, route) }
        if !anyDead { return 0 }
        let netfilter = try attempting("talk to the kernel") { () throws(SystemError) in
            try NetlinkSocket(.netfilter)
        }
        let lock = try state.lock()
        defer { _ = lock.raw }
        return try sweep(state.record(), netfilter, route, keeping: nil)
    }

    /// Needs the lock.
    @discardableResult
    func sweep(
        _ record: NetworkRecord?, _ netfilter: borrowing NetlinkSocket, _ route: borrowing NetlinkSocket,
        keeping own: Lease?
    ) throws(NetworkError) -> Int {
        var count = 0
        for lease in try state.leases() where lease != own {
            if try isDead(lease, route) {
                try release(lease, record, netfilter)
                count += 1
            }
        }
        return count
    }

    private func isDead(_ lease: Lease, _ route: borrowing NetlinkSocket) throws(NetworkError) -> Bool {
        do throws(SystemError) {
            return try NetworkInterface.index(of: lease.hostInterface, socket: route.raw) != lease.index
        } catch {
            throw NetworkError(.system, "cannot examine \(lease.hostInterface)", cause: error)
        }
    }

    /// Closes the ports, then forgets the lease. Needs the lock.
    func release(
        _ lease: Lease, _ record: NetworkRecord?, _ netfilter: borrowing NetlinkSocket
    ) throws(NetworkError) {
        if let record, !lease.ports.isEmpty {
            do throws(SystemError) {
                try firewall(record).removeElements(of: lease, netfilter)
                try ConnectionTracking.forgetDatagrams(to: lease.datagramPorts, netfilter)
            } catch {
                throw NetworkError(.system, "cannot close the ports of \(lease.containerID)", cause: error)
            }
        }
        try state.remove(lease)
    }

    /// Removes the whole network from the host: its containers' interfaces, its bridge, its
    /// table and its records.
    public func removeFromHost() throws(NetworkError) {
        let route = try attempting("talk to the kernel") { () throws(SystemError) in try NetlinkSocket(.route) }
        let netfilter = try attempting("talk to the kernel") { () throws(SystemError) in
            try NetlinkSocket(.netfilter)
        }
        let lock = try state.lock()
        defer { _ = lock.raw }
        let leases = try state.leases()
        do throws(SystemError) {
            for lease in leases {
                if try NetworkInterface.index(of: lease.hostInterface, socket: route.raw) == lease.index {
                    try deleteInterface(lease.index, route)
                }
            }
            if let bridge = try NetworkInterface.index(of: configuration.bridge, socket: route.raw) {
                try deleteInterface(bridge, route)
            }
            var transaction = FirewallTransaction(table: configuration.table)
            transaction.addTable()
            transaction.deleteTable()
            try transaction.commit(netfilter)
            try File.removeTree(state.directory)
        } catch {
            throw NetworkError(.system, "cannot remove network \(configuration.name)", cause: error)
        }
    }
}
