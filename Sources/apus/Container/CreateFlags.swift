import CommandGrammar
import ContainerEngine
import ContainerMonitor
import ContainerNetwork
import ContainerStorage
import LinuxSystem
import OCISpec

/// The flags that `create` and `run` share, and the container that they describe.
enum CreateFlags {
    static func flags() -> [Flag] {
        [
            Flag("add-host", .list("HOST:IP"), "Add a line to /etc/hosts"),
            Flag("annotation", .list("KEY=VALUE"), "Add an annotation (passed to the OCI runtime)"),
            Flag(
                "arch", .string("ARCH"), "Use ARCH instead of the machine's architecture to choose the image"),
            Flag("blkio-weight", .uint, "Block IO weight (10 to 1000)"),
            Flag("cap-add", .list("CAPABILITY"), "Add Linux capabilities"),
            Flag("cap-drop", .list("CAPABILITY"), "Drop Linux capabilities"),
            Flag("cgroup-parent", .string("PATH"), "Parent of the container's control group"),
            Flag("cgroupns", .string("MODE"), "Cgroup namespace: private or host"),
            Flag("cidfile", .string("FILE"), "Write the container's ID to FILE", completing: .files),
            Flag("cpu-period", .uint, "CFS period in microseconds"),
            Flag("cpu-quota", .int, "CFS quota in microseconds"),
            Flag("cpu-shares", short: "c", .uint, "CPU shares (relative weight)"),
            Flag("cpus", .decimal("NUMBER"), "Number of CPUs"),
            Flag("cpuset-cpus", .string("CPUS"), "CPUs to run on (0-3, 0,1)"),
            Flag("cpuset-mems", .string("NODES"), "Memory nodes to allocate from (0-3, 0,1)"),
            Flag("device", .list("HOST[:CONTAINER[:rwm]]"), "Add a host device to the container"),
            Flag("dns", .list("IP"), "Set DNS servers"),
            Flag("dns-option", aliases: ["dns-opt"], .list("OPTION"), "Set DNS options"),
            Flag("dns-search", .list("DOMAIN"), "Set DNS search domains"),
            Flag("domainname", .string("NAME"), "NIS domain name"),
            Flag("entrypoint", .string("COMMAND"), "Replace the image's entrypoint (a word or a JSON array)"),
            Flag("env", short: "e", .list("KEY[=VALUE]"), "Set environment variables"),
            Flag("env-file", .list("FILE"), "Read environment variables from a file", completing: .files),
            Flag("expose", .list("PORT[/PROTOCOL]"), "Expose a port without publishing it"),
            Flag(
                "gidmap", .list("CONTAINER:HOST[:SIZE]"),
                "User namespace in which groups of the container are these of the host"),
            Flag("group-add", .list("GROUP"), "Add the user to additional groups"),
            Flag("hostname", short: "h", .string("NAME"), "Set the container's host name"),
            Flag("init", .bool, "Run an init in the container that forwards signals and reaps processes"),
            Flag("interactive", short: "i", .bool, "Keep standard input open even if not attached"),
            Flag("ipc", .string("MODE"), "IPC namespace: private, host or container:NAME"),
            Flag("label", short: "l", .list("KEY=VALUE"), "Set metadata on the container"),
            Flag("label-file", .list("FILE"), "Read labels from a file", completing: .files),
            Flag("log-driver", .string("DRIVER"), "Logging driver: k8s-file, json-file or none"),
            Flag("log-opt", .list("KEY=VALUE"), "Logging driver options: max-size, max-file, path"),
            Flag("memory", short: "m", .size, "Memory limit"),
            Flag("memory-reservation", .size, "Memory soft limit"),
            Flag("memory-swap", .string("BYTES"), "Memory plus swap; -1 for no limit on swap"),
            Flag("memory-swappiness", .int, "Tune memory swappiness (0 to 100)"),
            Flag("mount", .list("TYPE=TYPE,..."), "Attach a file system mount"),
            Flag("name", .string("NAME"), "Give the container a name"),
            Flag(
                "network", aliases: ["net"], .string("MODE"), default: "bridge",
                "Connect to a network: bridge, host, none or container:NAME"),
            Flag("oom-kill-disable", .bool, "Disable the OOM killer"),
            Flag("oom-score-adj", .int, "Adjust the host's OOM preference (-1000 to 1000)"),
            Flag("os", .string("OS"), "Use OS instead of the machine's to choose the image"),
            Flag("pid", .string("MODE"), "PID namespace: private, host or container:NAME"),
            Flag("pids-limit", .int, "Limit the number of processes (-1 for unlimited)"),
            Flag("platform", .string("OS/ARCH[/VARIANT]"), "Choose the image by platform"),
            Flag("privileged", .bool, "Give extended privileges to the container"),
            Flag("publish", short: "p", .list("[[IP:]HOST:]PORT[/PROTOCOL]"), "Publish a port to the host"),
            Flag("publish-all", short: "P", .bool, "Publish all exposed ports to random ports of the host"),
            Flag(
                "pull", .choice(["always", "missing", "never", "newer"]), default: "missing",
                "When to pull the image first"),
            Flag("quiet", short: "q", .bool, "Suppress the output of a pull"),
            Flag("read-only", .bool, "Mount the container's root file system read only"),
            Flag(
                "restart", .string("POLICY"), default: "no",
                "Restart when the container exits: no, always, unless-stopped, on-failure[:MAX]"),
            Flag("rm", .bool, "Remove the container when it exits"),
            Flag("runtime", .string("PATH"), "OCI runtime to use instead of the built-in one"),
            Flag(
                "security-opt", .list("OPTION"),
                "Security options: seccomp=FILE, no-new-privileges, mask=, unmask="),
            Flag("shm-size", .size, default: "64m", "Size of /dev/shm"),
            Flag("stop-signal", .string("SIGNAL"), "Signal to stop the container with"),
            Flag("stop-timeout", .int, "Seconds to wait before a stop kills"),
            Flag("sysctl", .list("KEY=VALUE"), "Set namespaced kernel parameters"),
            Flag("tls-verify", .bool, default: "true", "Require HTTPS and verify certificates of registries"),
            Flag("tmpfs", .list("PATH[:OPTIONS]"), "Mount a tmpfs"),
            Flag("tty", short: "t", .bool, "Allocate a pseudo-terminal"),
            Flag("ulimit", .list("NAME=SOFT[:HARD]"), "Set resource limits"),
            Flag("unsetenv", .list("KEY"), "Unset a variable that the image sets"),
            Flag(
                "user", short: "u", .string("USER[:GROUP]"),
                "User to run as (names are looked up in the image)"),
            Flag(
                "uidmap", .list("CONTAINER:HOST[:SIZE]"),
                "User namespace in which users of the container are these of the host"),
            Flag(
                "userns", .string("MODE"),
                "User namespace: host, auto[:size=N,uidmapping=MAP,gidmapping=MAP], container:NAME or ns:PATH"
            ),
            Flag("uts", .string("MODE"), "UTS namespace: private or host"),
            Flag(
                "volume", short: "v", .list("[SOURCE:]PATH[:OPTIONS]"),
                "Bind mount a directory or mount a volume"),
            Flag("workdir", short: "w", .string("PATH"), "Working directory inside the container"),
        ] + TrustFlags.policy()
    }

