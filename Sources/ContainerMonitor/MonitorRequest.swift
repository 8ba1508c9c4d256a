public import JSONText

/// What a monitor is started for: one JSON message on the control socket.
public struct MonitorRequest: JSONDocument, Equatable {
    public var id: String
    /// The directory of config.json.
    public var bundle: String
    /// An OCI runtime's program; nil is the built-in one.
    public var runtime: String?
    /// systemd makes the control group (`--systemd-cgroup`).
    public var isSystemdScope = false
    /// Where the runtime keeps its state (`--root`).
    public var runtimeRoot: String
    /// The process has a terminal (config.json says so too).
    public var terminal = false
    /// Standard input is a pipe that attached clients write to; else it is /dev/null.
    public var openStdin = false
    /// Standard input ends with the first client that had it, as in `run -i`.
    public var stdinOnce = false
    public var log: LogConfiguration
    public var restart = RestartPolicy.no
    public var attachSocket: String
    /// `ContainerStatus`, on a file system that a reboot empties.
    public var statusPath: String
    /// `ExitRecord`, on a file system that lasts.
    public var exitPath: String
    /// Brings the exit record onto the disk before anyone hears of the exit.
    public var durableExit = true
    /// How long a client other than the foreground one may take no output, and so
    /// hold the container up, before it is dropped; in seconds.
    public var clientPatience = 30
    /// What to execute once the container has ended for good; empty is nothing.
    public var exitCommand: [String] = []
    /// The numbers (10 to 99) under which the monitor keeps the descriptors that
    /// came with the request, and in which order: a network namespace that
    /// config.json names as `/proc/self/fd/10`, say. They stay open, across
    /// restarts too, as long as the monitor lives.
    public var descriptors: [Int32] = []

    public init(
        id: String, bundle: String, runtimeRoot: String, log: LogConfiguration, attachSocket: String,
        statusPath: String, exitPath: String
    ) {
        self.id = id
        self.bundle = bundle
        self.runtimeRoot = runtimeRoot
        self.log = log
        self.attachSocket = attachSocket
        self.statusPath = statusPath
        self.exitPath = exitPath
    }

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        id = try reader.required("id")
        bundle = try reader.required("bundle")
        runtime = try reader.optional("runtime")
        isSystemdScope = try reader.optional("isSystemdScope") ?? false
        runtimeRoot = try reader.required("runtimeRoot")
        terminal = try reader.optional("terminal") ?? false
        openStdin = try reader.optional("openStdin") ?? false
        stdinOnce = try reader.optional("stdinOnce") ?? false
        log = try reader.required("log")
        restart = try reader.optional("restart") ?? .no
        attachSocket = try reader.required("attachSocket")
        statusPath = try reader.required("statusPath")
        exitPath = try reader.required("exitPath")
        durableExit = try reader.optional("durableExit") ?? true
        clientPatience = max(1, try reader.optional("clientPatience") ?? 30)
        exitCommand = try reader.optional("exitCommand") ?? []
        descriptors = try reader.optional("descriptors") ?? []
        guard descriptors.allSatisfy({ (10...99).contains($0) }) else {
            throw JSONError(path: "descriptors", "are not all from 10 to 99")
        }
    }

    public var json: JSON {
        var object: JSONObject = ["id": .string(id), "bundle": .string(bundle)]
        object.set("runtime", runtime)
        object.set("isSystemdScope", isSystemdScope)
        object.set("runtimeRoot", runtimeRoot)
        object.set("terminal", terminal)
        object.set("openStdin", openStdin)
        object.set("stdinOnce", stdinOnce)
        object.set("log", log)
        object.set("restart", restart)
        object.set("attachSocket", attachSocket)
        object.set("statusPath", statusPath)
        object.set("exitPath", exitPath)
        object.set("durableExit", durableExit)
        object.set("clientPatience", clientPatience)
        object.set("exitCommand", nonEmpty: exitCommand)
        object.set("descriptors", nonEmpty: descriptors)
        return .object(object)
    }
}
