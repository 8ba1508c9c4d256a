import JSONText
import LinuxSystem
import OCISpec

/// `state.json` in a container's state directory: what another process needs to
/// find the container again. It is written first without a process, so that a
/// runtime that is killed on the way leaves what `delete` can undo, and a second
/// time with it.
struct StateRecord: JSONDocument {
    static let fileName = "state.json"
    static let configName = "config.json"
    static let fifoName = "exec.fifo"

    var ociVersion: String
    var id: String
    /// 0 until the process exists.
    var pid: Int32 = 0
    var startTime: UInt64 = 0
    var bundle: String
    var rootfs: String
    var annotations: [String: String] = [:]
    /// RFC 3339, UTC.
    var created: String
    var owner: String
    var noPivot = false
    /// Its PID namespace is not its own: the end of its first process ends no other.
    var sharesPIDs = false
    /// `start` has nothing to execute.
    var lacksProcess = false
    /// The names of the standard streams, which a checkpoint cannot hold: `pipe:[4711]`, or
    /// nothing for what is no pipe.
    var streams: [String] = []
    /// It was restored, and so has a time namespace whatever the config says.
    var hasTimeNamespace = false
    /// Whether deleting has to read the config for its hooks.
    var hasPoststopHooks = false
    /// As `Cgroup` describes itself; written before it is made.
    var cgroup: JSON?
    /// Written before it is made, too.
    var resctrl: ResctrlGroup?
    var unknown = JSONObject()

    init(ociVersion: String, id: String, bundle: String, rootfs: String, created: String, owner: String) {
        self.ociVersion = ociVersion
        self.id = id
        self.bundle = bundle
        self.rootfs = rootfs
        self.created = created
        self.owner = owner
    }

    init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        ociVersion = try reader.required("ociVersion")
        id = try reader.required("id")
        pid = try reader.optional("pid") ?? 0
        startTime = try reader.optional("startTime") ?? 0
        bundle = try reader.required("bundle")
        rootfs = try reader.optional("rootfs") ?? ""
        annotations = try reader.optional("annotations") ?? [:]
        created = try reader.optional("created") ?? ""
        owner = try reader.optional("owner") ?? ""
        noPivot = try reader.optional("noPivot") ?? false
        sharesPIDs = try reader.optional("sharesPIDs") ?? false
        streams = try reader.optional("streams") ?? []
        hasTimeNamespace = try reader.optional("hasTimeNamespace") ?? false
        hasPoststopHooks = try reader.optional("hasPoststopHooks") ?? false
        cgroup = try reader.optional("cgroup")
        resctrl = try reader.optional("resctrl")
        lacksProcess = try reader.optional("lacksProcess") ?? false
        unknown = reader.unknown
    }

    var json: JSON {
        var object = JSONObject()
        object.set("ociVersion", ociVersion)
        object.set("id", id)
        object.set("pid", pid)
        object.set("startTime", startTime)
        object.set("bundle", bundle)
        object.set("rootfs", rootfs)
        object.set("annotations", nonEmpty: annotations)
        object.set("created", created)
        object.set("owner", owner)
        if noPivot { object.set("noPivot", noPivot) }
        if sharesPIDs { object.set("sharesPIDs", sharesPIDs) }
        if !streams.isEmpty { object["streams"] = .array(streams.map { .string($0) }) }
        if hasTimeNamespace { object.set("hasTimeNamespace", hasTimeNamespace) }
        if hasPoststopHooks { object.set("hasPoststopHooks", hasPoststopHooks) }
        object.set("cgroup", cgroup)
        object.set("resctrl", resctrl)
        if lacksProcess { object.set("lacksProcess", lacksProcess) }
        object.append(unknown: unknown)
        return .object(object)
    }
}

extension StateRecord {
    /// Of a container that is going to be made from a bundle.
    init(_ id: String, of bundle: Bundle, noPivot: Bool) {
        self.init(
            ociVersion: bundle.config.ociVersion, id: id, bundle: bundle.path, rootfs: bundle.rootfs,
            created: "\(Timestamp.now)", owner: Rootless.name(of: getuid()))
        annotations = bundle.config.annotations
        self.noPivot = noPivot
        hasPoststopHooks = !(bundle.config.hooks?.poststop.isEmpty ?? true)
    }
}
