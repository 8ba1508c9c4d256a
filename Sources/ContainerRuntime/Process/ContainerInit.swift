import JSONText
import LinuxSystem
import OCISpec

/// All that the container's first process needs, decided before it exists.
struct InitPlan {
    var id: String
    var bundle: String
    var config: RuntimeConfig
    var rootfs: String
    var process: ProcessPlan
    var mounts: [MountRequest]
    var namespaces: NamespacePlan
    var cgroupMounts: CgroupMounts
    var propagation: Rootfs.Propagation?
    /// What its standard streams become; nil keeps the runtime's.
    var streams: [Int32?]
    var options: CreateOptions
    /// Where `start` is waited for; nil starts at once.
    var startFIFO: HeldDescriptor?
    /// Descriptors of the runtime's that would keep something alive here.
    var foreign: [Int32]
    /// The group was complete before the process was made; otherwise the way into
    /// it comes with the word to go on.
    var entrance: CgroupEntrance?
    var isBornInCgroup: Bool

    var linux: LinuxSpec { config.linux ?? LinuxSpec() }
}

/// What the container's first process does before it becomes the container's
/// command. The order is explained where it matters; `SyncMessage` shows the
/// conversation.
final class ContainerInit {
    private var plan: InitPlan
    private let channel: SyncChannel
    private let procfs: Procfs
    private let rootTree: Int32?
    private var mayGo = false

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
        // The runtime's end of the channel above all: with a copy here its death would go unnoticed.
        for fd in plan.foreign { close(fd) }
        SignalMask.reset()
        umask(0)
        setsid()
        if let entrance = plan.entrance { try join(entrance.enter(alreadyInUnified: plan.isBornInCgroup)) }
        if plan.namespaces.hasNewUser { channel.await(.mapped) }
        if plan.namespaces.hasUser { try becomeRoot() }
        try plan.namespaces.enter(withCgroup: plan.entrance != nil)
        if plan.namespaces.isNew(.time) { try setClocks() }
        if plan.namespaces.isNew(.network) { try LoopbackInterface.bringUp() }
        if !plan.options.noNewKeyring { try SessionKeyring.join("_ses.\(plan.id)") }
        try setNames()

