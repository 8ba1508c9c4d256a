public import JSONText

/// One port of the host that leads to one port of a container.
public struct PortMapping: Hashable, Sendable {
    public enum TransportProtocol: String, Hashable, Sendable {
        case tcp, udp

        /// Its number in an IP header.
        var number: UInt8 { self == .tcp ? 6 : 17 }
    }

    /// The host's address to publish on; nil for all of them.
    public var hostIP: String?
    /// The host's port; nil for one that is free.
    public var hostPort: UInt16?
    /// With `hostPort`, the last of a range of which any free one will do.
    public var hostPortEnd: UInt16?
    public var containerPort: UInt16
    public var proto: TransportProtocol

    public init(
        hostIP: String? = nil, hostPort: UInt16? = nil, hostPortEnd: UInt16? = nil, containerPort: UInt16,
        proto: TransportProtocol = .tcp
    ) {
        self.hostIP = hostIP
        self.hostPort = hostPort
        self.hostPortEnd = hostPortEnd
        self.containerPort = containerPort
        self.proto = proto
    }
}

extension PortMapping: JSONDocument {
    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        hostIP = try reader.optional("hostIP")
        hostPort = try reader.optional("hostPort")
        hostPortEnd = try reader.optional("hostPortEnd")
        containerPort = try reader.required("containerPort")
        let name: String = try reader.optional("protocol") ?? "tcp"
        guard let proto = TransportProtocol(rawValue: name) else {
            throw JSONError(path: "protocol", "expected tcp or udp, found \(name)")
        }
        self.proto = proto
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("hostIP", hostIP)
        object.set("hostPort", hostPort)
        object.set("hostPortEnd", hostPortEnd)
        object.set("containerPort", containerPort)
        object.set("protocol", proto.rawValue)
        return .object(object)
    }
}

/// As `docker ps` shows it: `0.0.0.0:8080->80/tcp`.
extension PortMapping: CustomStringConvertible {
    public var description: String {
        let host = hostPort == nil ? "" : "\(hostSide)->"
        return "\(host)\(containerPort)/\(proto.rawValue)"
    }

    private var hostSide: String {
        "\(hostIP ?? "0.0.0.0"):\(hostPort ?? 0)\(hostPortEnd.map { "-\($0)" } ?? "")"
    }

    /// As errors name it: `0.0.0.0:8080/tcp`.
    var hostPlace: String { "\(hostSide)/\(proto.rawValue)" }
}
