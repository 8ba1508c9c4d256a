import ContainerRuntime
import JSONText
import LinuxSystem
import OCISpec

/// What `config.json` is made of: the user's wishes, the image's defaults and
/// what the host has set up for this start.
struct RuntimeConfigBuilder {
    let id: String
    let spec: ContainerSpec
    let defaults: ContainerDefaults
    /// The mounted root file system, and its open directory.
    let rootfs: String
    let rootDirectory: Int32
    /// Where hosts, hostname and resolv.conf of this container lie.
    let directory: String
    let hostname: String
    let volumePaths: [String: String]
    /// The network namespace to join; nil with the host's network.
    let networkNamespace: String?
    let namespacePaths: [LinuxNamespace.Kind: String]
    let initProgram: String?

    func build() throws(EngineError) -> RuntimeConfig {
        let user = try ContainerUser.resolve(
            spec.user ?? defaults.user, groups: spec.additionalGroups, root: rootDirectory)
        let capabilities = try CapabilitySet.effective(
            add: spec.capAdd, drop: spec.capDrop, privileged: spec.privileged)
        var config = RuntimeConfig(ociVersion: "1.0.2")
        config.root = RootSpec(path: rootfs, readonly: spec.readOnlyRootfs)
        config.process = try process(user: user, capabilities: capabilities)
        if spec.utsMode == .own {
            config.hostname = hostname
            config.domainname = spec.domainname
        }
        config.annotations = spec.annotations
        config.mounts = try mounts()
        config.linux = try linux(capabilities: capabilities)
        return config
    }

    // MARK: The process

    private func process(user: ContainerUser, capabilities: [String]) throws(EngineError) -> ProcessSpec {
        var arguments = Self.arguments(spec: spec, defaults: defaults)
        guard !arguments.isEmpty else {
            throw EngineError(
                .invalid, "no command or entrypoint given, and the image \(spec.image) has none")
        }
        if initProgram != nil { arguments = ["/sbin/apus-init", "--"] + arguments }
        var process = ProcessSpec(
            args: arguments, env: environment(user: user),
            cwd: spec.workingDirectory ?? (defaults.workingDir.isEmpty ? "/" : defaults.workingDir))
        process.terminal = spec.terminal
        process.user = User(uid: user.uid, gid: user.gid, additionalGids: [user.gid] + user.additionalGids)
        // A process that starts as another user than root holds no capability
        // but may regain those of its bounding set by a set-user-ID program;
        // what was added by name it keeps (as Docker's and Podman's do).
        var set = Capabilities(bounding: capabilities)
        if user.uid == 0 {
            set.effective = capabilities
            set.permitted = capabilities
        } else {
            let kept =
                try spec.privileged || spec.capAdd.isEmpty
                ? [] : CapabilitySet.effective(add: spec.capAdd, drop: ["ALL"], privileged: false)
            set.effective = kept
            set.permitted = kept
            set.inheritable = kept
            set.ambient = kept
        }
        process.capabilities = set
        process.noNewPrivileges = spec.noNewPrivileges
        process.oomScoreAdj = spec.oomScoreAdjustment
        process.rlimits = spec.ulimits.map {
            Rlimit(type: "RLIMIT_" + $0.name.uppercased(), soft: $0.soft, hard: $0.hard)
        }
        return process
    }

    /// Docker's rule: an entrypoint given on the command line drops the image's command.
    static func arguments(spec: ContainerSpec, defaults: ContainerDefaults) -> [String] {
        let entrypoint = spec.entrypoint ?? defaults.entrypoint
        let command = spec.command.isEmpty && spec.entrypoint == nil ? defaults.cmd : spec.command
        return entrypoint + command
    }

