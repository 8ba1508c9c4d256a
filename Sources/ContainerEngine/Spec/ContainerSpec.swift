public import ContainerMonitor
public import ContainerNetwork
public import JSONText
public import OCISpec

/// What a user asked a container to be: the flags of `create` and `run`, after
/// parsing and before the image's own configuration is merged in. It is stored
/// as it is; everything derived is derived anew at each start.
public struct ContainerSpec: JSONDocument, Equatable {
    public var image = ""
    public var imageID = ""
    public var command: [String] = []
    /// nil keeps the image's; an empty list clears it.
    public var entrypoint: [String]?
    public var environment: [String] = []
    public var unsetEnvironment: [String] = []
    public var workingDirectory: String?
    public var user: String?
    public var additionalGroups: [String] = []
    public var hostname: String?
    public var domainname: String?
    public var labels: [String: String] = [:]
    public var annotations: [String: String] = [:]
    public var terminal = false
    public var openStdin = false

    public var mounts: [MountRequest] = []
    public var readOnlyRootfs = false

    public var capAdd: [String] = []
    public var capDrop: [String] = []
    public var privileged = false
    public var noNewPrivileges = false
    /// A path, `unconfined`, or nil for the default profile.
    public var seccompProfile: String?
    public var unmaskedPaths: [String] = []
    public var maskedPaths: [String] = []
    public var devices: [DeviceRequest] = []
    public var sysctls: [String: String] = [:]
    public var ulimits: [UlimitRequest] = []
    public var oomScoreAdjustment: Int?

    public var resources = ResourceRequest()
    /// Bytes of /dev/shm.
    public var shmSize: UInt64 = 64 << 20

    public var network = NetworkMode.bridge
    public var ports: [PortMapping] = []
    public var publishAll = false
    public var exposedPorts: [String] = []
    public var dns: [String] = []
    public var dnsSearch: [String] = []
    public var dnsOptions: [String] = []
    public var extraHosts: [String] = []
    public var pidMode = NamespaceMode.own
    public var ipcMode = NamespaceMode.own
    public var utsMode = NamespaceMode.own
    public var cgroupMode = NamespaceMode.own
    public var userMode = UserNamespaceMode.standard
    /// Of a user namespace that is not the host's; empty with the host's.
    public var uidMappings: [IDMapping] = []
    public var gidMappings: [IDMapping] = []
    public var cgroupParent: String?
    /// systemd makes the control group, as a scope; `cgroupParent` is a slice then.
    public var isSystemdScope = false

    public var useInit = false
    public var restart = RestartPolicy.no
    public var runtime: String?
    public var autoRemove = false
    public var stopSignal: String?
    /// Seconds between the stop signal and SIGKILL.
    public var stopTimeout: Int?
    public var logDriver: String?
    public var logOptions: [String: String] = [:]

    public init() {}

