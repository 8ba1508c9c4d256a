import JSONText
import LinuxSystem
import OCISpec

/// What the container's first process does before it becomes the container's
/// command. The order is explained where it matters; `SyncMessage` shows the
/// conversation.
final class ContainerInit {
    private var plan: InitPlan
    private let channel: SyncChannel
    private let procfs: Procfs
    private let rootTree: Int32?
    private var mayGo = false
    private var trace: Trace? { plan.reporter.trace }

    /// The numbers are of descriptors that this process has from its parent.
    init(plan: InitPlan, channel: Int32, procfs: Int32, rootTree: Int32?) {
        self.plan = plan
        self.channel = SyncChannel(Descriptor(owning: channel))
        self.procfs = Procfs(inheriting: procfs)
        self.rootTree = rootTree
    }

    func run() -> Never {
        do throws(RuntimeError) {
            try prepare()
        } catch {
            try? channel.send(.failed(error))
        }
        _exit(1)
    }

    private func prepare() throws(RuntimeError) -> Never {
        trace?.enterContainer()
        let debug = plan.reporter.debug
        debug?("nsexec[\(getpid())]: => nsexec container setup")
        // The runtime's end of the channel above all: with a copy here its death would go unnoticed.
        for fd in plan.foreign { close(fd) }
        SignalMask.reset()
        umask(0)
        setsid()
        if let entrance = plan.entrance {
            try join(entrance.enter(alreadyInUnified: plan.isBornInCgroup))
            trace?.did("cgroup", "join")
        }
        if plan.namespaces.hasNewUser {
            channel.await(.mapped)
            trace?.waited("for the ID maps")
        }
        // While the files of this process in /proc are its own.
        if plan.namespaces.hasUser {
            if !plan.isScoreSet { try plan.process.adjustOOMScore(procfs) }
            try becomeRoot()
        }
        try plan.namespaces.enter(withCgroup: plan.entrance != nil)
        trace?.did("namespaces", plan.namespaces.words(withCgroup: plan.entrance != nil))
        if plan.namespaces.isNew(.time) { try setClocks() }
        if plan.namespaces.isNew(.network) {
            try LoopbackInterface.bringUp()
            trace?.did("network", "bring up lo")
        }
        if !plan.linux.netDevices.isEmpty { try ask(.devices) }
        debug?("child process in init()")
        if !plan.options.noNewKeyring { try SessionKeyring.join("_ses.\(plan.id)") }
        trace?.did("keyring", plan.options.noNewKeyring ? "keep the caller's" : "join a new one")
        try setNames()

        let command = try settle()
        if let fifo = plan.startFIFO?.descriptor.raw {
            try closeOthers(keeping: fifo)
            waitForStart(fifo)
        }
        try startContainerHooks()
        trace?.didPrepareLaunch(plan.process)
        debug?("init: closing the pipe to signal completion")
        try plan.process.launch(command, channel: channel, debug: debug)
    }

    /// The way into the root file system, and what is set up there.
    /// - Returns: the command's file.
    private func settle() throws(RuntimeError) -> String {
        let rootfs = try prepareRootfs()
        try awaitGo()
        try runHooks(rootfs)
        rootfs.trace = trace
        try rootfs.mask(plan.linux.maskedPaths)
        try rootfs.makeReadOnly(plan.linux.readonlyPaths)
        if plan.namespaces.hasMount {
            try rootfs.enter(propagation: plan.propagation, withoutPivot: plan.options.noPivot)
        } else {
            try rootfs.change()
        }
        trace?.did(plan.namespaces.hasMount && !plan.options.noPivot ? "pivot" : "chroot", plan.rootfs)
        try finish(rootfs)
        trace?.did("root", plan.config.root?.readonly ?? false ? "read-only" : "writable")
        try Sysctl.write(plan.linux.sysctl, procfs)
        for (name, value) in plan.linux.sysctl { trace?.note("sysctl", "\(name)=\(value)") }
        if !plan.linux.sysctl.isEmpty { trace?.did("sysctl", "\(plan.linux.sysctl.count) of them") }
        try plan.process.applyToSelf(procfs, isAdjusted: plan.namespaces.hasUser)
        trace?.did("process", "score of the OOM killer, personality, scheduling")
        try plan.process.agent?.prepare(procfs)
        try setStreams()
        try plan.process.ownStreams(root: rootfs.root.raw)
        plan.process.settleEnvironment(root: rootfs.root.raw)
        try plan.process.enterWorkingDirectory(root: rootfs.root.raw, making: true)
        let command = plan.config.process == nil ? "" : try plan.process.findCommand()
        trace?.did("command", "\(command) in \(plan.process.spec.cwd)")
        return command
    }

    private func join(_ errno: Int32) throws(RuntimeError) {
        if errno != 0 {
            throw RuntimeError(.system, "join the cgroup", cause: SystemError("write", "", Errno(errno)))
        }
        CPUAffinity.reset()
    }

