public import LinuxSystem
internal import Synchronization

/// A network of containers on this host: an Ethernet bridge that holds the
/// gateway's address, a veth(4) pair for each container, and a table of
/// nf_tables that translates addresses.
///
/// - A container's packets to the outside leave with the host's address.
/// - Published ports are elements of two hash maps in the table, so a packet
///   meets the same few rules whether one container runs or a thousand. They are
///   reached at any address of the host, 127.0.0.1 included, from the host, from
///   other hosts, and from containers.
/// - From outside nothing else than the published ports is reached, even by a
///   neighbour that routes packets to the containers' addresses itself.
///
/// Another firewall of the host still has its say, since no table's verdict to accept
/// overrides another's to drop: where one drops what the host forwards (Docker sets iptables'
/// FORWARD policy so, firewalld may), it must be told to accept packets from and to the bridge.
///
/// Bridges and firewall belong to the host's network namespace, so the records
/// do too: they lie in one directory of a tmpfs, whatever store a container is
/// from. There is no resident process: an address is taken as long as the host's
/// end of its veth exists (its name tells the address), and that end goes with
/// the container's network namespace. What else a killed process leaves, a
/// record and map elements, is recognised by that and swept.
///
///     let network = BridgeNetwork()
///     let namespace = try NetworkNamespace.create()
///     let attachment = try network.setUp(
///         containerID: id, netns: namespace, ports: PortMapping.parse("8080:80"))
///     …
///     try network.tearDown(containerID: id)
public final class BridgeNetwork: Sendable {
    public struct Configuration: Sendable {
        public var name = "apus"
        /// The bridge's name, at most 15 bytes.
        public var bridge = "apus0"
        /// The name of the nf_tables table (family ip).
        public var table = "apus"
        /// Nil chooses one that the host does not route yet.
        public var subnet: IPv4Subnet?
        /// Nil takes the one of the interface that the default route leads to.
        public var mtu: UInt32?
        /// Where the records of all networks lie; must vanish at a reboot.
        public var stateDirectory = "/run/apus/network"

        public init() {}
    }

    public let configuration: Configuration
    let state: NetworkState
    private let netfilterSocket = Mutex<NetlinkSocket?>(nil)

    public init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
        state = NetworkState(directory: "\(configuration.stateDirectory)/\(configuration.name)")
    }

    /// The name of the host's end of a container's veth: the record that its address is taken.
    static func hostInterface(for address: IPv4Address) -> String {
        let digits = String(address.value, radix: 16)
        return "apus" + String(repeating: "0", count: 8 - digits.count) + digits
    }

    /// Talks to netfilter. The socket stays open as long as this object: closing one waits
    /// until what was deleted shortly before is out of every processor's sight, some ten
    /// milliseconds, in which other work can be done.
    func netfilter<Value>(
        _ body: (borrowing NetlinkSocket) throws(SystemError) -> sending Value
    ) throws(SystemError) -> Value {
        try netfilterSocket.withLock { socket throws(SystemError) -> sending Value in
            if socket == nil { socket = try NetlinkSocket(.netfilter) }
            return try body(socket!)
        }
    }

    /// The containers on record, in no order.
    public func leases() throws(NetworkError) -> [Lease] { try state.leases() }
}
