public import JSONText

/// `linux` (OCI Runtime Specification, config-linux.md).
public struct LinuxSpec: JSONDocument, Equatable {
    public var uidMappings: [IDMapping] = []
    public var gidMappings: [IDMapping] = []
    public var timeOffsets: [String: TimeOffset] = [:]
    public var sysctl: [String: String] = [:]
    public var resources: LinuxResources?
    public var cgroupsPath: String?
    public var namespaces: [LinuxNamespace] = []
    public var devices: [LinuxDevice] = []
    public var seccomp: Seccomp?
    public var rootfsPropagation: String?
    public var maskedPaths: [String] = []
    public var readonlyPaths: [String] = []
    public var mountLabel: String?
    public var personality: Personality?
    /// Interfaces of the runtime's network namespace that move into the container, by name.
    public var netDevices: [String: NetDevice] = [:]
    public var memoryPolicy: MemoryPolicy?
    public var intelRdt: IntelRdt?
    /// What is newer stays here as it was read.
    public var unknown = JSONObject()

    public init() {}

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        uidMappings = try reader.optional("uidMappings") ?? []
        gidMappings = try reader.optional("gidMappings") ?? []
        timeOffsets = try reader.optional("timeOffsets") ?? [:]
        sysctl = try reader.optional("sysctl") ?? [:]
        resources = try reader.optional("resources")
        cgroupsPath = try reader.optional("cgroupsPath")
        namespaces = try reader.optional("namespaces") ?? []
        devices = try reader.optional("devices") ?? []
        seccomp = try reader.optional("seccomp")
        rootfsPropagation = try reader.optional("rootfsPropagation")
        maskedPaths = try reader.optional("maskedPaths") ?? []
        readonlyPaths = try reader.optional("readonlyPaths") ?? []
        mountLabel = try reader.optional("mountLabel")
        personality = try reader.optional("personality")
        netDevices = try reader.optional("netDevices") ?? [:]
        memoryPolicy = try reader.optional("memoryPolicy")
        intelRdt = try reader.optional("intelRdt")
        unknown = reader.unknown
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("uidMappings", nonEmpty: uidMappings)
        object.set("gidMappings", nonEmpty: gidMappings)
        object.set("timeOffsets", nonEmpty: timeOffsets)
        object.set("sysctl", nonEmpty: sysctl)
        object.set("resources", resources)
        object.set("cgroupsPath", cgroupsPath)
        object.set("namespaces", nonEmpty: namespaces)
        object.set("devices", nonEmpty: devices)
        object.set("seccomp", seccomp)
        object.set("rootfsPropagation", rootfsPropagation)
        object.set("maskedPaths", nonEmpty: maskedPaths)
        object.set("readonlyPaths", nonEmpty: readonlyPaths)
        object.set("mountLabel", mountLabel)
        object.set("personality", personality)
        object.set("netDevices", nonEmpty: netDevices)
        object.set("memoryPolicy", memoryPolicy)
        object.set("intelRdt", intelRdt)
        object.append(unknown: unknown)
        return .object(object)
    }
}

/// One of `linux.namespaces`.
public struct LinuxNamespace: JSONDocument, Equatable {
    public enum Kind: String, Sendable, Equatable, CaseIterable, JSONDocument {
        case pid, network, mount, ipc, uts, user, cgroup, time

        public init(json: JSON) throws(JSONError) {
            let name = try String(json: json)
            guard let kind = Kind(rawValue: name) else {
                throw JSONError("unknown namespace \"\(name)\"")
            }
            self = kind
        }
        public var json: JSON { .string(rawValue) }
    }

    public var type: Kind
    /// An existing namespace to join; nil for a new one.
    public var path: String?

    public init(_ type: Kind, path: String? = nil) {
        self.type = type
        self.path = path
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        type = try reader.required("type")
        path = try reader.optional("path", as: String.self).flatMap { $0.isEmpty ? nil : $0 }
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("type", type)
        object.set("path", path)
        return .object(object)
    }
}

/// One of `linux.devices`: a node that is made in the container's /dev.
public struct LinuxDevice: JSONDocument, Equatable {
    /// `c`, `u` (unbuffered character), `b` or `p` (a FIFO).
    public var type: String
    public var path: String
    public var major: Int64
    public var minor: Int64
    public var fileMode: UInt32?
    public var uid: UInt32?
    public var gid: UInt32?

    public init(
        type: String, path: String, major: Int64 = 0, minor: Int64 = 0, fileMode: UInt32? = nil,
        uid: UInt32? = nil, gid: UInt32? = nil
    ) {
        self.type = type
        self.path = path
        self.major = major
        self.minor = minor
        self.fileMode = fileMode
        self.uid = uid
        self.gid = gid
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        type = try reader.required("type")
        path = try reader.required("path")
        major = try reader.optional("major") ?? 0
        minor = try reader.optional("minor") ?? 0
        fileMode = try reader.optional("fileMode")
        uid = try reader.optional("uid")
        gid = try reader.optional("gid")
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("type", type)
        object.set("path", path)
        object.set("major", major)
        object.set("minor", minor)
        object.set("fileMode", fileMode)
        object.set("uid", uid)
        object.set("gid", gid)
        return .object(object)
    }
}

/// One of `linux.timeOffsets`, by the clock's name.
public struct TimeOffset: JSONDocument, Equatable {
    public var secs: Int64
    public var nanosecs: UInt32

    public init(secs: Int64, nanosecs: UInt32) {
        self.secs = secs
        self.nanosecs = nanosecs
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        secs = try reader.optional("secs") ?? 0
        nanosecs = try reader.optional("nanosecs") ?? 0
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("secs", secs)
        object.set("nanosecs", nanosecs)
        return .object(object)
    }
}

/// `linux.personality` (personality(2)).
public struct Personality: JSONDocument, Equatable {
    /// `LINUX` or `LINUX32`.
    public var domain: String
    public var flags: [String]

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        domain = try reader.required("domain")
        flags = try reader.optional("flags") ?? []
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("domain", domain)
        object.set("flags", nonEmpty: flags)
        return .object(object)
    }
}

/// One of `linux.netDevices`.
public struct NetDevice: JSONDocument, Equatable {
    /// Its name in the container; nil keeps it.
    public var name: String?

    public init(name: String? = nil) { self.name = name }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        name = try reader.optional("name", as: String.self).flatMap { $0.isEmpty ? nil : $0 }
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("name", name)
        return .object(object)
    }
}

/// `linux.memoryPolicy` (set_mempolicy(2)).
public struct MemoryPolicy: JSONDocument, Equatable {
    /// `MPOL_…`
    public var mode: String
    /// As in `0-3,7`.
    public var nodes: String
    /// `MPOL_F_…` names.
    public var flags: [String]

    public init(mode: String, nodes: String = "", flags: [String] = []) {
        self.mode = mode
        self.nodes = nodes
        self.flags = flags
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        mode = try reader.optional("mode") ?? ""
        nodes = try reader.optional("nodes") ?? ""
        flags = try reader.optional("flags") ?? []
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("mode", mode)
        object.set("nodes", nodes.isEmpty ? nil : nodes)
        object.set("flags", nonEmpty: flags)
        return .object(object)
    }
}
