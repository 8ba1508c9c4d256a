internal import JSONText
internal import LinuxSystem

/// The records of one network:
///
///     lock               held (flock) while a record and the firewall change together
///     network.json       what was decided when the network was made
///     next               where the search for a free address goes on
///     leases/ID          a container's lease
///     addresses/ADDRESS  a symbolic link whose target is the ID of the address's lease
struct NetworkState: Sendable {
    let directory: String

    /// Waits for the lock; makes the directories on first use.
    func lock() throws(NetworkError) -> FileLock {
        try attempting("lock the network's state") { () throws(SystemError) -> FileLock in
            do throws(SystemError) {
                return try FileLock("\(directory)/lock")
            } catch  where error.errno == .noEntry {
                try File.makeDirectories("\(directory)/leases", mode: 0o755)
                try File.makeDirectories("\(directory)/addresses", mode: 0o755)
                return try FileLock("\(directory)/lock")
            }
        }
    }

    // MARK: The network

    func record() throws(NetworkError) -> NetworkRecord? {
        guard let json = try read("network.json") else { return nil }
        do throws(JSONError) {
            return try NetworkRecord(json: json)
        } catch {
            throw damaged("network.json", error)
        }
    }

    func write(_ record: NetworkRecord) throws(NetworkError) { try write("network.json", record.json) }

    // MARK: Addresses

    /// The next address to try, each in turn, so that one just freed rests for as long as
    /// possible: the kernel may still be taking its last owner apart. Needs the lock.
    func nextAddress(in subnet: IPv4Subnet, gateway: IPv4Address) throws(NetworkError) -> IPv4Address {
        try attempting("choose an address") { () throws(SystemError) -> IPv4Address in
            let file = try File.open("\(directory)/next", O_RDWR | O_CREAT, mode: 0o600)
            let raw = file.raw
            var last: UInt32 = 0
            _ = try retrying("read", "next") { pread(raw, &last, 4, 0) }
            var candidate = IPv4Address(last &+ 1)
            let first = IPv4Address(subnet.base.value + 1)
            if candidate <= first || candidate >= subnet.broadcast { candidate = first }
            if candidate == gateway { candidate = IPv4Address(candidate.value + 1) }
            if candidate >= subnet.broadcast { candidate = first }
            last = candidate.value
            _ = try retrying("write", "next") { pwrite(raw, &last, 4, 0) }
            return candidate
        }
    }

    // MARK: Leases

    func lease(of containerID: String) throws(NetworkError) -> Lease? {
        guard let json = try read("leases/\(containerID)") else { return nil }
        do throws(JSONError) {
            return try Lease(json: json)
        } catch {
            throw damaged("leases/\(containerID)", error)
        }
    }

    /// Whose lease has the address, dead or alive.
    func owner(of address: IPv4Address) -> String? { try? File.readLink("\(directory)/addresses/\(address)") }

    func add(_ lease: Lease) throws(NetworkError) {
        try write("leases/\(lease.containerID)", lease.json)
        try attempting("record the address of \(lease.containerID)") { () throws(SystemError) in
            let link = "\(directory)/addresses/\(lease.address)"
            do throws(SystemError) { try File.unlink(link) } catch  where error.errno == .noEntry {}
            try File.makeSymbolicLink(to: lease.containerID, link)
        }
    }

    func remove(_ lease: Lease) throws(NetworkError) {
        try attempting("remove the record of \(lease.containerID)") { () throws(SystemError) in
            if owner(of: lease.address) == lease.containerID {
                try? File.unlink("\(directory)/addresses/\(lease.address)")
            }
            do throws(SystemError) {
                try File.unlink("\(directory)/leases/\(lease.containerID)")
            } catch  where error.errno == .noEntry {}
        }
    }

    func leases() throws(NetworkError) -> [Lease] {
        var leases: [Lease] = []
        for name in try leaseNames() where !name.hasSuffix(".tmp") {
            if let lease = try lease(of: name) { leases.append(lease) }
        }
        return leases
    }

    /// Whether writes of leases were cut short, or are under way.
    func hasPartialLeases() throws(NetworkError) -> Bool {
        try leaseNames().contains { $0.hasSuffix(".tmp") }
    }

    /// Needs the lock, under which all leases are written.
    func removePartialLeases() throws(NetworkError) {
        for name in try leaseNames() where name.hasSuffix(".tmp") {
            try? File.unlink("\(directory)/leases/\(name)")
        }
    }

    private func leaseNames() throws(NetworkError) -> [String] {
        do throws(SystemError) {
            return try File.names(in: "\(directory)/leases")
        } catch {
            if error.errno == .noEntry { return [] }
            throw NetworkError(.system, "cannot list the network's containers", cause: error)
        }
    }

    // MARK: Files

    private func read(_ name: String) throws(NetworkError) -> JSON? {
        var bytes: [UInt8] = []
        do throws(SystemError) {
            bytes = try File.read("\(directory)/\(name)", limit: 16 << 20)
        } catch {
            if error.errno == .noEntry { return nil }
            throw NetworkError(.system, "cannot read the network's state", cause: error)
        }
        do throws(JSONError) {
            return try JSON(parsing: bytes)
        } catch {
            throw damaged(name, error)
        }
    }

    private func write(_ name: String, _ json: JSON) throws(NetworkError) {
        try attempting("record the network's state") { () throws(SystemError) in
            // It lies on a tmpfs and means nothing after a reboot: no fsync.
            try File.replace("\(directory)/\(name)", with: json.bytes(), durable: false)
        }
    }

    private func damaged(_ name: String, _ error: JSONError) -> NetworkError {
        NetworkError(.damagedState, "\(directory)/\(name) is damaged: \(error)")
    }
}

/// What was decided when the network was made.
struct NetworkRecord: Equatable {
    var subnet: IPv4Subnet
    var gateway: IPv4Address
    var mtu: UInt32
    /// The version of the firewall table's rules.
    var rules: Int
}

extension NetworkRecord: JSONDocument {
    init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        let subnetText: String = try reader.required("subnet")
        let gatewayText: String = try reader.required("gateway")
        guard let subnet = IPv4Subnet(subnetText) else { throw JSONError(path: "subnet", "is no subnet") }
        guard let gateway = IPv4Address(gatewayText) else {
            throw JSONError(path: "gateway", "is no address")
        }
        self.subnet = subnet
        self.gateway = gateway
        mtu = try reader.required("mtu")
        rules = try reader.optional("rules") ?? 0
    }

    var json: JSON {
        [
            "subnet": .string(subnet.description), "gateway": .string(gateway.description),
            "mtu": .integer(Int64(mtu)), "rules": .integer(Int64(rules)),
        ]
    }
}
