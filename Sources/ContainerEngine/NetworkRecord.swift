import ContainerNetwork
import JSONText
import LinuxSystem

/// What a container was given in its network, kept in the runroot for those
/// who look at the container while it runs.
struct NetworkRecord: JSONDocument {
    var address: String
    var prefixLength: Int
    var gateway: String
    var hardwareAddress: String
    var ports: [PortMapping]

    init(_ attachment: NetworkAttachment) {
        address = "\(attachment.address)"
        prefixLength = Int(attachment.prefixLength)
        gateway = "\(attachment.gateway)"
        hardwareAddress = "\(attachment.hardwareAddress)"
        ports = attachment.ports
    }

    init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        address = try reader.required("address")
        prefixLength = try reader.required("prefixLength")
        gateway = try reader.required("gateway")
        hardwareAddress = try reader.required("hardwareAddress")
        ports = try reader.optional("ports") ?? []
    }

    var json: JSON {
        var object = JSONObject()
        object.set("address", address)
        object.set("prefixLength", prefixLength)
        object.set("gateway", gateway)
        object.set("hardwareAddress", hardwareAddress)
        object.set("ports", nonEmpty: ports)
        return .object(object)
    }
}

extension Engine {
    /// nil for a container that is in no network of ours.
    func attachment(of id: String) throws(EngineError) -> NetworkRecord? {
        guard let bytes = try? File.read("\(stateDirectory(of: id))/network.json", limit: 4 << 20) else {
            return nil
        }
        return try engineErrors("container \(id)") { try NetworkRecord(json: JSON(parsing: bytes)) }
    }
}
