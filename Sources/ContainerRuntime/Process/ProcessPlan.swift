import LinuxSystem
import OCISpec

/// A process of the container, checked and in the kernel's terms, before
/// anything is done.
struct ProcessPlan {
    var spec: ProcessSpec
    var rlimits: [(resource: Int32, name: String, limit: rlimit)] = []
    var bounding = CapabilitySet()
    var effective = CapabilitySet()
    var inheritable = CapabilitySet()
    var permitted = CapabilitySet()
    var ambient = CapabilitySet()
    /// What was to be ambient and cannot be.
    var unraisable = CapabilitySet()
    /// What was asked for, and is unknown or not ours to give.
    var ungranted: [String] = []
    var seccomp: SeccompFilter?
    /// Who decides about the calls that the filter leaves open.
    var agent: SeccompAgent?
    var memoryPolicy: MemoryPolicyPlan?
    /// Its cpuset is the config's.
    var hasProcessors: Bool
    var personality: UInt?
    var preservedDescriptors: Int32 = 0
    /// The working directory is closed to root of the user namespace, and may be open to the user.
    var entersDirectoryAsUser = false
    /// Those of the user who runs this: there may be none to set, and files may be his by them.
    var keepsGroups = false

    init(
        _ spec: ProcessSpec, _ linux: LinuxSpec, seccomp: SeccompFilter?, preservedDescriptors: Int32
    ) throws(RuntimeError) {
        self.spec = spec
        self.seccomp = seccomp
        self.preservedDescriptors = preservedDescriptors
        hasProcessors = linux.resources?.cpu?.cpus?.isEmpty == false
        memoryPolicy = try linux.memoryPolicy.map { (policy) throws(RuntimeError) in
            try MemoryPolicyPlan(policy)
        }
        guard let command = spec.args.first, !command.isEmpty else {
            throw RuntimeError(.invalidConfig, "process.args must name a command")
        }
        guard spec.cwd.utf8.first == UInt8(ascii: "/") else {
            throw RuntimeError(
                .invalidConfig,
                spec.cwd.isEmpty
                    ? "Cwd property must not be empty" : "process.cwd \"\(spec.cwd)\" is not an absolute path"
            )
        }
        try Self.check(spec)
        for text in spec.args + spec.env where text.utf8.contains(0) {
            throw RuntimeError(.invalidConfig, "process.args and process.env must not contain NUL bytes")
        }
        for limit in spec.rlimits {
            guard let resource = Self.resources.firstIndex(of: limit.type) else {
                throw RuntimeError(.invalidConfig, "wrong rlimit value: \(limit.type)")
            }
            guard !rlimits.contains(where: { $0.name == limit.type }) else {
                throw RuntimeError(.invalidConfig, "rlimit \(limit.type) stands twice")
            }
            rlimits.append(
                (
                    Int32(resource), limit.type,
                    rlimit(rlim_cur: rlim_t(limit.soft), rlim_max: rlim_t(limit.hard))
                ))
        }
        // What we do not have we cannot give: as other runtimes do, the rest is given.
        // A user namespace gives all, over what belongs to it.
        let hasUser = linux.namespaces.contains { $0.type == .user }
        let own = try during("read capabilities") { () throws(SystemError) in
            hasUser ? .all : try CapabilitySet.permitted()
        }
        let capabilities = spec.capabilities ?? Capabilities()
        bounding = try Self.set(capabilities.bounding).intersection(own)
        permitted = try Self.set(capabilities.permitted).intersection(own)
        effective = try Self.set(capabilities.effective).intersection(permitted)
        inheritable = try Self.set(capabilities.inheritable).intersection(own)
        let wanted = try Self.set(capabilities.ambient)
        ambient = wanted.intersection(permitted).intersection(inheritable)
        unraisable = wanted.subtracting(ambient)
        ungranted = Self.names(in: capabilities).filter { name in
            Capability(name: name).map { !own.contains($0) } ?? true
        }
        self.personality = try linux.personality.map { (value) throws(RuntimeError) in try Self.persona(value)
        }
    }

    /// In the order of the kernel's numbers (getrlimit(2)).
    static let resources = [
        "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS",
        "RLIMIT_NPROC", "RLIMIT_NOFILE", "RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS",
        "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
    ]

    /// Unknown names are passed over: a newer kernel's capability cannot be given anyway.
    private static func set(_ names: [String]?) throws(RuntimeError) -> CapabilitySet {
        var set = CapabilitySet()
        for name in names ?? [] {
            if let capability = Capability(name: name) { set.insert(capability) }
        }
        return set
    }

    /// Each once, in the order of the config.
    private static func names(in capabilities: Capabilities) -> [String] {
        let sets = [
            capabilities.bounding, capabilities.effective, capabilities.permitted, capabilities.inheritable,
            capabilities.ambient,
        ]
        var seen: Set<String> = []
        return sets.flatMap { $0 ?? [] }.filter { seen.insert($0).inserted }
    }

    private static func persona(_ value: Personality) throws(RuntimeError) -> UInt {
        switch value.domain {
        case "LINUX": return 0
        case "LINUX32": return 8
        default:
            throw RuntimeError(.invalidConfig, "unknown personality domain \"\(value.domain)\"")
        }
    }
}
