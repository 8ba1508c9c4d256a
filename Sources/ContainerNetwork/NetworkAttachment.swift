public import LinuxSystem

/// A container's place in a network.
public struct NetworkAttachment: Sendable {
    public let network: String
    public let address: IPv4Address
    public let subnet: IPv4Subnet
    public let gateway: IPv4Address
    public let hardwareAddress: HardwareAddress
    /// The interface's name in the container.
    public let interface: String
    /// The other end's name on the host.
    public let hostInterface: String
    public let mtu: UInt32
    /// The published ports, each with its host port.
    public let ports: [PortMapping]
    /// What keeps the host ports from others; hand its descriptors to the monitor.
    public let portSockets: PortSockets

    public var prefixLength: UInt8 { subnet.prefixLength }
}
