public import JSONText

/// The state of a container as `state` prints it and hooks read it
/// (OCI Runtime Specification, runtime.md#state).
public struct RuntimeState: JSONDocument, Equatable {
    public enum Status: String, JSONDocument, Equatable {
        case creating, created, running, stopped, paused

        public init(json: JSON) throws(JSONError) {
            let name = try String(json: json)
            guard let status = Status(rawValue: name) else {
                throw JSONError("unknown status \"\(name)\"")
            }
            self = status
        }
        public var json: JSON { .string(rawValue) }
    }

    public var ociVersion: String
    public var id: String
    public var status: Status
    /// The first process, in the runtime's PID namespace; 0 when there is none.
    public var pid: Int32
    /// Absolute.
    public var bundle: String
    public var annotations: [String: String]
    public var unknown = JSONObject()

    public init(
        ociVersion: String, id: String, status: Status, pid: Int32, bundle: String,
        annotations: [String: String] = [:]
    ) {
        self.ociVersion = ociVersion
        self.id = id
        self.status = status
        self.pid = pid
        self.bundle = bundle
        self.annotations = annotations
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        ociVersion = try reader.required("ociVersion")
        id = try reader.required("id")
        status = try reader.required("status")
        pid = try reader.optional("pid") ?? 0
        bundle = try reader.required("bundle")
        annotations = try reader.optional("annotations") ?? [:]
        unknown = reader.unknown
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("ociVersion", ociVersion)
        object.set("id", id)
        object.set("status", status)
        object.set("pid", pid)
        object.set("bundle", bundle)
        object.set("annotations", nonEmpty: annotations)
        object.append(unknown: unknown)
        return .object(object)
    }
}
