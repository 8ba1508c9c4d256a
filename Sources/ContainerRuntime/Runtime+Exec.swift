import JSONText
import LinuxSystem
public import OCISpec

/// How a process is added to a container, beside what its description says.
public struct ExecOptions: Sendable {
    /// What standard input, output and error become; nil keeps the caller's. Without a terminal.
    public var streams: [Int32?]
    /// A UNIX stream socket that the terminal's master is sent to; nil returns it.
    public var consoleSocket: String?
    public var pidFile: String?
    /// A UNIX stream socket that a descriptor of the process is sent to.
    public var pidfdSocket: String?
    public var preservedDescriptors: Int32
    /// Also in a paused container, where the process waits until that goes on.
    public var ignoresPaused: Bool
    /// A terminal leaves the ends of lines to the one that its output is printed on.
    public var keepsLineEnds = false
    /// Groups below the container's own to run in, by controller; the empty name is for all.
    public var cgroups: [String: String]

    public init(
        streams: [Int32?] = [nil, nil, nil], consoleSocket: String? = nil, pidFile: String? = nil,
        pidfdSocket: String? = nil, preservedDescriptors: Int32 = 0, ignoresPaused: Bool = false,
        cgroups: [String: String] = [:]
    ) {
        self.streams = streams
        self.consoleSocket = consoleSocket
        self.pidFile = pidFile
        self.pidfdSocket = pidfdSocket
        self.preservedDescriptors = preservedDescriptors
        self.ignoresPaused = ignoresPaused
        self.cgroups = cgroups
    }
}

/// A container, and the config that it was made with. What is done with it meets this one, even when
/// it is deleted meanwhile and another has its ID.
public struct OpenedContainer: ~Copyable {
    public let config: RuntimeConfig
    let directory: StateDirectory
}

extension Runtime {
    /// A container that is there.
    public func container(_ id: String) throws(RuntimeError) -> OpenedContainer {
        let directory = try StateDirectory(opening: id, root: root)
        return OpenedContainer(config: try Self.config(directory), directory: directory)
    }

    /// Runs another process in a container. On return its command has been executed.
    public func exec(
        _ spec: ProcessSpec, in container: borrowing OpenedContainer, options: ExecOptions = ExecOptions()
    ) throws(RuntimeError) -> CreatedContainer {
        let id = container.directory.id
        guard let record = try container.directory.record() else {
            throw RuntimeError(.wrongState, "cannot exec in a stopped container")
        }
        switch try Self.status(container.directory, record) {
        case .stopped: throw RuntimeError(.wrongState, "cannot exec in a stopped container")
        case .paused where !options.ignoresPaused:
            throw RuntimeError(
                .wrongState, "cannot exec in a paused container (use --ignore-paused to override)")
        default: break
        }
        guard spec.terminal || options.consoleSocket == nil else {
            throw RuntimeError(
                .invalidConfig, "cannot use console socket if the runtime will not allocate a tty")
        }
        guard let initial = try Self.open(record) else {
            throw RuntimeError(.wrongState, "cannot exec in a stopped container")
        }
        reporter.trace?.did("state", "read \(root)/\(id)")
        let linux = container.config.linux ?? LinuxSpec()
        try spec.user.check(in: linux)
        guard !rootless.isUser || spec.user.additionalGids.isEmpty else {
            throw RuntimeError(
                .invalidConfig, "cannot set any additional groups in a rootless container")
        }
        var plan = try self.plan(spec, linux, preservedDescriptors: options.preservedDescriptors)
        if plan.seccomp?.notifies ?? false, let profile = linux.seccomp {
            var state = try Self.state(container.directory, record)
            state.status = .running
            plan.agent = try SeccompAgent(profile, state: state)
        }
        var namespaces = linux.namespaces
        if record.hasTimeNamespace { namespaces.append(LinuxNamespace(.time)) }
        let cgroup = try Self.cgroup(record, below: options.cgroups)
        if let cgroup, let trace = reporter.trace {
            trace.did("cgroup", "find")
            trace.noteCgroups(cgroup.paths.map { ($0.key, $0.value) }.sorted { $0.key < $1.key }, nil)
        }
        var entry = ContainerEntry(
            id: id, record: record, plan: plan, namespaces: namespaces, options: options,
            cgroup: cgroup, entrance: try? cgroup?.openEntrance(),
            affinity: try CPUAffinity.Plan(spec.execCPUAffinity), rootless: rootless, debug: reporter.debug,
            trace: reporter.trace)
        do throws(RuntimeError) {
            do throws(RuntimeError) {
                return try entry.enter(initial.raw)
            } catch  where error.cause?.operation == "clone3" && entry.entrance != nil {
                guard options.cgroups.isEmpty else {
                    throw RuntimeError(
                        .system, "error adding pid of the process to cgroups", cause: error.cause)
                }
                // A v2 group with groups below may take no process in: then it goes where the first is.
                entry.entrance = nil
                return try entry.enter(initial.raw)
            }
        } catch {
            throw error.under("exec failed")
        }
    }

    /// The group that an added process enters.
    private static func cgroup(
        _ record: StateRecord, below paths: [String: String]
    ) throws(RuntimeError) -> Cgroup? {
        let cgroup = try cgroup(record)
        guard !paths.isEmpty, let cgroup else { return cgroup }
        do throws(CgroupError) {
            return try cgroup.below(paths)
        } catch {
            throw RuntimeError(.system, "error adding pid of the process to cgroups: \(error)")
        }
    }
}