        let rootfs = try prepareRootfs()
        try awaitGo()
        try runHooks(rootfs)
        try rootfs.mask(plan.linux.maskedPaths)
        try rootfs.makeReadOnly(plan.linux.readonlyPaths)
        if plan.namespaces.list.contains(where: { $0.type == .mount }) {
            try rootfs.enter(propagation: plan.propagation, withoutPivot: plan.options.noPivot)
        } else {
            try rootfs.change()
        }
        try finish(rootfs)
        try Sysctl.write(plan.linux.sysctl, procfs)
        try plan.process.applyToSelf(procfs)
        try setStreams()
        try plan.process.ownStreams()
        plan.process.settleEnvironment()
        try plan.process.enterWorkingDirectory(root: rootfs.root.raw, making: true)
        let command = try plan.process.findCommand()
        waitForStart()
        try startContainerHooks()
        try plan.process.launch(command, channel: channel)
    }

    private func join(_ errno: Int32) throws(RuntimeError) {
        if errno != 0 {
            throw RuntimeError(.system, "join the cgroup", cause: SystemError("write", "", Errno(errno)))
        }
    }

    /// The state is written when this returns, the group complete and joined.
    private func awaitGo() throws(RuntimeError) {
        if mayGo { return }
        mayGo = true
        var tasks = channel.await(.go)
        guard plan.entrance == nil else { return }
        try join(CgroupEntrance(receiving: &tasks).enter(alreadyInUnified: true))
        // Only now: its root is the group that we are in.
        try plan.namespaces.enterCgroup()
    }

    /// Root of the user namespace, whose files the mounts below belong to.
    private func becomeRoot() throws(RuntimeError) {
        try during("become root in the user namespace") { () throws(SystemError) in
            _ = try retrying("setresgid") { setresgid(0, 0, 0) }
            _ = try retrying("setresuid") { setresuid(0, 0, 0) }
        }
        // Another user's process is not dumpable, which is what we want (see `Runtime.hide`).
    }

    /// Holds from execve(2) on, which enters the new time namespace (time_namespaces(7)).
    private func setClocks() throws(RuntimeError) {
        for (clock, offset) in plan.linux.timeOffsets {
            try during("set the offset of clock \(clock)") { () throws(SystemError) in
                try procfs.write("\(clock) \(offset.secs) \(offset.nanosecs)", to: "self/timens_offsets")
            }
        }
    }

    private func setNames() throws(RuntimeError) {
        if let name = plan.config.hostname, !name.isEmpty {
            try during("set hostname \(name)") { () throws(SystemError) in
                _ = try retrying("sethostname") { sethostname(name, name.utf8.count) }
            }
        }
        if let name = plan.config.domainname, !name.isEmpty {
            try during("set domainname \(name)") { () throws(SystemError) in
                _ = try retrying("setdomainname") { setdomainname(name, name.utf8.count) }
            }
        }
    }

    // MARK: - Root file system

    private func prepareRootfs() throws(RuntimeError) -> Rootfs {
        guard plan.namespaces.list.contains(where: { $0.type == .mount }) else {
            let path = plan.rootfs
            return Rootfs(
                root: try during("open the root file system") { () throws(SystemError) in
                    try File.open(path, O_PATH | O_DIRECTORY)
                })
        }
        let rootfs = try Rootfs.mount(
            path: plan.rootfs, tree: rootTree, propagation: plan.propagation)
        for request in plan.mounts {
            // The groups' directories have to be there.
            if request.isCgroup { try awaitGo() }
            try rootfs.mount(request, label: plan.linux.mountLabel, cgroups: plan.cgroupMounts)
        }
        if !hasHostDev {
            try rootfs.makeDevices(plan.linux.devices, binding: plan.namespaces.hasUser)
        }
        if plan.process.spec.terminal { try openTerminal(rootfs) }
        return rootfs
    }

    /// A bind-mounted /dev is someone else's: nothing is made in it.
    private var hasHostDev: Bool {
        plan.mounts.contains { $0.destination == "/dev" && $0.options.isBind }
    }

    private func openTerminal(_ rootfs: Rootfs) throws(RuntimeError) {
        let console = try Console(rootfs: rootfs, devpts: rootfs.mount(at: "/dev/pts"))
        try console.attach(size: plan.process.spec.consoleSize, binding: hasHostDev ? nil : rootfs)
        try during("hand over the terminal") { () throws(SystemError) in
            try channel.send(.terminal(console.name), descriptors: [console.master.raw])
        }
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
            try during("ask for hooks") { () throws(SystemError) in try channel.send(.hooks) }
            channel.await(.hooked)
        }
        if !hooks.createContainer.isEmpty {
            // Relative paths are the root's, whose mounts are all there.
            let raw = rootfs.root.raw
            try during("enter the root for hooks") { () throws(SystemError) in
                _ = try retrying("chdir") { fchdir(raw) }
            }
            try HookRunner.run(hooks.createContainer, "createContainer", state: state(.creating))
        }
    }

    private func startContainerHooks() throws(RuntimeError) {
        guard var hooks = plan.config.hooks?.startContainer, !hooks.isEmpty else { return }
        // Without an environment of its own it has the command's.
        for position in hooks.indices where hooks[position].env == nil {
            hooks[position].env = plan.process.spec.env
        }
        try HookRunner.run(hooks, "startContainer", state: state(.created))
    }

    private func setStreams() throws(RuntimeError) {
        if plan.process.spec.terminal { return }
        try StandardStreams.set(plan.streams)
    }

    /// A FIFO that is open both ways here blocks readers and never ends.
    private func waitForStart() {
        guard let fifo = plan.startFIFO?.descriptor.raw else { return }
        try? channel.send(.waiting)
        var byte: UInt8 = 0
        while read(fifo, &byte, 1) != 1 {
            if Errno.current != .interrupted { _exit(1) }
        }
        close(fifo)
    }
}

/// Puts descriptors in the places of the standard streams.
enum StandardStreams {
    static func set(_ streams: [Int32?]) throws(RuntimeError) {
        try during("set the standard streams") { () throws(SystemError) in
            // Out of the way first: one may stand where another has to go.
            var lifted: [(source: Int32, place: Int32)] = []
            for (place, stream) in streams.enumerated() {
                guard let stream else { continue }
                let copy = try checked("duplicate descriptor", "\(stream)") {
                    linux_fcntl(stream, F_DUPFD_CLOEXEC, 64)
                }
                lifted.append((copy, Int32(place)))
            }
            for (source, place) in lifted { _ = try retrying("dup3") { dup3(source, place, 0) } }
        }
    }
}
