internal import LinuxSystem

extension PortMapping {
    /// Reads the value of `-p`:
    ///
    ///     [[hostIP:][hostPort[-last]]:]containerPort[-last][/tcp|/udp]
    ///
    /// A range gives a mapping for each of its ports. A range of host ports for a
    /// single container port gives one mapping that takes any free one of them.
    public static func parse(_ text: String) throws(NetworkError) -> [PortMapping] {
        func invalid(_ reason: String) -> NetworkError {
            NetworkError(.invalidArgument, "invalid published port \"\(text)\": \(reason)")
        }
        var rest = Substring(text)
        var proto = TransportProtocol.tcp
        if let slash = rest.lastIndex(of: "/") {
            let name = rest[rest.index(after: slash)...].lowercased()
            guard let known = TransportProtocol(rawValue: name) else {
                throw invalid("\"\(name)\" is no protocol that can be published (tcp, udp)")
            }
            proto = known
            rest = rest[..<slash]
        }
        var hostIP: String?
        if rest.hasPrefix("[") {
            throw invalid("IPv6 addresses cannot be published on")
        }
        let parts = rest.split(separator: ":", omittingEmptySubsequences: false)
        guard (1...3).contains(parts.count) else { throw invalid("too many colons") }
        if parts.count == 3, !parts[0].isEmpty {
            let name = parts[0] == "localhost" ? "127.0.0.1" : parts[0]
            guard let address = IPv4Address(name) else {
                throw invalid("\"\(parts[0])\" is no IPv4 address")
            }
            if !address.isAny { hostIP = address.description }
        }
        guard let container = range(parts[parts.count - 1]) else {
            throw invalid("the container's port is no number or range from 1 to 65535")
        }
        guard parts.count > 1, !parts[parts.count - 2].isEmpty else {
            return container.map { PortMapping(hostIP: hostIP, containerPort: $0, proto: proto) }
        }
        let hostText = parts[parts.count - 2]
        // Port 0 asks for a free one, as bind(2) has it.
        if hostText == "0" {
            return container.map { PortMapping(hostIP: hostIP, containerPort: $0, proto: proto) }
        }
        guard let host = range(hostText) else {
            throw invalid("the host's port is no number or range from 1 to 65535")
        }
        if container.count == 1, host.count > 1 {
            return [
                PortMapping(
                    hostIP: hostIP, hostPort: host.lowerBound, hostPortEnd: host.upperBound,
                    containerPort: container.lowerBound, proto: proto)
            ]
        }
        guard host.count == container.count else {
            throw invalid("\(host.count) host ports for \(container.count) container ports")
        }
        return zip(host, container).map {
            PortMapping(hostIP: hostIP, hostPort: $0, containerPort: $1, proto: proto)
        }
    }

    private static func range(_ text: Substring) -> ClosedRange<UInt16>? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard (1...2).contains(ends.count), let first = port(ends[0]), let last = port(ends[ends.count - 1]),
            first <= last
        else { return nil }
        return first...last
    }

    private static func port(_ text: Substring) -> UInt16? {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let port = UInt16(text),
            port > 0
        else { return nil }
        return port
    }
}
