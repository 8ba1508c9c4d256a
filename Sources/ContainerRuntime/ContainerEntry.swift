import LinuxSystem
import OCISpec

/// A process that joins a container which runs already.
struct ContainerEntry {
    var id: String
    var record: StateRecord
    var plan: ProcessPlan
    var namespaces: [LinuxNamespace]
    var options: ExecOptions
    var cgroup: Cgroup?
    var entrance: CgroupEntrance?
    var affinity: CPUAffinity.Plan
    var rootless: Rootless
    var debug: (@Sendable (String) -> Void)?
    var trace: Trace?

    /// - Parameter initial: the container's first process.
    func enter(_ initial: Int32) throws(RuntimeError) -> CreatedContainer {
        let procfs = try during("open /proc") { () throws(SystemError) in try Procfs() }
        let ends = try during("make the channel") { () throws(SystemError) in try UnixSocket.pair() }
        var root: Descriptor?
        if !namespaces.contains(where: { $0.type == .mount }) || record.noPivot {
            // The root of its mount namespace is not its root.
            root = try during("open the container's root") { () throws(SystemError) in
                try File.open("/proc/\(record.pid)/root", O_PATH | O_DIRECTORY)
            }
        }
        let ours = ends.first.raw
        let theirs = ends.second.raw
        let child = try CPUAffinity.during(affinity.initial) { () throws(RuntimeError) in
            try clone(initial, channel: theirs, foreign: ours, procfs: procfs.raw, root: root?.raw)
        }
        trace?.did(
            "clone",
            Trace.names(
                namespaces.contains { $0.type == .pid } ? LinuxNamespace.Kind.pid.flag : 0, entrance != nil))
        let channel = SyncChannel(ends.first)
        _ = consume ends.second
        do throws(RuntimeError) {
            let terminal = try accompany(child.pid, channel)
            try PIDFile.write(child.pid, to: options.pidFile)
            try PidfdSocket.send(child.pidfd.raw, to: options.pidfdSocket)
            return CreatedContainer(pid: child.pid, pidfd: child.pidfd, terminal: terminal, channel: nil)
        } catch {
            child.abandon()
            throw error
        }
    }

    private func clone(
        _ initial: Int32, channel: Int32, foreign: Int32, procfs: Int32, root: Int32?
    ) throws(RuntimeError) -> ChildProcess {
        // Before the process exists in the container's PID namespace (CVE-2016-9962).
        Runtime.hide()
        let flags = needsHelper ? UInt64(CLONE_PARENT) : 0
        func start(into target: Int32?) throws(SystemError) -> ChildProcess {
            try Clone.process(flags: flags, cgroup: target) {
                EntryProcess(
                    entry: self, initial: initial, foreign: foreign, channel: channel, procfs: procfs,
                    root: root
                ).run()
            }
        }
        func start() throws(SystemError) -> ChildProcess {
            guard entrance != nil, let target = cgroup?.joinTarget else { return try start(into: nil) }
            return try start(into: target)
        }
        return try during("make a process in the container") { () throws(SystemError) in
            func startByHelper(user: Int32, pid: Int32) throws(SystemError) -> ChildProcess {
                try UserNamespace.child(
                    of: user,
                    before: { () throws(SystemError) in try plan.writeOOMScore(below: procfs) }
                ) { () throws(SystemError) in
                    if namespaces.contains(where: { $0.type == .pid }) {
                        try Namespace.join(pid, kinds: LinuxNamespace.Kind.pid.flag)
                    }
                    return try start()
                }
            }
            if needsHelper {
                do throws(SystemError) {
                    return try startByHelper(user: initial, pid: initial)
                } catch  where error.operation == UserNamespace.entering && error.errno == .invalid {
                    // Before Linux 5.8 setns(2) takes no pidfd.
                    let user = try Namespace.open("user", of: record.pid, heldBy: initial)
                    let pid = try Namespace.open("pid", of: record.pid, heldBy: initial)
                    return try startByHelper(user: user.raw, pid: pid.raw)
                }
            }
            guard namespaces.contains(where: { $0.type == .pid }) else { return try start() }
            do throws(SystemError) {
                return try PIDNamespace.forChildren(initial) { () throws(SystemError) in try start() }
            } catch  where error.operation == "setns" && error.errno == .invalid {
                // Before Linux 5.8 setns(2) takes no pidfd.
                let namespace = try Namespace.open("pid", of: record.pid, heldBy: initial)
                return try PIDNamespace.forChildren(namespace.raw) { () throws(SystemError) in try start() }
            }
        }
    }