    /// Builds the container's description from what was written.
    static func spec(_ values: Values, isRun: Bool) throws -> ContainerSpec {
        var spec = ContainerSpec()
        spec.image = values.arguments[0]
        spec.command = Array(values.arguments.dropFirst())
        spec.entrypoint = try entrypoint(values)
        try processFlags(values, &spec)
        try mountFlags(values, &spec)
        try securityFlags(values, &spec)
        try resourceFlags(values, &spec)
        try networkFlags(values, &spec)
        spec.useInit = values.bool("init")
        spec.restart = try restartPolicy(values.string("restart") ?? "no")
        spec.autoRemove = values.bool("rm")
        if spec.autoRemove, spec.restart != .no {
            throw EngineError(.invalid, "--rm and --restart contradict each other: use one of them")
        }
        spec.runtime = try given("runtime", values).map(RuntimeProgram.resolve)
        spec.stopSignal = try values.string("stop-signal").map { text in
            guard let signal = SignalName.number(text) else {
                throw EngineError(.invalid, "invalid signal \"\(text)\" for --stop-signal")
            }
            return SignalName.name(signal)
        }
        spec.stopTimeout = values.int("stop-timeout")
        spec.logDriver = try logDriver(values)
        spec.logOptions = try pairs(values.list("log-opt"), flag: "log-opt")
        for (key, value) in spec.logOptions {
            switch key {
            case "max-size":
                if Quantity.bytes(value) == nil {
                    throw EngineError(.invalid, "invalid --log-opt max-size=\(value): use a size like 10m")
                }
            case "max-file":
                if (Int(value) ?? 0) < 1 {
                    throw EngineError(
                        .invalid, "invalid --log-opt max-file=\(value): use a number of at least 1")
                }
            case "path": break
            default:
                throw EngineError(.invalid, "unknown log option \"\(key)\": use max-size, max-file or path")
            }
        }
        return spec
    }

