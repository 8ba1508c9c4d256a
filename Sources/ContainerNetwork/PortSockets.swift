internal import LinuxSystem

/// Host ports held by sockets bound to them, so that no other process takes a
/// port whose packets go to a container. The sockets answer nothing: the
/// firewall redirects packets before they would reach them.
///
/// The ports are free again when every copy of the descriptors is closed. The
/// monitor inherits them, and so holds the ports for as long as its container
/// may run.
public final class PortSockets: Sendable {
    /// Close-on-exec descriptors, valid while this object lives.
    public let descriptors: [Int32]

    private init(_ descriptors: [Int32]) { self.descriptors = descriptors }

    deinit { for descriptor in descriptors { close(descriptor) } }

    /// Takes all ports or none.
    /// - Returns: the sockets, and the mappings with the host ports that were open chosen.
    static func reserve(
        _ mappings: [PortMapping]
    ) throws(NetworkError) -> (sockets: PortSockets, mappings: [PortMapping]) {
        var taken: [Int32] = []
        var chosen: [PortMapping] = []
        do throws(NetworkError) {
            for mapping in mappings {
                var mapping = mapping
                let (socket, port) = try reserve(mapping)
                taken.append(socket)
                mapping.hostPort = port
                mapping.hostPortEnd = nil
                chosen.append(mapping)
            }
        } catch {
            for socket in taken { close(socket) }
            throw error
        }
        return (PortSockets(taken), chosen)
    }

    private static func reserve(_ mapping: PortMapping) throws(NetworkError) -> (Int32, UInt16) {
        guard let address = mapping.hostIP.map({ IPv4Address($0) }) ?? IPv4Address(0) else {
            throw NetworkError(
                .invalidArgument, "\"\(mapping.hostIP ?? "")\" is no IPv4 address to publish on")
        }
        let first = mapping.hostPort ?? 0
        let last = max(first, mapping.hostPortEnd ?? first)
        var failure = SystemError("bind", "", .addressInUse)
        for port in first...last {
            do throws(SystemError) {
                let socket = try bound(to: address, port, mapping.proto)
                let port = port == 0 ? try number(of: socket.raw) : port
                return (socket.take(), port)
            } catch {
                failure = error
                if error.errno != .addressInUse { break }
            }
        }
        let place = mapping.hostPlace
        switch failure.errno.rawValue {
        case EADDRINUSE:
            throw NetworkError(.portInUse, "host port \(place) is in use already")
        case EADDRNOTAVAIL:
            throw NetworkError(.invalidArgument, "cannot publish on \(place): the host has no such address")
        default:
            throw NetworkError(.system, "cannot reserve host port \(place)", cause: failure)
        }
    }

    private static func bound(
        to address: IPv4Address, _ port: UInt16, _ proto: PortMapping.TransportProtocol
    ) throws(SystemError) -> Descriptor {
        let kind = Int32((proto == .tcp ? SOCK_STREAM : SOCK_DGRAM).rawValue)
        let socket = Descriptor(
            owning: try retrying("open socket") { Glibc.socket(AF_INET, kind | O_CLOEXEC, 0) })
        let raw = socket.raw
        var one: Int32 = 1
        // Connections of an earlier server that linger in TIME_WAIT do no harm. With this
        // option alone two sockets could share the port; listening makes it exclusive again.
        if proto == .tcp { setsockopt(raw, SOL_SOCKET, SO_REUSEADDR, &one, 4) }
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr.s_addr = address.value.bigEndian
        _ = try retrying("bind", "\(address):\(port)") {
            withUnsafePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(raw, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
        if proto == .tcp { _ = try retrying("listen", "\(address):\(port)") { listen(raw, 0) } }
        return socket
    }

    private static func number(of socket: Int32) throws(SystemError) -> UInt16 {
        var name = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = try retrying("getsockname") {
            withUnsafeMutablePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &length) }
            }
        }
        return UInt16(bigEndian: name.sin_port)
    }
}
