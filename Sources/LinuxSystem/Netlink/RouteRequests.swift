/// Requests of rtnetlink(7).
extension NetlinkWriter {
    /// One end in the sender's namespace, the other made directly in the
    /// namespace `peerNamespace`, so that its name need not be free here.
    public struct VirtualEthernet: Sendable {
        public var name: String
        /// The bridge's index.
        public var master: Int32
        public var mtu: UInt32
        public var peerName: String
        public var peerHardwareAddress: HardwareAddress
        public var peerNamespace: Int32

        public init(
            name: String, master: Int32, mtu: UInt32, peerName: String, peerHardwareAddress: HardwareAddress,
            peerNamespace: Int32
        ) {
            self.name = name
            self.master = master
            self.mtu = mtu
            self.peerName = peerName
            self.peerHardwareAddress = peerHardwareAddress
            self.peerNamespace = peerNamespace
        }
    }

    /// Makes a veth(4) pair, its near end in a bridge and up. The far end is
    /// down: veth's open fails until both ends exist.
    @discardableResult
    public mutating func createVirtualEthernet(_ pair: VirtualEthernet) -> UInt32 {
        message(Route.newLink, [.acknowledge, .create, .exclusive]) {
            $0.interfaceHeader(index: 0, up: true)
            $0.attribute(Route.linkName, string: pair.name)
            $0.attribute(Route.linkMTU, pair.mtu)
            $0.attribute(Route.linkMaster, pair.master)
            // A queue for every processor is only work at set-up and tear-down: a
            // queueless device has no lock that more queues would spread.
            $0.attribute(Route.linkTransmitQueues, UInt32(1))
            $0.attribute(Route.linkReceiveQueues, UInt32(1))
            $0.nest(Route.linkInfo) {
                $0.attribute(Route.infoKind, string: "veth")
                $0.nest(Route.infoData) {
                    $0.nest(1) {  // VETH_INFO_PEER: a link message of its own
                        $0.interfaceHeader(index: 0, up: false)
                        $0.attribute(Route.linkName, string: pair.peerName)
                        $0.attribute(Route.linkAddress, bytes: pair.peerHardwareAddress.bytes)
                        $0.attribute(Route.linkMTU, pair.mtu)
                        $0.attribute(Route.linkTransmitQueues, UInt32(1))
                        $0.attribute(Route.linkReceiveQueues, UInt32(1))
                        $0.attribute(Route.linkNamespaceDescriptor, pair.peerNamespace)
                    }
                }
            }
        }
    }

    /// Makes a bridge. Its hardware address is fixed: a bridge without one takes the lowest
    /// of its ports', and its containers' neighbour caches go wrong as ports come and go.
    @discardableResult
    public mutating func createBridge(name: String, mtu: UInt32, hardwareAddress: HardwareAddress) -> UInt32 {
        message(Route.newLink, [.acknowledge, .create, .exclusive]) {
            $0.interfaceHeader(index: 0, up: false)
            $0.attribute(Route.linkName, string: name)
            $0.attribute(Route.linkAddress, bytes: hardwareAddress.bytes)
            $0.attribute(Route.linkMTU, mtu)
            $0.nest(Route.linkInfo) { $0.attribute(Route.infoKind, string: "bridge") }
        }
    }

    /// Lets a bridge send a frame back through the port it came from.
    @discardableResult
    public mutating func setHairpin(port name: String) -> UInt32 {
        message(Route.newLink, .acknowledge) {
            $0.interfaceHeader(index: 0, up: nil)
            $0.attribute(Route.linkName, string: name)
            $0.nest(Route.linkInfo) {
                $0.attribute(Route.infoSlaveKind, string: "bridge")
                $0.nest(Route.infoSlaveData) { $0.attribute(4, UInt8(1)) }  // IFLA_BRPORT_MODE
            }
        }
    }

