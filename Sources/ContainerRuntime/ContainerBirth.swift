import JSONText
import LinuxSystem
import OCISpec

/// The runtime's side of making a container's first process (`SyncMessage`).
struct ContainerBirth {
    /// The state directory, which the child must not keep locked.
    var directory: Int32
    var record: StateRecord
    /// Of the config.
    var text: [UInt8]
    var cgroups: CgroupPlan
    var resources: LinuxResources?
    /// nil when it is made while the child sets up its file systems.
    var cgroup: Cgroup?
    private var isRegistered = false

    init(
        directory: Int32, record: StateRecord, text: [UInt8], cgroups: CgroupPlan, resources: LinuxResources?
    ) {
        self.directory = directory
        self.record = record
        self.text = text
        self.cgroups = cgroups
        self.resources = resources
    }

    /// Writes down what is going to be made, before it is; and the copy of the config that `exec`
    /// reads, so that changes of the bundle have no effect (runtime.md, "Lifecycle").
    mutating func register(in state: borrowing StateDirectory, _ trace: Trace?) throws(RuntimeError) {
        if isRegistered { return }
        isRegistered = true
        do throws(CgroupError) {
            // Before it is recorded as this container's, whose removal would kill what is in it.
            try cgroups.refuseOccupied()
        } catch {
            throw RuntimeError(.system, "unable to apply cgroup configuration: \(error)")
        }
        try state.write(record)
        try during("write the container's state") { () throws(SystemError) in
            let file = try File.open(
                StateRecord.configName, at: directory, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
            try FD.writeAll(file.raw, text)
        }
        trace?.did("state", "record container \(state.id)")
    }

    mutating func deliver(
        _ plan: inout InitPlan, into state: borrowing StateDirectory, options: CreateOptions
    ) throws(RuntimeError) -> CreatedContainer {
        let procfs = try during("open /proc") { () throws(SystemError) in try Procfs() }
        let ends = try during("make the channel") { () throws(SystemError) in try UnixSocket.pair() }
        // A user namespace's root may be unable to reach the root file system, which we can.
        var tree: Descriptor?
        let (rootfs, propagation) = (plan.rootfs, plan.propagation)
        if plan.namespaces.hasUser, plan.namespaces.hasMount, !MountStage.isNeeded {
            tree = try during("open the root file system") { () throws(SystemError) in
                do throws(SystemError) {
                    return try Rootfs.hostTree(rootfs, recursive: true, propagation: propagation)
                } catch  where error.errno == .notPermitted {
                    // Our mount namespace belongs to others: then the process does it in its own.
                    return nil
                }
            }
        }
        if MountStage.isNeeded { plan.runtimeEnters = !plan.rootless.isUser && !Rootless.isInUserNamespace }
        // One that this process made is the container's.
        defer { Mount.leaveStage() }
        plan.foreign.append(ends.first.raw)
        let child = try clone(plan, channel: ends.second.raw, procfs: procfs.raw, tree: tree?.raw)
        plan.reporter.trace?.did("clone", Trace.names(plan.namespaces.cloned, plan.isBornInCgroup))
        let channel = SyncChannel(ends.first)
        // Closed here, so that its death is seen.
        _ = consume ends.second
        do throws(RuntimeError) {
            let container = try accompany(child.pid, channel, plan, state, options)
            try PidfdSocket.send(child.pidfd.raw, to: options.pidfdSocket)
            return CreatedContainer(
                pid: child.pid, pidfd: child.pidfd, terminal: container.terminal, channel: container.channel)
        } catch {
            child.abandon()
            throw error
        }
    }

    private func clone(
        _ plan: InitPlan, channel: Int32, procfs: Int32, tree: Int32?
    ) throws(RuntimeError) -> ChildProcess {
        Runtime.hide()
        let flags = UInt64(UInt32(bitPattern: plan.namespaces.cloned))
        let target = plan.isBornInCgroup ? cgroups.joinTarget : nil
        func start(_ more: UInt64) throws(SystemError) -> ChildProcess {
            try Clone.process(flags: flags | more, cgroup: target) {
                ContainerInit(plan: plan, channel: channel, procfs: procfs, rootTree: tree).run()
            }
        }
        return try during("make the container's process") { () throws(SystemError) in
            if plan.namespaces.joinedUser != nil || plan.namespaces.hasJoinedBesideUser {
                return try UserNamespace.child(
                    of: plan.namespaces.joinedUser,
                    before: { () throws(SystemError) in
                        if plan.isScoreSet {
                            try plan.process.writeOOMScore(below: procfs)
                        }
                        plan.namespaces.joinBeforeUser()
                    }
                ) { () throws(SystemError) in
                    try plan.namespaces.joinPIDAfterUser()
                    return try start(UInt64(CLONE_PARENT))
                }
            }
            guard let namespace = plan.namespaces.joinedPID else { return try start(0) }
            return try PIDNamespace.forChildren(namespace) { () throws(SystemError) in try start(0) }
        }
    }

    private struct Outcome: ~Copyable {
        var terminal: Descriptor?
        var channel: Descriptor?
    }

    private mutating func accompany(
        _ pid: pid_t, _ channel: consuming SyncChannel, _ plan: InitPlan, _ state: borrowing StateDirectory,
        _ options: CreateOptions
    ) throws(RuntimeError) -> Outcome {
        if plan.namespaces.hasNewUser {
            try UserNamespace.writeMaps(of: pid, uids: plan.linux.uidMappings, gids: plan.linux.gidMappings)
            plan.reporter.trace?.didMapIDs(plan.linux)
            try send(.mapped, channel)
        }
        // The slow part, beside the child's own work. Should this process be killed here, the child
        // has nothing to go on with, and ends.
        try register(in: state, plan.reporter.trace)
        let isLate = self.cgroup == nil
        let cgroup = try completedCgroup(pid)
        if isLate, let trace = plan.reporter.trace {
            trace.did("cgroup", "make and limit")
            trace.noteCgroups(cgroups.paths, resources)
        }
        do throws(RuntimeError) {
            return try converse(pid, channel, plan, state, options, cgroup)
        } catch {
            kill(pid, SIGKILL)
            try? cgroup.kill()
            try? cgroup.delete()
            throw error
        }
    }

    private func completedCgroup(_ pid: pid_t) throws(RuntimeError) -> Cgroup {
        if let cgroup { return cgroup }
        return try Self.complete(cgroups, resources, pid)
    }

    static func complete(
        _ plan: CgroupPlan, _ resources: LinuxResources?, _ pid: pid_t? = nil
    ) throws(RuntimeError) -> Cgroup {
        do throws(CgroupError) {
            return try plan.complete(resources, pid: pid)
        } catch {
            throw RuntimeError(.system, "unable to apply cgroup configuration: \(error)")
        }
    }

    static func openEntrance(_ cgroup: Cgroup) throws(RuntimeError) -> CgroupEntrance {
        do throws(CgroupError) {
            return try cgroup.openEntrance()
        } catch {
            throw RuntimeError(.system, "\(error)")
        }
    }

    private func converse(
        _ pid: pid_t, _ channel: consuming SyncChannel, _ plan: InitPlan, _ state: borrowing StateDirectory,
        _ options: CreateOptions, _ cgroup: Cgroup
    ) throws(RuntimeError) -> Outcome {
        var record = record
        record.cgroup = cgroup.json
        record.pid = pid
        guard
            let status = try during(
                "inspect process \(pid)", { () throws(SystemError) in try ProcessStatus.read(pid) })
        else { throw RuntimeError(.system, "the container's process \(pid) is gone") }
        record.startTime = status.startTime
        try state.write(record)
        plan.reporter.trace?.did("state", "write state.json")
        if let group = record.resctrl, let config = plan.linux.intelRdt {
            try group.make(config)
            try group.add(pid)
            plan.reporter.trace?.did("resctrl", "make the group and join it")
        }
        if plan.entrance == nil, cgroups.unit == nil {
            let entrance = try Self.openEntrance(cgroup)
            try send(.go, channel, descriptors: entrance.tasks)
        } else {
            try send(.go, channel)
        }

        var terminal: Descriptor?
        var isExecuting = false
        while true {
            var received = try during("talk to the container's process") { () throws(SystemError) in
                try channel.receive()
            }
            guard let message = received.message else {
                if isExecuting { break }
                throw RuntimeError(.system, "the container's process ended while it was set up")
            }
            // A process with no more rights than the container's may speak for it by now.
            if isExecuting, !message.mayFollowExecuting {
                throw RuntimeError(.system, "the container's process broke the protocol")
            }
            plan.reporter.trace?.waited("for the container's process")
            switch message {
            case .failed(let error): throw error
            case .launchFailed(let failure): throw failure.error(command: plan.process.spec.args[0])
            case .hooks:
                try runHooks(plan, pid)
                plan.reporter.trace?.did("hooks", "prestart, createRuntime")
                try send(.done, channel)
            case .devices:
                try NetworkDevices.move(plan.linux.netDevices, to: pid)
                plan.reporter.trace?.did("net devices", "move them to the container")
                try send(.done, channel)
            case .clocks:
                try setClocks(plan, pid)
                plan.reporter.trace?.did("clocks", "offset them")
                try send(.done, channel)
            case .mount(SyncMessage.rootPosition) where plan.namespaces.hasUser && MountStage.isNeeded:
                let root = try during("mount the root file system \(plan.rootfs)") {
                    () throws(SystemError) in
                    try MountNamespace.inside(of: pid) { () throws(SystemError) in
                        try Rootfs.mountOnStage(plan.rootfs, plan.propagation)
                    }
                }
                try send(.done, channel, descriptors: [root.raw, Mount.stageDescriptor ?? -1])
            case .mount(let position):
                guard plan.mounts.indices.contains(position) else {
                    throw RuntimeError(.system, "the container's process broke the protocol")
                }
                let tree = try plan.mounts[position].open(for: pid)
                plan.reporter.trace?.did("source", "open \(plan.mounts[position].source)")
                try send(.done, channel, descriptors: [tree.raw])
            case .terminal(let name):
                terminal = received.descriptors.takeFirst()
                if let path = options.consoleSocket, let master = terminal.take() {
                    try ConsoleSocket.send(master.raw, name: name, to: path)
                }
            case .executing: isExecuting = true
            case .waiting:
                try PIDFile.write(pid, to: options.pidFile)
                return Outcome(terminal: terminal.take(), channel: channel.take())
            case .mapped, .go, .done:
                throw RuntimeError(.system, "the container's process broke the protocol")
            }
        }
        plan.reporter.trace?.executed(plan.process.spec.args.joined(separator: " "))
        try PIDFile.write(pid, to: options.pidFile)
        return Outcome(terminal: terminal.take(), channel: nil)
    }

    private func send(
        _ message: SyncMessage, _ channel: borrowing SyncChannel, descriptors: [Int32] = []
    ) throws(RuntimeError) {
        do throws(SystemError) {
            try channel.send(message, descriptors: descriptors)
        } catch {
            // It has ended: why, it may have said before.
            if case .failed(let reason) = try? channel.receive().message { throw reason }
            throw RuntimeError(.system, "talk to the container's process", cause: error)
        }
    }

    /// Root of a user namespace may not write its own offsets: the file is the host's root's.
    private func setClocks(_ plan: InitPlan, _ pid: pid_t) throws(RuntimeError) {
        for (clock, offset) in plan.linux.timeOffsets {
            try during("set the offset of clock \(clock)") { () throws(SystemError) in
                try File.write(offset.line(of: clock), to: "/proc/\(pid)/timens_offsets")
            }
        }
    }

    /// runtime.md, "Lifecycle": hooks come after step 2, in which a container is `creating`.
    private func runHooks(_ plan: InitPlan, _ pid: pid_t) throws(RuntimeError) {
        guard let hooks = plan.config.hooks else { return }
        let state = RuntimeState(
            ociVersion: plan.config.ociVersion, id: plan.id, status: .created, pid: pid, bundle: plan.bundle,
            annotations: plan.config.annotations)
        try HookRunner.run(hooks.prestart, "prestart", state: state)
        try HookRunner.run(hooks.createRuntime, "createRuntime", state: state)
    }
}

extension LaunchProgram.Failure {
    /// The failure in the words of an error about the command.
    func error(command: String) -> RuntimeError {
        guard stage == .execute else {
            return RuntimeError(.system, "\(stage.description): \(errno)")
        }
        let isMissing = errno == .noEntry || errno == .notDirectory
        var error = RuntimeError(
            isMissing ? .commandNotFound : .commandNotExecutable, "exec \(command): \(errno)")
        error.isOfCommand = true
        return error
    }
}

/// Who waits for a container's terminal at a socket (as `runc --console-socket` has it).
enum ConsoleSocket {
    static func send(_ master: Int32, name: String, to path: String) throws(RuntimeError) {
        try during("send the terminal to console socket \(path)") { () throws(SystemError) in
            let socket = try UnixSocket.connect(path, .stream)
            try UnixSocket.send(socket.raw, Array(name.utf8), descriptors: [master])
        }
    }
}

/// Who wants to hold the process by a descriptor (as `runc --pidfd-socket` has it).
enum PidfdSocket {
    static func send(_ pidfd: Int32, to path: String?) throws(RuntimeError) {
        guard let path else { return }
        try during("send the pidfd to socket \(path)") { () throws(SystemError) in
            let socket = try UnixSocket.connect(path, .stream)
            try UnixSocket.send(socket.raw, Array("pidfd".utf8), descriptors: [pidfd])
        }
    }
}

enum PIDFile {
    /// Readers find nothing or the whole number.
    static func write(_ pid: pid_t, to path: String?) throws(RuntimeError) {
        guard let path else { return }
        try during("write the PID file") { () throws(SystemError) in
            try File.replace(path, with: Array(String(pid).utf8), durable: false)
        }
    }
}

enum PIDNamespace {
    /// Runs a body that makes children, which are born in a PID namespace.
    static func forChildren<Value: ~Copyable>(
        _ namespace: Int32, _ body: () throws(SystemError) -> Value
    ) throws(SystemError) -> Value {
        let kind = Int32(bitPattern: UInt32(CLONE_NEWPID))
        let own = try File.open("/proc/self/ns/pid", O_RDONLY)
        try Namespace.join(namespace, kinds: kind)
        do throws(SystemError) {
            let value = try body()
            try Namespace.join(own.raw, kinds: kind)
            return value
        } catch {
            try? Namespace.join(own.raw, kinds: kind)
            throw error
        }
    }
}
