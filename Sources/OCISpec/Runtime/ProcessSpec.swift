public import JSONText

/// `process`: what runs in the container, as whom and with which rights.
public struct ProcessSpec: JSONDocument, Equatable {
    public var terminal = false
    public var consoleSize: ConsoleSize?
    public var user = User()
    public var args: [String] = []
    /// `NAME=value` each.
    public var env: [String] = []
    public var cwd: String
    public var capabilities: Capabilities?
    public var rlimits: [Rlimit] = []
    public var noNewPrivileges = false
    public var apparmorProfile: String?
    public var oomScoreAdj: Int?
    public var selinuxLabel: String?
    public var ioPriority: IOPriority?
    public var scheduler: Scheduler?
    public var execCPUAffinity: ExecCPUAffinity?
    public var unknown = JSONObject()

    public init(args: [String], env: [String] = [], cwd: String = "/") {
        self.args = args
        self.env = env
        self.cwd = cwd
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        terminal = try reader.optional("terminal") ?? false
        consoleSize = try reader.optional("consoleSize")
        user = try reader.optional("user") ?? User()
        args = try reader.optional("args") ?? []
        env = try reader.optional("env") ?? []
        cwd = try reader.optional("cwd") ?? ""
        capabilities = try reader.optional("capabilities")
        rlimits = try reader.optional("rlimits") ?? []
        noNewPrivileges = try reader.optional("noNewPrivileges") ?? false
        apparmorProfile = try reader.optional("apparmorProfile")
        oomScoreAdj = try reader.optional("oomScoreAdj")
        selinuxLabel = try reader.optional("selinuxLabel")
        ioPriority = try reader.optional("ioPriority")
        scheduler = try reader.optional("scheduler")
        execCPUAffinity = try reader.optional("execCPUAffinity")
        unknown = reader.unknown
    }

    public var json: JSON {
        var object = JSONObject()
        if terminal { object.set("terminal", terminal) }
        object.set("consoleSize", consoleSize)
        object.set("user", user)
        object.set("args", nonEmpty: args)
        object.set("env", nonEmpty: env)
        object.set("cwd", cwd)
        object.set("capabilities", capabilities)
        object.set("rlimits", nonEmpty: rlimits)
        if noNewPrivileges { object.set("noNewPrivileges", noNewPrivileges) }
        object.set("apparmorProfile", apparmorProfile)
        object.set("oomScoreAdj", oomScoreAdj)
        object.set("selinuxLabel", selinuxLabel)
        object.set("ioPriority", ioPriority)
        object.set("scheduler", scheduler)
        object.set("execCPUAffinity", execCPUAffinity)
        object.append(unknown: unknown)
        return .object(object)
    }
}

/// `process.consoleSize`, in characters.
public struct ConsoleSize: JSONDocument, Equatable {
    public var height: UInt32
    public var width: UInt32

    public init(height: UInt32, width: UInt32) {
        self.height = height
        self.width = width
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        height = try reader.optional("height") ?? 0
        width = try reader.optional("width") ?? 0
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("height", height)
        object.set("width", width)
        return .object(object)
    }
}

/// `process.user`.
public struct User: JSONDocument, Equatable {
    public var uid: UInt32
    public var gid: UInt32
    public var umask: UInt32?
    public var additionalGids: [UInt32]
    public var unknown = JSONObject()

    public init(uid: UInt32 = 0, gid: UInt32 = 0, additionalGids: [UInt32] = [], umask: UInt32? = nil) {
        self.uid = uid
        self.gid = gid
        self.additionalGids = additionalGids
        self.umask = umask
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        uid = try reader.optional("uid") ?? 0
        gid = try reader.optional("gid") ?? 0
        umask = try reader.optional("umask")
        additionalGids = try reader.optional("additionalGids") ?? []
        unknown = reader.unknown
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("uid", uid)
        object.set("gid", gid)
        object.set("umask", umask)
        object.set("additionalGids", nonEmpty: additionalGids)
        object.append(unknown: unknown)
        return .object(object)
    }
}

/// `process.capabilities`: names with `CAP_` in front. A set that is nil was absent.
public struct Capabilities: JSONDocument, Equatable {
    public var bounding: [String]?
    public var effective: [String]?
    public var inheritable: [String]?
    public var permitted: [String]?
    public var ambient: [String]?

    public init(
        bounding: [String]? = nil, effective: [String]? = nil, inheritable: [String]? = nil,
        permitted: [String]? = nil, ambient: [String]? = nil
    ) {
        self.bounding = bounding
        self.effective = effective
        self.inheritable = inheritable
        self.permitted = permitted
        self.ambient = ambient
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        bounding = try reader.optional("bounding")
        effective = try reader.optional("effective")
        inheritable = try reader.optional("inheritable")
        permitted = try reader.optional("permitted")
        ambient = try reader.optional("ambient")
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("bounding", bounding)
        object.set("effective", effective)
        object.set("inheritable", inheritable)
        object.set("permitted", permitted)
        object.set("ambient", ambient)
        return .object(object)
    }
}

/// One of `process.rlimits`.
public struct Rlimit: JSONDocument, Equatable {
    /// `RLIMIT_NOFILE` and the like.
    public var type: String
    public var hard: UInt64
    public var soft: UInt64

    public init(type: String, soft: UInt64, hard: UInt64) {
        self.type = type
        self.hard = hard
        self.soft = soft
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        type = try reader.required("type")
        hard = try reader.optional("hard") ?? 0
        soft = try reader.optional("soft") ?? 0
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("type", type)
        object.set("hard", hard)
        object.set("soft", soft)
        return .object(object)
    }
}