    @discardableResult
    public mutating func setUp(index: Int32) -> UInt32 {
        message(Route.newLink, .acknowledge) { $0.interfaceHeader(index: index, up: true) }
    }

    @discardableResult
    public mutating func setDown(index: Int32) -> UInt32 {
        message(Route.newLink, .acknowledge) {
            $0.append(UInt32(0))  // AF_UNSPEC, padding, any device type
            $0.append(index)
            $0.append(UInt32(0))
            $0.append(UInt32(1))  // IFF_UP is to change
        }
    }

    /// Moves a link into another network namespace and gives it its name there, in one step.
    @discardableResult
    public mutating func moveLink(index: Int32, to namespace: Int32, name: String) -> UInt32 {
        message(Route.newLink, .acknowledge) {
            $0.interfaceHeader(index: index, up: nil)
            $0.attribute(Route.linkName, string: name)
            $0.attribute(Route.linkNamespaceDescriptor, namespace)
        }
    }

    @discardableResult
    public mutating func deleteLink(index: Int32) -> UInt32 {
        message(Route.deleteLink, .acknowledge) { $0.interfaceHeader(index: index, up: nil) }
    }

    @discardableResult
    public mutating func getLink(index: Int32) -> UInt32 {
        message(Route.getLink, .acknowledge) { $0.interfaceHeader(index: index, up: nil) }
    }

    @discardableResult
    public mutating func addAddress(_ address: IPv4Address, in subnet: IPv4Subnet, index: Int32) -> UInt32 {
        message(Route.newAddress, [.acknowledge, .create, .exclusive]) {
            // struct ifaddrmsg
            $0.append(UInt8(AF_INET))
            $0.append(subnet.prefixLength)
            $0.append(UInt8(0))  // flags
            $0.append(UInt8(0))  // scope: everywhere
            $0.append(index)
            $0.attribute(2, bytes: address.bytes)  // IFA_LOCAL
            $0.attribute(1, bytes: address.bytes)  // IFA_ADDRESS
            $0.attribute(4, bytes: subnet.broadcast.bytes)  // IFA_BROADCAST
        }
    }

    @discardableResult
    public mutating func addDefaultRoute(gateway: IPv4Address, index: Int32) -> UInt32 {
        message(Route.newRoute, [.acknowledge, .create, .exclusive]) {
            $0.routeHeader()
            $0.attribute(5, bytes: gateway.bytes)  // RTA_GATEWAY
            $0.attribute(4, index)  // RTA_OIF
        }
    }

    /// Asks for all IPv4 addresses of the namespace.
    @discardableResult
    public mutating func dumpAddresses() -> UInt32 {
        message(Route.getAddress, .dump) {
            $0.append(UInt8(AF_INET))
            $0.append(UInt8(0))
            $0.append(UInt16(0))
            $0.append(UInt32(0))
        }
    }

    /// Asks for all addresses of the namespace, of every family.
    @discardableResult
    public mutating func dumpInterfaceAddresses() -> UInt32 {
        message(Route.getAddress, .dump) { $0.append(UInt64(0)) }
    }

    /// Gives an interface an address that another one had.
    @discardableResult
    public mutating func addAddress(_ address: InterfaceAddress, index: Int32) -> UInt32 {
        message(Route.newAddress, [.acknowledge, .create, .exclusive]) {
            $0.append(address.family)
            $0.append(address.prefixLength)
            $0.append(UInt8(0))  // flags
            $0.append(address.scope)
            $0.append(index)
            for (type, value) in address.attributes { $0.attribute(type, bytes: value) }
        }
    }

    /// Asks for all IPv4 routes of the namespace, of every table.
    @discardableResult
    public mutating func dumpRoutes() -> UInt32 {
        message(Route.getRoute, .dump) { $0.routeHeader() }
    }