    private static func restartPolicy(_ text: String) throws -> RestartPolicy {
        guard let policy = RestartPolicy(parsing: text) else {
            throw EngineError(
                .invalid,
                "invalid restart policy \"\(text)\": use no, always, unless-stopped or on-failure[:MAX-RETRIES]"
            )
        }
        return policy
    }

    private static func logDriver(_ values: Values) throws -> String? {
        guard let driver = values.string("log-driver") else { return nil }
        switch driver {
        case "k8s-file", "json-file", "none": return driver
        default:
            throw EngineError(.invalid, "unknown log driver \"\(driver)\": use k8s-file, json-file or none")
        }
    }

    private static func entrypoint(_ values: Values) throws -> [String]? {
        guard let text = values.string("entrypoint") else { return nil }
        if text.isEmpty { return [] }
        if text.hasPrefix("["), let words = JSONList.strings(text) { return words }
        return [text]
    }

    private static func processFlags(_ values: Values, _ spec: inout ContainerSpec) throws {
        spec.terminal = values.bool("tty")
        spec.openStdin = values.bool("interactive")
        for file in values.list("env-file") { spec.environment += try EnvironmentFile.read(file) }
        for entry in values.list("env") {
            guard !entry.isEmpty, !entry.hasPrefix("=") else {
                throw EngineError(.invalid, "invalid environment variable \"\(entry)\": the name is empty")
            }
            spec.environment += EnvironmentFile.expand(entry)
        }
        spec.unsetEnvironment = values.list("unsetenv")
        spec.workingDirectory = try given("workdir", values).map { path in
            guard path.hasPrefix("/") else {
                throw EngineError(
                    .invalid, "the working directory \"\(path)\" is invalid: it must be an absolute path")
            }
            return PathText.normalized(path)
        }
        spec.user = values.string("user")
        spec.additionalGroups = values.list("group-add")
        if let hostname = values.string("hostname") {
            guard hostname.utf8.count <= 64, !hostname.isEmpty, !hostname.contains("/") else {
                throw EngineError(
                    .invalid, "invalid hostname \"\(hostname)\": 1 to 64 characters are allowed")
            }
            spec.hostname = hostname
        }
        spec.domainname = values.string("domainname")
        for file in values.list("label-file") {
            for line in try EnvironmentFile.lines(file) {
                let pair = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                spec.labels[String(pair[0])] = pair.count > 1 ? String(pair[1]) : ""
            }
        }
        for (key, value) in try pairs(values.list("label"), flag: "label", bare: true) {
            spec.labels[key] = value
        }
        spec.annotations = try pairs(values.list("annotation"), flag: "annotation")
        spec.ulimits = try values.list("ulimit").map { try UlimitRequest(parsing: $0) }
        spec.sysctls = try pairs(values.list("sysctl"), flag: "sysctl")
        spec.devices = try values.list("device").map { try DeviceRequest(parsing: $0) }
        if let score = values.int("oom-score-adj") {
            guard (-1000...1000).contains(score) else {
                throw EngineError(.invalid, "invalid --oom-score-adj \(score): use -1000 to 1000")
            }
            spec.oomScoreAdjustment = score
        }
        spec.pidMode = try NamespaceMode(parsing: values.string("pid") ?? "", flag: "pid")
        spec.ipcMode = try NamespaceMode(parsing: values.string("ipc") ?? "", flag: "ipc")
        spec.utsMode = try NamespaceMode(parsing: values.string("uts") ?? "", flag: "uts")
        spec.cgroupMode = try NamespaceMode(parsing: values.string("cgroupns") ?? "", flag: "cgroupns")
        try cgroupFlags(values, &spec)
    }

    private static func cgroupFlags(_ values: Values, _ spec: inout ContainerSpec) throws {
        spec.isSystemdScope = values.string("cgroup-manager") == "systemd"
        guard let parent = values.string("cgroup-parent") else { return }
        guard spec.isSystemdScope else {
            spec.cgroupParent = PathText.normalized(parent)
            return
        }
        guard parent.hasSuffix(".slice"), !parent.contains(":") else {
            throw EngineError(
                .invalid,
                "invalid --cgroup-parent \"\(parent)\": with the systemd cgroup manager it is the name of a slice"
            )
        }
        // A slice's name tells where it is.
        spec.cgroupParent = parent.split(separator: "/").last.map(String.init)
    }