    private func environment(user: ContainerUser) -> [String] {
        var names: [String] = []
        var values: [String: String] = [:]
        func set(_ assignment: String) {
            let pair = assignment.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = pair.first.map(String.init), !name.isEmpty else { return }
            if values.updateValue(pair.count > 1 ? String(pair[1]) : "", forKey: name) == nil {
                names.append(name)
            }
        }
        set("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        set("HOSTNAME=\(hostname)")
        if spec.terminal { set("TERM=xterm") }
        defaults.env.forEach(set)
        spec.environment.forEach(set)
        if values["HOME"] == nil { set("HOME=\(user.home)") }
        for name in spec.unsetEnvironment { values[name] = nil }
        return names.compactMap { name in values[name].map { "\(name)=\($0)" } }
    }

    // MARK: linux

    private func linux(capabilities: [String]) throws(EngineError) -> LinuxSpec {
        var linux = LinuxSpec()
        linux.namespaces = [LinuxNamespace(.mount)]
        func namespace(_ kind: LinuxNamespace.Kind, _ mode: NamespaceMode) {
            switch mode {
            case .own: linux.namespaces.append(LinuxNamespace(kind))
            case .host: break
            case .container: linux.namespaces.append(LinuxNamespace(kind, path: namespacePaths[kind]))
            }
        }
        if let path = namespacePaths[.user] { linux.namespaces.append(LinuxNamespace(.user, path: path)) }
        namespace(.pid, spec.pidMode)
        namespace(.ipc, spec.ipcMode)
        namespace(.uts, spec.utsMode)
        namespace(
            .cgroup,
            spec.privileged && spec.cgroupMode == .own && !CgroupHost.isUnified ? .host : spec.cgroupMode)
        if let networkNamespace { linux.namespaces.append(LinuxNamespace(.network, path: networkNamespace)) }

        // From the hierarchy's root, as with Docker: the group of whoever starts it must not matter.
        if spec.isSystemdScope {
            linux.cgroupsPath = "\(spec.cgroupParent ?? "machine.slice"):apus:\(id)"
        } else {
            let parent = spec.cgroupParent ?? "apus"
            linux.cgroupsPath = (parent.hasPrefix("/") ? "" : "/") + "\(parent)/\(id)"
        }
        linux.resources = resources()
        linux.sysctl = spec.sysctls
        if networkNamespace != nil, case .container = spec.network {
        } else if networkNamespace != nil {
            // As Docker: any user may bind low ports and ping inside its own network.
            linux.sysctl["net.ipv4.ip_unprivileged_port_start"] =
                linux.sysctl["net.ipv4.ip_unprivileged_port_start"] ?? "0"
            // Groups of the container's user namespace, which has no others.
            let groups = spec.gidMappings.first { $0.containerID == 0 }?.size ?? 1 << 31
            linux.sysctl["net.ipv4.ping_group_range"] =
                linux.sysctl["net.ipv4.ping_group_range"] ?? "0 \(groups - 1)"
        }
        if spec.privileged {
            linux.devices = try HostDevices.all()
        } else {
            linux.devices = try spec.devices.flatMapTyped { request throws(EngineError) in
                try HostDevices.devices(request).map(\.device)
            }
            if !spec.unmaskedPaths.contains("ALL") {
                linux.maskedPaths = (Self.maskedPaths + spec.maskedPaths).filter {
                    !spec.unmaskedPaths.contains($0)
                }
                linux.readonlyPaths = Self.readonlyPaths.filter { !spec.unmaskedPaths.contains($0) }
            }
            linux.seccomp = try seccomp(capabilities: capabilities)
        }
        linux.rootfsPropagation = mountPropagation()
        return linux
    }

    /// The root's mount must propagate as much as the most open bind wants.
    private func mountPropagation() -> String? {
        let options = spec.mounts.flatMap(\.options)
        if options.contains("shared") || options.contains("rshared") { return "shared" }
        if options.contains("slave") || options.contains("rslave") { return "rslave" }
        return nil
    }

    private func seccomp(capabilities: [String]) throws(EngineError) -> Seccomp? {
        switch spec.seccompProfile {
        case "unconfined": return nil
        case nil, "default", "builtin": return Seccomp.defaultProfile(capabilities: Set(capabilities))
        case let path?: return try SeccompFile.read(path, capabilities: Set(capabilities))
        }
    }

    static let maskedPaths = [
        "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
        "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
        "/sys/devices/virtual/powercap", "/sys/firmware",
    ]

    static let readonlyPaths = [
        "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
    ]

    private func resources() -> LinuxResources {
        let asked = spec.resources
        var resources = LinuxResources()
        if asked.memory != nil || asked.memorySwap != nil || asked.memoryReservation != nil
            || asked.memorySwappiness != nil || asked.oomKillDisable != nil
        {
            var memory = LinuxResources.Memory()
            memory.limit = asked.memory
            memory.swap = CgroupHost.limitsSwap ? asked.memoryAndSwap : asked.memorySwap
            memory.reservation = asked.memoryReservation
            memory.swappiness = asked.memorySwappiness
            memory.disableOOMKiller = asked.oomKillDisable
            resources.memory = memory
        }
        var cpu = LinuxResources.CPU()
        cpu.shares = asked.cpuShares
        cpu.period = asked.cpuPeriod
        cpu.quota = asked.cpuQuota
        cpu.cpus = asked.cpusetCPUs
        cpu.mems = asked.cpusetMems
        if let nano = asked.nanoCPUs {
            cpu.period = 100_000
            cpu.quota = nano / 10_000
        }
        if cpu != LinuxResources.CPU() { resources.cpu = cpu }
        if let limit = asked.pidsLimit { resources.pids = LinuxResources.Pids(limit: limit > 0 ? limit : -1) }
        if let weight = asked.blkioWeight {
            var io = LinuxResources.BlockIO()
            io.weight = weight
            resources.blockIO = io
        }
        if spec.privileged {
            resources.devices = [LinuxResources.DeviceRule(allow: true, access: "rwm")]
        } else {
            resources.devices =
                [LinuxResources.DeviceRule(allow: false, access: "rwm")]
                + spec.devices.flatMap { ((try? HostDevices.devices($0)) ?? []).map(\.rule) }
        }
        return resources
    }
}

extension Array {
    func flatMapTyped<Value, Failure: Error>(
        _ transform: (Element) throws(Failure) -> [Value]
    ) throws(Failure) -> [Value] {
        var result: [Value] = []
        for element in self { result += try transform(element) }
        return result
    }
}
