public import JSONText

/// `config.json` of a bundle (OCI Runtime Specification, config.md).
public struct RuntimeConfig: JSONDocument, Equatable {
    public var ociVersion: String
    public var process: ProcessSpec?
    public var root: RootSpec?
    public var hostname: String?
    public var domainname: String?
    public var mounts: [MountSpec] = []
    public var hooks: Hooks?
    public var annotations: [String: String] = [:]
    public var linux: LinuxSpec?
    public var unknown = JSONObject()

    public init(ociVersion: String = "1.2.0") { self.ociVersion = ociVersion }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        ociVersion = try reader.required("ociVersion")
        process = try reader.optional("process")
        root = try reader.optional("root")
        hostname = try reader.optional("hostname")
        domainname = try reader.optional("domainname")
        mounts = try reader.optional("mounts") ?? []
        hooks = try reader.optional("hooks")
        annotations = try reader.optional("annotations") ?? [:]
        linux = try reader.optional("linux")
        unknown = reader.unknown
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("ociVersion", ociVersion)
        object.set("process", process)
        object.set("root", root)
        object.set("hostname", hostname)
        object.set("domainname", domainname)
        object.set("mounts", nonEmpty: mounts)
        object.set("hooks", hooks)
        object.set("annotations", nonEmpty: annotations)
        object.set("linux", linux)
        object.append(unknown: unknown)
        return .object(object)
    }
}

/// `root`: where the container's file system is.
public struct RootSpec: JSONDocument, Equatable {
    /// Absolute, or relative to the bundle.
    public var path: String
    public var readonly: Bool
    public var unknown = JSONObject()

    public init(path: String, readonly: Bool = false) {
        self.path = path
        self.readonly = readonly
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        path = try reader.required("path")
        readonly = try reader.optional("readonly") ?? false
        unknown = reader.unknown
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("path", path)
        if readonly { object.set("readonly", readonly) }
        object.append(unknown: unknown)
        return .object(object)
    }
}

/// One entry of `mounts`.
public struct MountSpec: JSONDocument, Equatable {
    public var destination: String
    public var type: String?
    public var source: String?
    public var options: [String] = []
    public var uidMappings: [IDMapping] = []
    public var gidMappings: [IDMapping] = []
    public var unknown = JSONObject()

    public init(destination: String, type: String? = nil, source: String? = nil, options: [String] = []) {
        self.destination = destination
        self.type = type
        self.source = source
        self.options = options
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        destination = try reader.required("destination")
        type = try reader.optional("type")
        source = try reader.optional("source")
        options = try reader.optional("options") ?? []
        uidMappings = try reader.optional("uidMappings") ?? []
        gidMappings = try reader.optional("gidMappings") ?? []
        unknown = reader.unknown
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("destination", destination)
        object.set("type", type)
        object.set("source", source)
        object.set("options", nonEmpty: options)
        object.set("uidMappings", nonEmpty: uidMappings)
        object.set("gidMappings", nonEmpty: gidMappings)
        object.append(unknown: unknown)
        return .object(object)
    }
}

/// A range of user or group IDs of a user namespace or an idmapped mount.
public struct IDMapping: JSONDocument, Equatable {
    public var containerID: UInt32
    public var hostID: UInt32
    public var size: UInt32

    public init(containerID: UInt32, hostID: UInt32, size: UInt32) {
        self.containerID = containerID
        self.hostID = hostID
        self.size = size
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        containerID = try reader.optional("containerID") ?? 0
        hostID = try reader.optional("hostID") ?? 0
        size = try reader.optional("size") ?? 0
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("containerID", containerID)
        object.set("hostID", hostID)
        object.set("size", size)
        return .object(object)
    }
}