    private static func mountFlags(_ values: Values, _ spec: inout ContainerSpec) throws {
        spec.mounts = try values.list("volume").map { try MountRequest(volume: $0) }
        spec.mounts += try values.list("mount").map { try MountRequest(mount: $0) }
        spec.mounts += try values.list("tmpfs").map { try MountRequest(tmpfs: $0) }
        var seen: Set<String> = []
        for mount in spec.mounts where !seen.insert(mount.destination).inserted {
            throw EngineError(.invalid, "duplicate mount destination \"\(mount.destination)\"")
        }
        spec.readOnlyRootfs = values.bool("read-only")
        spec.shmSize = UInt64(max(0, values.size("shm-size") ?? 64 << 20))
    }

    private static func securityFlags(_ values: Values, _ spec: inout ContainerSpec) throws {
        spec.capAdd = values.list("cap-add").flatMap { $0.split(separator: ",").map(String.init) }
        spec.capDrop = values.list("cap-drop").flatMap { $0.split(separator: ",").map(String.init) }
        spec.privileged = values.bool("privileged")
        let users = try values.list("uidmap").map { try IDMapping(parsing: $0, flag: "uidmap") }
        let groups = try values.list("gidmap").map { try IDMapping(parsing: $0, flag: "gidmap") }
        // As Podman: one map is both.
        spec.uidMappings = users.isEmpty ? groups : users
        spec.gidMappings = groups.isEmpty ? users : groups
        if let mode = given("userns", values) {
            spec.userMode = try UserNamespaceMode(parsing: mode)
            guard spec.uidMappings.isEmpty else {
                throw EngineError(.invalid, "--userns and --uidmap or --gidmap are mutually exclusive")
            }
        }
        if !spec.uidMappings.isEmpty {
            guard spec.uidMappings.host(0) != nil, spec.gidMappings.host(0) != nil else {
                throw EngineError(.invalid, "--uidmap and --gidmap must map the container's user and group 0")
            }
        }
        for option in values.list("security-opt") {
            let separator: Character = option.contains("=") ? "=" : ":"
            let pair = option.split(
                separator: separator, maxSplits: 1, omittingEmptySubsequences: false
            ).map(String.init)
            switch (pair[0], pair.count > 1 ? pair[1] : nil) {
            case ("no-new-privileges", nil), ("no-new-privileges", "true"): spec.noNewPrivileges = true
            case ("no-new-privileges", "false"): spec.noNewPrivileges = false
            case ("seccomp", let value?):
                spec.seccompProfile =
                    value == "unconfined" || value == "default" || value == "builtin"
                    ? value : try PathText.absolute(value)
            case ("mask", let value?): spec.maskedPaths += value.split(separator: ":").map(String.init)
            case ("unmask", let value?): spec.unmaskedPaths += value.split(separator: ":").map(String.init)
            case ("apparmor", "unconfined"), ("label", "disable"): break
            case ("systempaths", "unconfined"): spec.unmaskedPaths.append("ALL")
            default:
                throw EngineError(
                    .invalid,
                    "invalid --security-opt \"\(option)\": use seccomp=, no-new-privileges, mask= or unmask=")
            }
        }
        _ = try CapabilitySet.effective(add: spec.capAdd, drop: spec.capDrop, privileged: spec.privileged)
    }