    /// The state is written when this returns, the group complete and joined.
    private func awaitGo() throws(RuntimeError) {
        if mayGo { return }
        mayGo = true
        var tasks = channel.await(.go)
        trace?.waited("for the cgroup and the state")
        guard plan.entrance == nil else { return }
        try join(CgroupEntrance(receiving: &tasks).enter(alreadyInUnified: true))
        // Only now: its root is the group that we are in.
        try plan.namespaces.enterCgroup()
        trace?.did("cgroup", "join" + (plan.namespaces.isNew(.cgroup) ? ", new cgroup namespace" : ""))
    }

    /// Root of the user namespace, whose files the mounts below belong to.
    private func becomeRoot() throws(RuntimeError) {
        try during("become root in the user namespace") { () throws(SystemError) in
            _ = try retrying("setresgid") { setresgid(0, 0, 0) }
            _ = try retrying("setresuid") { setresuid(0, 0, 0) }
        }
        // Another user's process is not dumpable, which is what we want (see `Runtime.hide`). But a
        // user's `exec` finds the way in only through its files in /proc, and it is alone in its
        // new namespace; what comes later has fewer rights than it.
        if plan.rootless.isUser, plan.namespaces.hasNewUser {
            _ = linux_syscall(Int(SYS_prctl), Int(PR_SET_DUMPABLE), 1, 0, 0, 0, 0)
        }
    }

    /// Holds from execve(2) on, which enters the new time namespace (time_namespaces(7)).
    private func setClocks() throws(RuntimeError) {
        guard !plan.linux.timeOffsets.isEmpty else { return }
        if plan.namespaces.hasUser {
            try ask(.clocks)
            return
        }
        for (clock, offset) in plan.linux.timeOffsets {
            try during("set the offset of clock \(clock)") { () throws(SystemError) in
                try procfs.write(offset.line(of: clock), to: "self/timens_offsets")
            }
        }
    }

    /// Has the runtime do what takes the host's rights.
    @discardableResult
    private func ask(_ request: SyncMessage) throws(RuntimeError) -> PassedDescriptors {
        // The runtime listens after that only.
        try awaitGo()
        try during("ask the runtime") { () throws(SystemError) in try channel.send(request) }
        let answer = channel.await(.done)
        trace?.waited("for the runtime")
        return answer
    }

    private func setNames() throws(RuntimeError) {
        if let name = plan.config.hostname, !name.isEmpty {
            try during("set hostname \(name)") { () throws(SystemError) in
                _ = try retrying("sethostname") { sethostname(name, name.utf8.count) }
            }
            trace?.did("hostname", name)
        }
        if let name = plan.config.domainname, !name.isEmpty {
            try during("set domainname \(name)") { () throws(SystemError) in
                _ = try retrying("setdomainname") { setdomainname(name, name.utf8.count) }
            }
            trace?.did("domainname", name)
        }
    }

    // MARK: - Root file system

    private func prepareRootfs() throws(RuntimeError) -> Rootfs {
        let rootfs =
            MountStage.isNeeded
            ? try mountRootOnStage()
            : try Rootfs.mount(
                path: plan.rootfs, tree: rootTree, propagation: plan.propagation,
                inHost: !plan.namespaces.hasMount)
        trace?.did("mount", "\(plan.rootfs), the root")
        for (position, request) in plan.mounts.enumerated() {
            // The groups' directories have to be there.
            if request.isCgroup { try awaitGo() }
            if plan.namespaces.hasUser { try openSource(of: request, position) }
            try rootfs.mount(request, label: plan.linux.mountLabel, cgroups: plan.cgroupMounts)
            trace?.didMount(plan.config.mounts[position])
        }
        if !hasHostDev {
            try rootfs.makeDevices(plan.linux.devices, binding: plan.namespaces.hasUser)
            trace?.didMakeDevices(plan.linux.devices)
        }
        if plan.process.spec.terminal { try openTerminal(rootfs) }
        return rootfs
    }

    private func mountRootOnStage() throws(RuntimeError) -> Rootfs {
        guard plan.namespaces.hasMount else {
            throw RuntimeError(.unsupported, "a container without a mount namespace needs Linux 5.12")
        }
        try Rootfs.prepareMounts(plan.rootfs, plan.propagation)
        guard plan.namespaces.hasUser, plan.runtimeEnters else {
            return Rootfs(
                root: try during("mount the root file system \(plan.rootfs)") { () throws(SystemError) in
                    try Rootfs.mountOnStage(plan.rootfs, plan.propagation)
                })
        }
        // Only the runtime may reach it for certain.
        var opened = try ask(.mount(SyncMessage.rootPosition))
        guard let root = opened.takeFirst(), let stage = opened.takeFirst() else {
            throw RuntimeError(.system, "the runtime sent no root file system")
        }
        Mount.use(MountStage(inheriting: stage))
        return Rootfs(root: root)
    }

