import LinuxSystem
import OCISpec

/// Interfaces of the runtime's network namespace that become the container's
/// (`linux.netDevices`), with the addresses that are theirs everywhere.
enum NetworkDevices {
    static func move(_ devices: [String: NetDevice], to pid: pid_t) throws(RuntimeError) {
        let namespace = try during("open the network namespace") { () throws(SystemError) in
            try File.open("/proc/\(pid)/ns/net", O_RDONLY)
        }
        for (name, device) in devices {
            try during("move network device \(name)") { () throws(SystemError) in
                try move(name, to: namespace.raw, as: device.name ?? name)
            }
        }
    }

    private static func move(_ name: String, to namespace: Int32, as newName: String) throws(SystemError) {
        let here = try NetlinkSocket(.route)
        guard let index = try NetworkInterface.index(of: name, socket: here.raw) else {
            throw SystemError("find", name, Errno(ENODEV))
        }
        // The kernel forgets a link's addresses when it moves.
        var requests = NetlinkWriter()
        requests.dumpInterfaceAddresses()
        let answer = try here.exchange(requests)
        try answer.check("list addresses")
        var addresses: [InterfaceAddress] = []
        for message in answer.messages {
            guard let address = try InterfaceAddress(message), address.index == index, address.isPermanent,
                address.scope == 0
            else { continue }
            addresses.append(address)
        }
        var moving = NetlinkWriter()
        moving.setDown(index: index)
        moving.moveLink(index: index, to: namespace, name: newName)
        try here.exchange(moving).check("move", name)

        let there = try NetworkNamespace.inside(namespace) { () throws(SystemError) in
            try NetlinkSocket(.route)
        }
        guard let newIndex = try NetworkInterface.index(of: newName, socket: there.raw) else {
            throw SystemError("find", newName, Errno(ENODEV))
        }
        var arriving = NetlinkWriter()
        for address in addresses { arriving.addAddress(address, index: newIndex) }
        arriving.setUp(index: newIndex)
        try there.exchange(arriving).check("set up", newName)
    }
}
