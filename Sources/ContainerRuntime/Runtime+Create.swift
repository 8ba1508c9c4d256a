import JSONText
import LinuxSystem
import OCISpec

extension Runtime {
    /// Makes a container whose process waits for `start`.
    public func create(
        _ id: String, bundle: String, options: CreateOptions = CreateOptions()
    ) throws(RuntimeError) -> CreatedContainer {
        try make(id, bundle: try Bundle(bundle), options: options, waiting: true)
    }

    /// Makes a container and starts it at once. On return its command has been executed.
    public func run(
        _ id: String, bundle: String, options: CreateOptions = CreateOptions()
    ) throws(RuntimeError) -> CreatedContainer {
        let bundle = try Bundle(bundle)
        let container = try make(id, bundle: bundle, options: options, waiting: false)
        if let hooks = bundle.config.hooks, !hooks.poststart.isEmpty {
            do throws(RuntimeError) {
                try HookRunner.run(hooks.poststart, "poststart", state: try state(id))
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
        guard var process = bundle.config.process else {
            throw RuntimeError(.invalidConfig, "process must be specified")
        }
        process.env += options.environment
        if process.terminal, options.consoleSocket == nil, !options.returnsTerminal {
            throw RuntimeError(
                .invalidConfig,
                "cannot allocate tty if the runtime will detach without setting console socket")
        }
        guard process.terminal || options.consoleSocket == nil else {
            throw RuntimeError(
                .invalidConfig, "cannot use console socket if the runtime will not allocate a tty")
        }
        let linux = bundle.config.linux ?? LinuxSpec()
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

        let directory = try StateDirectory(creating: id, root: root)
        do throws(RuntimeError) {
            var record = StateRecord(
                ociVersion: bundle.config.ociVersion, id: id, bundle: bundle.path, rootfs: bundle.rootfs,
                created: "\(Timestamp.now)", owner: Self.owner)
            record.annotations = bundle.config.annotations
            record.noPivot = options.noPivot
            record.sharesPIDs = !namespaces.isNew(.pid)
            record.hasPoststopHooks = !(bundle.config.hooks?.poststop.isEmpty ?? true)
            if !process.terminal { record.streams = StandardStreams.pipes(options.streams) }
            let cgroups = try Self.planCgroups(Self.cgroupsPath(linux, id))
            record.cgroup = cgroups.json
            try directory.write(record)
            let fifo = try Self.prepare(directory, bundle.text, waiting: waiting)
            do throws(RuntimeError) {
                do throws(CgroupError) {
                    try cgroups.makeTarget()
                } catch {
                    throw RuntimeError(.system, "unable to apply cgroup configuration: \(error)")
                }
                // A v2 group is joined by being born in it, so it has to be complete before.
                var cgroup: Cgroup?
                var entrance: CgroupEntrance?
                let isLate = cgroups.layout.kind != .unified && namespaces.joinedUser == nil
                if !isLate {
                    let made = try ContainerBirth.complete(cgroups, linux.resources)
                    cgroup = made
                    entrance = try ContainerBirth.openEntrance(made)
                }
                var initial = InitPlan(
                    id: id, bundle: bundle.path, config: bundle.config, rootfs: bundle.rootfs, process: plan,
                    mounts: mounts, namespaces: namespaces,
                    cgroupMounts: CgroupMounts(
                        cgroups, hasNamespace: linux.namespaces.contains { $0.type == .cgroup }),
                    propagation: propagation, streams: options.streams, options: options,
                    startFIFO: fifo, foreign: [directory.raw], entrance: entrance,
                    isBornInCgroup: cgroups.joinTarget != nil && namespaces.joinedUser == nil,
                    reporter: reporter)
                let birth = ContainerBirth(
                    directory: directory.raw, record: record, cgroups: cgroups, resources: linux.resources,
                    cgroup: cgroup)
                return try birth.deliver(&initial, into: directory, options: options)
            } catch {
                cgroups.abandon()
                throw error
            }
        } catch {
            try? StateDirectory.remove(id, root: root)
            throw error.under("unable to start container process")
        }
    }

    /// The copy of the config that `exec` reads, so that changes of the bundle have no effect
    /// (runtime.md, "Lifecycle"); and the FIFO that `start` writes to.
    static func prepare(
        _ directory: borrowing StateDirectory, _ config: [UInt8], waiting: Bool
    ) throws(RuntimeError) -> HeldDescriptor? {
        try during("write the container's state") { () throws(SystemError) in
            let file = try File.open(
                StateRecord.configName, at: directory.raw, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
            try FD.writeAll(file.raw, config)
            guard waiting else { return nil }
            _ = try retrying("mkfifo") { mkfifoat(directory.raw, StateRecord.fifoName, 0o600) }
            return HeldDescriptor(
                try File.open(StateRecord.fifoName, at: directory.raw, O_RDWR | O_NOFOLLOW))
        }
    }

    // MARK: - Plans

    func plan(
        _ process: ProcessSpec, _ linux: LinuxSpec, preservedDescriptors: Int32
    ) throws(RuntimeError) -> ProcessPlan {
        let plan = try ProcessPlan(
            process, linux, seccomp: try Self.compile(linux.seccomp),
            preservedDescriptors: preservedDescriptors)
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

    static func cgroupsPath(_ linux: LinuxSpec, _ id: String) -> String {
        linux.cgroupsPath.flatMap { $0.isEmpty ? nil : $0 } ?? "/apus/\(id)"
    }

    static func planCgroups(_ path: String) throws(RuntimeError) -> CgroupPlan {
        do throws(CgroupError) {
            let plan = try CgroupPlan(path)
            // Before it is recorded as this container's, whose removal would kill what is in it.
            try plan.refuseOccupied()
            return plan
        } catch {
            throw RuntimeError(.system, "unable to apply cgroup configuration: \(error)")
        }
    }

    private static func mounts(_ bundle: Bundle, _ namespaces: NamespacePlan) throws(RuntimeError)
        -> [MountRequest]
    {
        var requests: [MountRequest] = []
        let rootfs = Rootfs.clean(bundle.rootfs)
        for mount in bundle.config.mounts {
            let request = try MountRequest(mount, bundle: bundle.path, rootfs: rootfs)
            if request.options.mapsIDs {
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

    static var owner: String { getuid() == 0 ? "root" : String(getuid()) }
}
