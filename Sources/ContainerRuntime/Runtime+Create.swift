import JSONText
import LinuxSystem
import OCISpec

extension Runtime {
    /// Makes a container whose process waits for `start`.
    public func create(
        _ id: String, bundle: String, options: CreateOptions = CreateOptions()
    ) throws(RuntimeError) -> CreatedContainer {
        try make(id, bundle: try open(bundle), options: options, waiting: true)
    }

    private func open(_ path: String) throws(RuntimeError) -> Bundle {
        let bundle = try Bundle(path)
        reporter.trace?.did("config", "read \(bundle.path)/config.json")
        return bundle
    }

    /// Makes a container and starts it at once. On return its command has been executed.
    public func run(
        _ id: String, bundle: String, options: CreateOptions = CreateOptions()
    ) throws(RuntimeError) -> CreatedContainer {
        let bundle = try open(bundle)
        let container = try make(id, bundle: bundle, options: options, waiting: false)
        if let hooks = bundle.config.hooks, !hooks.poststart.isEmpty {
            do throws(RuntimeError) {
                try HookRunner.run(hooks.poststart, "poststart", state: try state(id))
                reporter.trace?.did("hooks", "poststart")
            } catch {
                try? delete(id, force: true)
                throw error
            }
        }
        return container
    }

    private func make(
        _ id: String, bundle: Bundle, options: CreateOptions, waiting: Bool
    ) throws(RuntimeError) -> CreatedContainer {
        // config.md, "Process": required when `start` is called.
        guard var process = bundle.config.process ?? (waiting ? ProcessSpec(args: ["none"]) : nil) else {
            throw RuntimeError(.invalidConfig, "process must be specified")
        }
        process.env += options.environment
        try process.checkTerminal(
            consoleSocket: options.consoleSocket, returnsTerminal: options.returnsTerminal)
        let linux = bundle.config.linux ?? LinuxSpec()
        try rootless.check(bundle.config)
        try process.user.check(in: linux)
        let namespaces = try NamespacePlan(linux.namespaces)
        var plan = try self.plan(process, linux, preservedDescriptors: options.preservedDescriptors)
        if plan.seccomp?.notifies ?? false, let profile = linux.seccomp {
            plan.agent = try SeccompAgent(
                profile,
                state: RuntimeState(
                    ociVersion: bundle.config.ociVersion, id: id, status: .creating, pid: 0,
                    bundle: bundle.path, annotations: bundle.config.annotations),
                spares: bundle.config.hooks?.startContainer.count ?? 0)
        }
        let propagation = try Self.propagation(linux.rootfsPropagation)
        let mounts = try Self.mounts(bundle, namespaces)
        for mount in mounts where mount.options.isBind && !mount.options.ofFileSystem.isEmpty {
            let ignored = mount.options.ofFileSystem.joined(separator: ",")
            reporter.warn(
                "ignoring options of file systems for the bind mount on \(mount.destination): \(ignored)")
        }
        let resctrl = try Self.resctrl(linux.intelRdt, id)
        reporter.trace?.did("plan", "check the config")

        let directory = try StateDirectory(creating: id, root: root)
        do throws(RuntimeError) {
            var record = StateRecord(id, of: bundle, noPivot: options.noPivot)
            record.sharesPIDs = !namespaces.isNew(.pid)
            if !process.terminal { record.streams = StandardStreams.pipes(options.streams) }
            let cgroups = try planCgroups(linux, record, options.cgroupManager)
            record.cgroup = cgroups.json
            record.resctrl = resctrl
            record.lacksProcess = bundle.config.process == nil
            let fifo = waiting ? try Self.makeFIFO(directory) : nil
            var birth = ContainerBirth(
                directory: directory.raw, record: record, text: bundle.text, cgroups: cgroups,
                resources: linux.resources)
            reporter.trace?.did("state", "make \(root)/\(id)")
            do throws(RuntimeError) {
                // A v2 group is joined by being born in it, so it has to be complete before.
                let isLate = cgroups.isLate && (cgroups.unit != nil || namespaces.joinedUser == nil)
                // Where nothing has to be made before the process, that is made first, and sets up
                // its file systems while the rest is done.
                if !isLate || cgroups.layout.kind != .legacy {
                    try birth.register(in: directory, reporter.trace)
                }
                do throws(CgroupError) {
                    try cgroups.makeTarget()
                } catch {
                    throw RuntimeError(.system, "unable to apply cgroup configuration: \(error)")
                }
                var entrance: CgroupEntrance?
                if !isLate {
                    let made = try ContainerBirth.complete(cgroups, linux.resources)
                    if made.isRefused, !namespaces.isNew(.pid) { warnOfEscapes() }
                    birth.cgroup = made
                    entrance = try ContainerBirth.openEntrance(made)
                }
                if let trace = reporter.trace {
                    trace.did("cgroup", isLate ? "make what the process is born in" : "make and limit")
                    if !isLate { trace.noteCgroups(cgroups.paths, linux.resources) }
                }
                var initial = InitPlan(
                    id: id, bundle: bundle.path, config: bundle.config, rootfs: bundle.rootfs, process: plan,
                    mounts: mounts, namespaces: namespaces,
                    cgroupMounts: CgroupMounts(
                        cgroups, hasNamespace: linux.namespaces.contains { $0.type == .cgroup }),
                    propagation: propagation, streams: options.streams, options: options,
                    startFIFO: fifo, foreign: [directory.raw], entrance: entrance,
                    isBornInCgroup: cgroups.joinTarget != nil && namespaces.joinedUser == nil,
                    rootless: rootless, reporter: reporter)
                return try birth.deliver(&initial, into: directory, options: options)
            } catch {
                cgroups.abandon()
                try? resctrl?.remove()
                throw error
            }
        } catch {
            try? directory.remove(root: root)
            throw error.under("unable to start container process")
        }
    }