    private static func resourceFlags(_ values: Values, _ spec: inout ContainerSpec) throws {
        var resources = ResourceRequest()
        if let memory = values.size("memory") {
            guard memory == 0 || memory >= 512 << 10 else {
                throw EngineError(
                    .invalid, "invalid --memory \(values.string("memory") ?? ""): the minimum is 512k")
            }
            resources.memory = memory == 0 ? nil : memory
        }
        if let text = values.string("memory-swap"), Quantity.bytes(text) != 0 {
            guard text == "-1" || Quantity.bytes(text) != nil else {
                throw EngineError(.invalid, "invalid --memory-swap \"\(text)\": use a size or -1")
            }
            resources.memorySwap = text == "-1" ? -1 : Quantity.bytes(text)
            if let memory = resources.memory, let swap = resources.memorySwap, swap != -1, swap < memory {
                throw EngineError(.invalid, "--memory-swap must not be smaller than --memory")
            }
            guard resources.memory != nil else {
                throw EngineError(.invalid, "--memory-swap needs --memory")
            }
        }
        resources.memoryReservation = values.size("memory-reservation")
        // -1 is the host's.
        if let swappiness = values.int("memory-swappiness"), swappiness != -1 {
            guard (0...100).contains(swappiness) else {
                throw EngineError(.invalid, "invalid --memory-swappiness \(swappiness): use 0 to 100")
            }
            resources.memorySwappiness = UInt64(swappiness)
        }
        if values.bool("oom-kill-disable") { resources.oomKillDisable = true }
        if CgroupHost.isUnified {
            // As Docker: what cgroup v2 does not have must not keep a container from running.
            if resources.memorySwappiness != nil {
                Output.warn("cgroup v2 has no memory swappiness: --memory-swappiness is discarded")
                resources.memorySwappiness = nil
            }
            if resources.oomKillDisable != nil {
                Output.warn("cgroup v2 cannot disable the OOM killer: --oom-kill-disable is discarded")
                resources.oomKillDisable = nil
            }
        }
        if let cpus = values.decimal("cpus") {
            guard cpus > 0 || cpus == 0, cpus < 100_000 else {
                throw EngineError(
                    .invalid, "invalid --cpus \(values.string("cpus") ?? ""): use a positive number")
            }
            if cpus > 0 {
                guard cpus >= 0.01 else {
                    throw EngineError(.invalid, "invalid --cpus \(cpus): the minimum is 0.01")
                }
                resources.nanoCPUs = Int64(cpus * 1e9)
                if values.isSet("cpu-quota") || values.isSet("cpu-period") {
                    throw EngineError(
                        .invalid, "--cpus and --cpu-quota or --cpu-period contradict each other")
                }
            }
        }
        resources.cpuShares = values.uint("cpu-shares").map(UInt64.init)
        resources.cpuPeriod = values.uint("cpu-period").map(UInt64.init)
        resources.cpuQuota = values.int("cpu-quota").map(Int64.init)
        resources.cpusetCPUs = values.string("cpuset-cpus")
        resources.cpusetMems = values.string("cpuset-mems")
        if let limit = values.int("pids-limit") { resources.pidsLimit = limit <= 0 ? -1 : Int64(limit) }
        if let weight = values.uint("blkio-weight") {
            guard weight == 0 || (10...1000).contains(weight) else {
                throw EngineError(.invalid, "invalid --blkio-weight \(weight): use 10 to 1000")
            }
            resources.blkioWeight = weight == 0 ? nil : UInt16(weight)
        }
        spec.resources = resources
    }

    private static func networkFlags(_ values: Values, _ spec: inout ContainerSpec) throws {
        spec.network = try NetworkMode(parsing: given("network", values) ?? "bridge")
        spec.ports = try values.list("publish").flatMap { try PortMapping.parse($0) }
        if !spec.ports.isEmpty {
            switch spec.network {
            case .bridge: break
            case .host, .none:
                Output.warn("published ports are discarded with --network \(spec.network.text)")
                spec.ports = []
            case .container:
                throw EngineError(
                    .invalid, "ports cannot be published with --network \(spec.network.text)")
            }
        }
        spec.publishAll = values.bool("publish-all")
        spec.exposedPorts = values.list("expose")
        spec.dns = values.list("dns")
        spec.dnsSearch = values.list("dns-search")
        spec.dnsOptions = values.list("dns-option")
        spec.extraHosts = values.list("add-host")
        for host in spec.extraHosts where !host.contains(":") {
            throw EngineError(.invalid, "invalid --add-host \"\(host)\": use HOST:IP")
        }
    }

    /// An empty value, as a script's empty variable leaves it, is none.
    private static func given(_ flag: String, _ values: Values) -> String? {
        values.string(flag).flatMap { $0.isEmpty ? nil : $0 }
    }

    /// `KEY=VALUE` texts as a map.
    static func pairs(_ texts: [String], flag: String, bare: Bool = false) throws -> [String: String] {
        var result: [String: String] = [:]
        for text in texts {
            let pair = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(
                String.init)
            guard !pair[0].isEmpty, pair.count > 1 || bare else {
                throw EngineError(.invalid, "invalid --\(flag) \"\(text)\": use KEY=VALUE")
            }
            result[pair[0]] = pair.count > 1 ? pair[1] : ""
        }
        return result
    }
}