    /// A user namespace's root may be unable to reach a source, or to map its owners.
    private func openSource(of request: MountRequest, _ position: Int) throws(RuntimeError) {
        let options = request.options
        guard options.isBind, !options.isRemount else { return }
        if !options.mapsIDs {
            do throws(SystemError) {
                request.tree = try Mount.clone(request.source, recursive: options.isRecursive)
                return
            } catch {
                // The runtime has no more rights than this process.
                guard !plan.rootless.isUser else {
                    throw RuntimeError(.system, "open mount source", cause: error)
                }
            }
        }
        var opened = try ask(.mount(position))
        request.tree = opened.takeFirst()
        _ = request.takeUserNamespace()
    }

    /// A bind-mounted /dev is someone else's: nothing is made in it.
    private var hasHostDev: Bool {
        plan.mounts.contains { $0.destination == "/dev" && $0.options.isBind }
    }

    private func openTerminal(_ rootfs: Rootfs) throws(RuntimeError) {
        let console = try Console(rootfs: rootfs, devpts: rootfs.mount(at: "/dev/pts"))
        try console.attach(
            size: plan.process.spec.consoleSize, binding: hasHostDev ? nil : rootfs,
            keepsLineEnds: plan.options.keepsLineEnds)
        try during("hand over the terminal") { () throws(SystemError) in
            try channel.send(.terminal(console.name), descriptors: [console.master.raw])
        }
        trace?.did("terminal", console.name)
    }

    /// Read-only where the config says so, now that everything is in its place.
    private func finish(_ rootfs: Rootfs) throws(RuntimeError) {
        for request in plan.mounts
        where request.destination == "/dev" && !request.options.isBind && request.options.isReadOnly {
            guard let mount = rootfs.mount(at: "/dev") else { continue }
            try during("make /dev read-only") { () throws(SystemError) in try Mount.change(mount, .readOnly) }
        }
        if plan.config.root?.readonly ?? false {
            try during("make the root file system read-only") { () throws(SystemError) in
                try Mount.change(rootfs.root.raw, .readOnly)
            }
        }
    }

    // MARK: - Hooks and streams

    private func state(_ status: RuntimeState.Status) -> RuntimeState {
        RuntimeState(
            ociVersion: plan.config.ociVersion, id: plan.id, status: status, pid: getpid(),
            bundle: plan.bundle,
            annotations: plan.config.annotations)
    }

    private func runHooks(_ rootfs: Rootfs) throws(RuntimeError) {
        guard let hooks = plan.config.hooks else { return }
        if !hooks.prestart.isEmpty || !hooks.createRuntime.isEmpty {
            try ask(.hooks)
        }
        if !hooks.createContainer.isEmpty {
            // Relative paths are the root's, whose mounts are all there.
            let raw = rootfs.root.raw
            try during("enter the root for hooks") { () throws(SystemError) in
                _ = try retrying("chdir") { fchdir(raw) }
            }
            try HookRunner.run(hooks.createContainer, "createContainer", state: state(.created))
            trace?.did("hooks", "createContainer")
        }
    }

    private func startContainerHooks() throws(RuntimeError) {
        guard var hooks = plan.config.hooks?.startContainer, !hooks.isEmpty else { return }
        // Without an environment of its own it has the command's.
        for position in hooks.indices where hooks[position].env == nil {
            hooks[position].env = plan.process.spec.env
        }
        try HookRunner.run(hooks, "startContainer", state: state(.created), as: plan.process)
        trace?.did("hooks", "startContainer")
    }

    private func setStreams() throws(RuntimeError) {
        if plan.process.spec.terminal { return }
        try StandardStreams.set(plan.streams)
    }

    /// Who waits for long holds nothing of the host's, nor of the caller's, any more.
    private func closeOthers(keeping fifo: Int32) throws(RuntimeError) {
        var kept = [fifo, channel.raw]
        if let agent = plan.process.agent { kept += agent.descriptors }
        if let descriptor = plan.reporter.debugDescriptor { kept.append(descriptor) }
        try during("close descriptors") { () throws(SystemError) in
            var first = 3 + plan.process.preservedDescriptors
            for descriptor in kept.sorted() + [Int32.max] where descriptor >= first {
                if descriptor > first {
                    try FD.closeRange(first, through: descriptor - 1)
                }
                first = descriptor &+ 1
            }
        }
    }

    /// A FIFO that is open both ways here blocks readers and never ends.
    private func waitForStart(_ fifo: Int32) {
        // The first process of a PID namespace gets no signal that it has no handler for.
        for ending in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] { signal(ending) { _exit(128 + $0) } }
        try? channel.send(.waiting)
        var byte: UInt8 = 0
        while read(fifo, &byte, 1) != 1 {
            if Errno.current != .interrupted { _exit(1) }
        }
        close(fifo)
    }
}
