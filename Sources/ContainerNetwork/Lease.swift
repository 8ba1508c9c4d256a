public import JSONText
public import LinuxSystem

/// What is recorded of a container in a network, to be undone when it goes.
public struct Lease: Sendable, Equatable {
    public var containerID: String
    public var address: IPv4Address
    public var hostInterface: String
    /// The host interface's index, which no other interface gets before the next boot.
    public var index: Int32
    public var ports: [PortMapping]
    /// The network namespace that the host interface is in; nil when that is not known.
    public var namespace: NamespaceIdentity?
}

extension Lease: JSONDocument {
    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        containerID = try reader.required("containerID")
        let text: String = try reader.required("address")
        guard let address = IPv4Address(text) else { throw JSONError(path: "address", "is no IPv4 address") }
        self.address = address
        hostInterface = try reader.required("hostInterface")
        index = try reader.required("index")
        ports = try reader.optional("ports") ?? []
        namespace = (try reader.optional("namespace") as String?).flatMap { NamespaceIdentity(text: $0) }
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("containerID", containerID)
        object.set("address", address.description)
        object.set("hostInterface", hostInterface)
        object.set("index", index)
        object.set("ports", nonEmpty: ports)
        object.set("namespace", namespace?.text)
        return .object(object)
    }
}