    /// Whether rights over the container's namespaces are to be had in its user namespace only.
    var needsHelper: Bool { rootless.isUser && namespaces.contains { $0.type == .user } }

    private func accompany(_ pid: pid_t, _ channel: borrowing SyncChannel) throws(RuntimeError) -> Descriptor?
    {
        if let cgroup, entrance == nil {
            do throws(CgroupError) {
                try cgroup.add(pid: pid, initPid: record.pid)
            } catch  where cgroup.isRootless && error.errno != nil {
                // Others may have come to own the group meanwhile.
            } catch {
                throw RuntimeError(.system, "\(error)")
            }
            trace?.did("cgroup", "move the process in")
        }
        if let group = record.resctrl, group.exists { try group.add(pid) }
        try during("talk to the new process") { () throws(SystemError) in try channel.send(.go) }
        var terminal: Descriptor?
        var isExecuting = false
        while true {
            var received = try during("talk to the new process") { () throws(SystemError) in
                try channel.receive()
            }
            if isExecuting, let message = received.message, !message.mayFollowExecuting {
                throw RuntimeError(.system, "the new process broke the protocol")
            }
            switch received.message {
            case nil:
                if isExecuting {
                    trace?.executed(plan.spec.args.joined(separator: " "))
                    return terminal
                }
                throw RuntimeError(.system, "the new process ended while it was set up")
            case .failed(let error): throw error
            case .launchFailed(let failure): throw failure.error(command: plan.spec.args[0])
            case .executing: isExecuting = true
            case .terminal(let name):
                terminal = received.descriptors.takeFirst()
                if let path = options.consoleSocket, let master = terminal.take() {
                    try ConsoleSocket.send(master.raw, name: name, to: path)
                }
            default: throw RuntimeError(.system, "the new process broke the protocol")
            }
        }
    }
}

/// What the added process does before it becomes its command.
final class EntryProcess {
    private var entry: ContainerEntry
    private let initial: Int32
    private let foreign: Int32
    private let channel: SyncChannel
    private let procfs: Procfs
    private let root: Int32?

    /// The numbers are of descriptors that this process has from its parent.
    init(entry: ContainerEntry, initial: Int32, foreign: Int32, channel: Int32, procfs: Int32, root: Int32?) {
        self.entry = entry
        self.initial = initial
        self.foreign = foreign
        self.channel = SyncChannel(Descriptor(owning: channel))
        self.procfs = Procfs(inheriting: procfs)
        self.root = root
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
        let trace = entry.trace
        trace?.enterContainer()
        close(foreign)
        SignalMask.reset()
        umask(0)
        setsid()
        if let debug = entry.debug {
            let mask = (try? CPUAffinity.current.hexadecimal) ?? "unknown"
            debug("nsexec[\(getpid())]: => nsexec container setup")
            debug("nsexec[\(getpid())]: affinity: \(mask)")
        }
        channel.await(.go)
        trace?.waited("for the runtime")
        if let entrance = entry.entrance {
            let errno = entrance.enter(alreadyInUnified: entry.cgroup?.joinTarget != nil)
            if errno != 0 {
                throw RuntimeError(.system, "join the cgroup", cause: SystemError("write", "", Errno(errno)))
            }
        }
        if entry.entrance != nil { trace?.did("cgroup", "join") }
        try entry.affinity.finish()
        try entry.plan.agent?.prepare(procfs)
        // Through the host's procfs, while its rights are the host's.
        try entry.plan.applyToSelf(procfs, isAdjusted: entry.needsHelper)
        trace?.did("process", "affinity, score of the OOM killer, personality, scheduling")
        try joinNamespaces()
        trace?.did("namespaces", "join " + entry.namespaces.map(\.type.rawValue).joined(separator: ", "))
        entry.debug?("child process in init()")
        try SessionKeyring.join("_ses.\(entry.id)")
        trace?.did("keyring", "join a new one")
        try enterRoot()
        let slash = try during("open the container's root") { () throws(SystemError) in
            try File.open("/", O_PATH | O_DIRECTORY)
        }
        let rootfs = Rootfs(root: slash)
        if entry.plan.spec.terminal {
            let console = try Console(rootfs: rootfs, devpts: nil)
            try console.attach(
                size: entry.plan.spec.consoleSize, binding: nil, keepsLineEnds: entry.options.keepsLineEnds)
            try during("hand over the terminal") { () throws(SystemError) in
                try channel.send(.terminal(console.name), descriptors: [console.master.raw])
            }
        } else {
            try StandardStreams.set(entry.options.streams)
        }
        try entry.plan.ownStreams(root: rootfs.root.raw)
        entry.plan.settleEnvironment(root: rootfs.root.raw)
        try entry.plan.enterWorkingDirectory(root: rootfs.root.raw, making: false)
        let command = try entry.plan.findCommand()
        trace?.did("command", "\(command) in \(entry.plan.spec.cwd)")
        trace?.didPrepareLaunch(entry.plan)
        entry.debug?("setns_init: about to exec")
        try entry.plan.launch(command, channel: channel, debug: entry.debug)
    }