    /// What `start` writes to.
    private static func makeFIFO(_ directory: borrowing StateDirectory) throws(RuntimeError) -> HeldDescriptor
    {
        try during("write the container's state") { () throws(SystemError) in
            _ = try retrying("mkfifo") { mkfifoat(directory.raw, StateRecord.fifoName, 0o600) }
            return HeldDescriptor(
                try File.open(StateRecord.fifoName, at: directory.raw, O_RDWR | O_NOFOLLOW))
        }
    }

    // MARK: - Plans

    func plan(
        _ process: ProcessSpec, _ linux: LinuxSpec, preservedDescriptors: Int32
    ) throws(RuntimeError) -> ProcessPlan {
        var plan = try ProcessPlan(
            process, linux, seccomp: try Self.compile(linux.seccomp),
            preservedDescriptors: preservedDescriptors)
        if let filter = plan.seccomp {
            reporter.trace?.did("seccomp", "compile \(filter.program.count) instructions")
        }
        plan.keepsGroups = rootless.isUser
        if !plan.ungranted.isEmpty {
            // config.md, "Linux Process": no failure.
            reporter.warn(
                "ignoring unknown or unavailable capabilities: \(plan.ungranted.joined(separator: " "))")
        }
        if let flags = linux.personality?.flags, !flags.isEmpty {
            // config-linux.md, "Personality": there are none yet.
            reporter.warn("ignoring unsupported personality flags: \(flags.joined(separator: " "))")
        }
        for capability in Capability.allKnown where plan.unraisable.contains(capability) {
            reporter.warn("can't raise ambient capability \(capability): operation not permitted")
        }
        return plan
    }

    static func compile(_ profile: Seccomp?) throws(RuntimeError) -> SeccompFilter? {
        guard let profile else { return nil }
        do throws(SeccompError) {
            return try SeccompFilter.compile(profile)
        } catch {
            throw RuntimeError(.invalidConfig, "linux.seccomp: \(error)")
        }
    }

    static func resctrl(_ config: IntelRdt?, _ id: String) throws(RuntimeError) -> ResctrlGroup? {
        guard let config else { return nil }
        let mount = try during("find the resctrl file system") { () throws(SystemError) in
            try ResctrlMount.find()
        }
        return try ResctrlGroup(config, id: id, mount: mount)
    }

    func planCgroups(
        _ linux: LinuxSpec, _ record: StateRecord, _ manager: CgroupManager
    ) throws(RuntimeError) -> CgroupPlan {
        let path = linux.cgroupsPath.flatMap { $0.isEmpty ? nil : $0 }
        do throws(CgroupError) {
            guard manager == .cgroupfs else {
                return try CgroupPlan(
                    CgroupUnitPlan(
                        cgroupsPath: linux.cgroupsPath, id: record.id, annotations: record.annotations,
                        isUser: manager == .systemdUser))
            }
            guard rootless.doesWithoutCgroups else { return try CgroupPlan(path ?? "/apus/\(record.id)") }
            // Below what this process has: there it may be allowed to make groups.
            return try CgroupPlan(path ?? record.id, refusals: path == nil ? .tolerated : .ofNamedHierarchies)
        } catch {
            throw RuntimeError(.system, "unable to apply cgroup configuration: \(error)")
        }
    }

    private func warnOfEscapes() {
        reporter.warn(
            "Creating a rootless container with no cgroup and no private pid namespace. Such configuration is strongly discouraged (as it is impossible to properly kill all container's processes)"
        )
    }

    private static func mounts(_ bundle: Bundle, _ namespaces: NamespacePlan) throws(RuntimeError)
        -> [MountRequest]
    {
        var requests: [MountRequest] = []
        let rootfs = Rootfs.clean(bundle.rootfs)
        for mount in bundle.config.mounts {
            let request = try MountRequest(mount, bundle: bundle.path, rootfs: rootfs)
            if request.options.mapsIDs {
                guard !MountStage.isNeeded else {
                    throw RuntimeError(
                        .unsupported, "mount \(request.destination): idmap needs Linux 5.12")
                }
                request.userNamespace = try userNamespace(for: request, bundle.config.linux, namespaces)
            }
            requests.append(request)
        }
        return requests
    }

    /// Whose mapping an idmapped mount has: its own, else the container's.
    private static func userNamespace(
        for request: MountRequest, _ linux: LinuxSpec?, _ namespaces: NamespacePlan
    ) throws(RuntimeError) -> Descriptor {
        if request.uidMappings.isEmpty, let joined = namespaces.joinedUser {
            return try during("duplicate descriptor") { () throws(SystemError) in
                Descriptor(
                    owning: try checked("fcntl") { linux_fcntl(joined, F_DUPFD_CLOEXEC, 3) })
            }
        }
        return try UserNamespace.make(
            uids: request.uidMappings.isEmpty ? linux?.uidMappings ?? [] : request.uidMappings,
            gids: request.gidMappings.isEmpty ? linux?.gidMappings ?? [] : request.gidMappings)
    }

    private static func propagation(_ name: String?) throws(RuntimeError) -> Rootfs.Propagation? {
        guard let name, !name.isEmpty else { return nil }
        guard let propagation = Rootfs.Propagation(rawValue: name) else {
            throw RuntimeError(.invalidConfig, "rootfsPropagation=\(name) is not supported")
        }
        return propagation
    }
}
