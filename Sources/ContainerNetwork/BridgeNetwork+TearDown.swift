internal import LinuxSystem

extension BridgeNetwork {
    /// Closes a container's ports and forgets it; nothing happens when it is unknown. The
    /// interfaces and the address go with the network namespace, when its last process and
    /// descriptor do.
    /// - Parameter deletingInterface: deletes the interfaces now, for a namespace that stays. It
    ///   takes the kernel some ten milliseconds.
    public func tearDown(containerID: String, deletingInterface: Bool = false) throws(NetworkError) {
        guard !containerID.contains("/") else { return }
        let lease = try forget(containerID)
        guard let lease else { return }
        forgetDatagrams(of: lease)
        if deletingInterface {
            try attempting("disconnect \(containerID)") { () throws(SystemError) in
                let route = try NetlinkSocket(.route)
                if try NetworkInterface.index(of: lease.hostInterface, socket: route.raw) == lease.index {
                    try deleteInterface(lease.index, route)
                }
            }
        }
    }

    private func forget(_ containerID: String) throws(NetworkError) -> Lease? {
        if try state.lease(of: containerID) == nil { return nil }
        let lock = try state.lock()
        defer { _ = lock.raw }
        // Again under the lock: another may have been faster.
        guard let lease = try state.lease(of: containerID) else { return nil }
        try release(lease)
        return lease
    }

    /// Releases what containers left that are gone without `tearDown`: those whose host
    /// interface does not exist any more.
    /// - Returns: how many there were.
    @discardableResult
    public func sweep() throws(NetworkError) -> Int {
        let leases = try state.leases()
        var isClean = try !state.hasPartialLeases()
        if leases.isEmpty, isClean { return 0 }
        let route = try attempting("talk to the kernel") { () throws(SystemError) in try NetlinkSocket(.route)
        }
        for lease in leases where isClean { isClean = try !isDead(lease, route) }
        if isClean { return 0 }
        let lock = try state.lock()
        defer { _ = lock.raw }
        try state.removePartialLeases()
        return try sweep(route, keeping: nil)
    }

    /// Needs the lock.
    @discardableResult
    func sweep(
        _ route: borrowing NetlinkSocket, keeping own: Lease?
    ) throws(NetworkError) -> Int {
        var count = 0
        for lease in try state.leases() where lease != own {
            if try isDead(lease, route) {
                try release(lease)
                forgetDatagrams(of: lease)
                count += 1
            }
        }
        return count
    }

    private func isDead(_ lease: Lease, _ route: borrowing NetlinkSocket) throws(NetworkError) -> Bool {
        let index: Int32?
        do throws(SystemError) {
            index = try NetworkInterface.index(of: lease.hostInterface, socket: route.raw)
        } catch {
            throw NetworkError(.system, "cannot examine \(lease.hostInterface)", cause: error)
        }
        if index == lease.index { return false }
        // It may live in a network namespace that is not seen from this one.
        guard let there = lease.namespace, let here = NamespaceIdentity(own: "net") else { return true }
        return there.isSeen(from: here)
    }

    /// Closes the ports, then forgets the lease. Needs the lock.
    func release(_ lease: Lease) throws(NetworkError) {
        if !lease.ports.isEmpty {
            try attempting("close the ports of \(lease.containerID)") { () throws(SystemError) in
                try netfilter { socket throws(SystemError) in
                    try Firewall.removeElements(of: lease, from: configuration.table, socket)
                }
            }
        }
        try state.remove(lease)
    }

    /// Lets the flows to a container's UDP ports be judged anew, where there are any. The kernel
    /// walks its whole table for it, for up to twenty milliseconds, so this is done without the lock.
    func forgetDatagrams(of lease: Lease) {
        let ports = lease.datagramPorts
        guard !ports.isEmpty, ConnectionTracking.count() != 0 else { return }
        // Not worth a failure: such a flow ends when its sender pauses.
        try? netfilter { socket throws(SystemError) in
            try ConnectionTracking.forgetDatagrams(to: ports, socket)
        }
    }

    /// Removes the whole network from the host: its containers' interfaces, its bridge, its
    /// table and its records.
    public func removeFromHost() throws(NetworkError) {
        let route = try attempting("talk to the kernel") { () throws(SystemError) in try NetlinkSocket(.route)
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
            let removal = transaction
            try netfilter { socket throws(SystemError) in try removal.commit(socket) }
            try File.removeTree(state.directory)
        } catch {
            throw NetworkError(.system, "cannot remove network \(configuration.name)", cause: error)
        }
    }
}