    /// All of the first process's namespaces at once (setns(2), pidfds). The PID
    /// namespace is ours since birth.
    private func joinNamespaces() throws(RuntimeError) {
        var kinds: Int32 = 0
        for namespace in entry.namespaces where namespace.type != .pid { kinds |= namespace.type.flag }
        if entry.needsHelper { kinds &= ~LinuxNamespace.Kind.user.flag }
        try during("join the container's namespaces") { () throws(SystemError) in
            do throws(SystemError) {
                if kinds != 0 { try Namespace.join(initial, kinds: kinds) }
            } catch  where error.errno == .invalid {
                // Before Linux 5.8 setns(2) takes no pidfd.
                try joinOneByOne(kinds)
            } catch  where error.errno == .notPermitted && kinds & LinuxNamespace.Kind.user.flag != 0 {
                try joinOneByOne(kinds)
            }
            if entry.namespaces.contains(where: { $0.type == .user }) {
                _ = try retrying("setresgid") { setresgid(0, 0, 0) }
                _ = try retrying("setresuid") { setresuid(0, 0, 0) }
            }
        }
    }

    /// Some may belong to another user namespace than the one to join, where its root has no
    /// rights; others belong to that one, and take its root's.
    private func joinOneByOne(_ kinds: Int32) throws(SystemError) {
        // The mount namespace last: it may be one without the /proc that the others are found in.
        let order: [LinuxNamespace.Kind] = [.ipc, .uts, .network, .cgroup, .time, .mount, .user]
        var files: [(kind: LinuxNamespace.Kind, file: HeldDescriptor)] = []
        for kind in order where kinds & kind.flag != 0 {
            let file = try Namespace.open(kind.fileName, of: entry.record.pid, heldBy: initial)
            files.append((kind, HeldDescriptor(file)))
        }
        var rest: [(kind: LinuxNamespace.Kind, file: HeldDescriptor)] = []
        for (kind, file) in files {
            do throws(SystemError) {
                try Namespace.join(file.descriptor.raw, kinds: kind.flag)
            } catch {
                guard kind != .user, kinds & LinuxNamespace.Kind.user.flag != 0 else { throw error }
                rest.append((kind, file))
            }
        }
        for (kind, file) in rest { try Namespace.join(file.descriptor.raw, kinds: kind.flag) }
    }

    private func enterRoot() throws(RuntimeError) {
        guard let raw = root else { return }
        try during("enter the container's root") { () throws(SystemError) in
            _ = try retrying("fchdir") { fchdir(raw) }
            _ = try retrying("chroot") { chroot(".") }
        }
    }
}