    /// struct ifinfomsg. `up` nil leaves the flags alone.
    private mutating func interfaceHeader(index: Int32, up: Bool?) {
        append(UInt32(0))  // AF_UNSPEC, padding, any device type
        append(index)
        append(UInt32(up == true ? 1 : 0))  // IFF_UP
        append(UInt32(up == true ? 1 : 0))  // the flags to change
    }

    /// struct rtmsg of a unicast route in the main table.
    private mutating func routeHeader() {
        append(UInt8(AF_INET))
        append(UInt8(0))  // destination's prefix
        append(UInt8(0))  // source's prefix
        append(UInt8(0))  // TOS
        append(UInt8(254))  // RT_TABLE_MAIN
        append(UInt8(3))  // RTPROT_BOOT
        append(UInt8(0))  // RT_SCOPE_UNIVERSE
        append(UInt8(1))  // RTN_UNICAST
        append(UInt32(0))
    }
}

/// A link that the kernel described.
public struct LinkDescription: Sendable, Equatable {
    public let index: Int32
    public let name: String
    public let mtu: UInt32
    /// The bridge that it is a port of, else 0.
    public let master: Int32

    /// Nil when the message describes something else.
    public init?(_ message: NetlinkMessage) throws(SystemError) {
        guard message.type == Route.newLink, let index = message.payload.integer(at: 4, Int32.self) else {
            return nil
        }
        let attributes = try message.attributes(after: 16)
        self.index = index
        name = attributes.string(Route.linkName) ?? ""
        mtu = attributes.integer(Route.linkMTU) ?? 0
        master = attributes.integer(Route.linkMaster) ?? 0
    }
}

/// An interface's address that the kernel described.
public struct AddressDescription: Sendable, Equatable {
    public let index: Int32
    public let address: IPv4Address
    public let prefixLength: UInt8

    public init?(_ message: NetlinkMessage) throws(SystemError) {
        guard message.type == Route.newAddress, let index = message.payload.integer(at: 4, Int32.self) else {
            return nil
        }
        let attributes = try message.attributes(after: 8)
        guard let bytes = attributes[2] ?? attributes[1], let address = IPv4Address(bytes: bytes) else {
            return nil
        }
        self.index = index
        self.address = address
        prefixLength = message.payload[message.payload.startIndex + 1]
    }
}

/// A route that the kernel described.
public struct RouteDescription: Sendable, Equatable {
    public let destination: IPv4Subnet
    /// The interface it leads to; 0 when it names none or several.
    public let index: Int32

    public init?(_ message: NetlinkMessage) throws(SystemError) {
        guard message.type == Route.newRoute, message.payload.count >= 12,
            message.payload.first == UInt8(AF_INET)
        else { return nil }
        let attributes = try message.attributes(after: 12)
        let address = attributes[1].flatMap { IPv4Address(bytes: $0) } ?? IPv4Address(0)  // RTA_DST
        destination = IPv4Subnet(
            containing: address, prefixLength: message.payload[message.payload.startIndex + 1])
        index = attributes.integer(4) ?? 0
    }
}

/// Numbers of linux/rtnetlink.h and linux/if_link.h.
enum Route {
    static let newLink: UInt16 = 16
    static let deleteLink: UInt16 = 17
    static let getLink: UInt16 = 18
    static let newAddress: UInt16 = 20
    static let getAddress: UInt16 = 22
    static let newRoute: UInt16 = 24
    static let getRoute: UInt16 = 26

    static let linkAddress: UInt16 = 1
    static let linkName: UInt16 = 3
    static let linkMTU: UInt16 = 4
    static let linkMaster: UInt16 = 10
    static let linkInfo: UInt16 = 18
    static let linkNamespaceDescriptor: UInt16 = 28
    static let linkTransmitQueues: UInt16 = 31
    static let linkReceiveQueues: UInt16 = 32
    static let infoKind: UInt16 = 1
    static let infoData: UInt16 = 2
    static let infoSlaveKind: UInt16 = 4
    static let infoSlaveData: UInt16 = 5
}