    public init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        image = try reader.optional("image") ?? ""
        imageID = try reader.optional("imageID") ?? ""
        command = try reader.optional("command") ?? []
        entrypoint = try reader.optional("entrypoint")
        environment = try reader.optional("environment") ?? []
        unsetEnvironment = try reader.optional("unsetEnvironment") ?? []
        workingDirectory = try reader.optional("workingDirectory")
        user = try reader.optional("user")
        additionalGroups = try reader.optional("additionalGroups") ?? []
        hostname = try reader.optional("hostname")
        domainname = try reader.optional("domainname")
        labels = try reader.optional("labels") ?? [:]
        annotations = try reader.optional("annotations") ?? [:]
        terminal = try reader.optional("terminal") ?? false
        openStdin = try reader.optional("openStdin") ?? false
        mounts = try reader.optional("mounts") ?? []
        readOnlyRootfs = try reader.optional("readOnlyRootfs") ?? false
        capAdd = try reader.optional("capAdd") ?? []
        capDrop = try reader.optional("capDrop") ?? []
        privileged = try reader.optional("privileged") ?? false
        noNewPrivileges = try reader.optional("noNewPrivileges") ?? false
        seccompProfile = try reader.optional("seccompProfile")
        unmaskedPaths = try reader.optional("unmaskedPaths") ?? []
        maskedPaths = try reader.optional("maskedPaths") ?? []
        devices = try reader.optional("devices") ?? []
        sysctls = try reader.optional("sysctls") ?? [:]
        ulimits = try reader.optional("ulimits") ?? []
        oomScoreAdjustment = try reader.optional("oomScoreAdjustment")
        resources = try reader.optional("resources") ?? ResourceRequest()
        shmSize = try reader.optional("shmSize") ?? 64 << 20
        network = NetworkMode(text: try reader.optional("network") ?? "bridge")
        ports = try reader.optional("ports") ?? []
        publishAll = try reader.optional("publishAll") ?? false
        exposedPorts = try reader.optional("exposedPorts") ?? []
        dns = try reader.optional("dns") ?? []
        dnsSearch = try reader.optional("dnsSearch") ?? []
        dnsOptions = try reader.optional("dnsOptions") ?? []
        extraHosts = try reader.optional("extraHosts") ?? []
        pidMode = NamespaceMode(text: try reader.optional("pidMode") ?? "")
        ipcMode = NamespaceMode(text: try reader.optional("ipcMode") ?? "")
        utsMode = NamespaceMode(text: try reader.optional("utsMode") ?? "")
        cgroupMode = NamespaceMode(text: try reader.optional("cgroupMode") ?? "")
        userMode = (try? UserNamespaceMode(parsing: try reader.optional("userMode") ?? "")) ?? .standard
        uidMappings = try reader.optional("uidMappings") ?? []
        gidMappings = try reader.optional("gidMappings") ?? []
        cgroupParent = try reader.optional("cgroupParent")
        isSystemdScope = try reader.optional("isSystemdScope") ?? false
        useInit = try reader.optional("useInit") ?? false
        restart = try reader.optional("restart") ?? .no
        runtime = try reader.optional("runtime")
        autoRemove = try reader.optional("autoRemove") ?? false
        stopSignal = try reader.optional("stopSignal")
        stopTimeout = try reader.optional("stopTimeout")
        logDriver = try reader.optional("logDriver")
        logOptions = try reader.optional("logOptions") ?? [:]
    }

    public var json: JSON {
        var object = JSONObject()
        object.set("image", image)
        object.set("imageID", imageID)
        object.set("command", nonEmpty: command)
        object.set("entrypoint", entrypoint)
        object.set("environment", nonEmpty: environment)
        object.set("unsetEnvironment", nonEmpty: unsetEnvironment)
        object.set("workingDirectory", workingDirectory)
        object.set("user", user)
        object.set("additionalGroups", nonEmpty: additionalGroups)
        object.set("hostname", hostname)
        object.set("domainname", domainname)
        object.set("labels", nonEmpty: labels)
        object.set("annotations", nonEmpty: annotations)
        object.set("terminal", terminal)
        object.set("openStdin", openStdin)
        object.set("mounts", nonEmpty: mounts)
        object.set("readOnlyRootfs", readOnlyRootfs)
        object.set("capAdd", nonEmpty: capAdd)
        object.set("capDrop", nonEmpty: capDrop)
        object.set("privileged", privileged)
        object.set("noNewPrivileges", noNewPrivileges)
        object.set("seccompProfile", seccompProfile)
        object.set("unmaskedPaths", nonEmpty: unmaskedPaths)
        object.set("maskedPaths", nonEmpty: maskedPaths)
        object.set("devices", nonEmpty: devices)
        object.set("sysctls", nonEmpty: sysctls)
        object.set("ulimits", nonEmpty: ulimits)
        object.set("oomScoreAdjustment", oomScoreAdjustment)
        object.set("resources", resources)
        object.set("shmSize", shmSize)
        object.set("network", network.text)
        object.set("ports", nonEmpty: ports)
        object.set("publishAll", publishAll)
        object.set("exposedPorts", nonEmpty: exposedPorts)
        object.set("dns", nonEmpty: dns)
        object.set("dnsSearch", nonEmpty: dnsSearch)
        object.set("dnsOptions", nonEmpty: dnsOptions)
        object.set("extraHosts", nonEmpty: extraHosts)
        object.set("pidMode", pidMode.text)
        object.set("ipcMode", ipcMode.text)
        object.set("utsMode", utsMode.text)
        object.set("cgroupMode", cgroupMode.text)
        if userMode != .standard { object.set("userMode", userMode.text) }
        object.set("uidMappings", nonEmpty: uidMappings)
        object.set("gidMappings", nonEmpty: gidMappings)
        object.set("cgroupParent", cgroupParent)
        object.set("isSystemdScope", isSystemdScope)
        object.set("useInit", useInit)
        object.set("restart", restart)
        object.set("runtime", runtime)
        object.set("autoRemove", autoRemove)
        object.set("stopSignal", stopSignal)
        object.set("stopTimeout", stopTimeout)
        object.set("logDriver", logDriver)
        object.set("logOptions", nonEmpty: logOptions)
        return .object(object)
    }
}
