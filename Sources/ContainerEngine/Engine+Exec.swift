public import ContainerMonitor
import ContainerRuntime
import JSONText
import LayerArchive
import LinuxSystem
import OCISpec

/// A further process in a container.
public struct ExecRequest: Sendable {
    public var command: [String]
    public var environment: [String] = []
    public var workingDirectory: String?
    public var user: String?
    public var terminal = false
    public var openStdin = false
    public var detach = false
    public var privileged = false
    public var detachKeys = DetachKeys.standard

    public init(command: [String]) { self.command = command }
}

extension Engine {
    /// Runs a command in a running container, with our streams or a terminal of its own.
    /// - Returns: its exit code; 0 when it was left or runs in the background.
    public func exec(_ record: ContainerRecord, _ request: ExecRequest) throws(EngineError) -> Int32 {
        guard let status = try status(of: record.id), status.phase == .running, status.process != nil else {
            throw EngineError(.conflict, "container \(record.name) is not running: start it first")
        }
        let process = try execProcess(record, request)
        if let program = record.spec.runtime { return try exec(record, request, process, by: program) }
        var options = ExecOptions()
        let null = try engineErrors { SharedDescriptor(try File.open("/dev/null", O_RDWR)) }
        if request.detach {
            options.streams = [null.raw, null.raw, null.raw]
        } else if !request.openStdin {
            options.streams[0] = null.raw
        }
        var child: CreatedContainer
        do throws(RuntimeError) {
            let runtime = Runtime(root: runtimeRoot)
            child = try runtime.exec(process, in: runtime.container(record.id), options: options)
        } catch {
            throw EngineError(error)
        }
        if request.detach { return 0 }
        if let terminal = child.takeTerminal() {
            let outcome = try engineErrors {
                try StreamRelay.run(
                    terminal: terminal.raw, process: child.pidfd.raw, reads: request.openStdin,
                    detachKeys: request.detachKeys)
            }
            if outcome == .detached { try engineErrors { try TerminalKeeper.start(terminal.raw) } }
            guard case .exited = outcome else { return 0 }
        } else {
            ForwardedSignals.begin(to: child.pidfd.raw)
        }
        return try engineErrors { try Spawn.wait(child.pid).exitCode }
    }

    /// By another OCI runtime's `exec`, which keeps our streams.
    private func exec(
        _ record: ContainerRecord, _ request: ExecRequest, _ process: ProcessSpec, by program: String
    ) throws(EngineError) -> Int32 {
        let document = "\(stateDirectory(of: record.id))/exec-\(getpid()).json"
        let log = document + ".log"
        return try engineErrors("exec in \(record.name)") {
            try File.replace(document, with: process.json.bytes(), mode: 0o600, durable: false)
            defer {
                try? File.unlink(document)
                try? File.unlink(log)
            }
            var arguments = [
                program, "--root", runtimeRoot, "--log", log, "--log-format", "json", "exec", "--process",
                document,
            ]
            if request.detach { arguments.append("--detach") }
            let pid = try Spawn.start(
                program, arguments + [record.id],
                descriptors: request.detach ? [nil, nil, nil] : [request.openStdin ? 0 : nil, 1, 2])
            let code = try Spawn.wait(pid).exitCode
            // What the runtime exits with when it failed itself may be the command's code as well.
            if code != 0, let failure = RuntimeLog.failure(log, of: "\(program) exec") { throw failure }
            return code
        }
    }

    /// The process that an exec runs: the container's own, with other words.
    func execProcess(_ record: ContainerRecord, _ request: ExecRequest) throws(EngineError) -> ProcessSpec {
        let config = try engineErrors("container \(record.name)") {
            try RuntimeConfig(
                json: JSON(parsing: File.read("\(directory(of: record.id))/config.json", limit: 16 << 20)))
        }
        guard var process = config.process, let rootfs = config.root?.path else {
            throw EngineError(.failed, "container \(record.name): its config.json has no process")
        }
        process.args = request.command
        process.terminal = request.terminal
        process.env = merged(process.env, request.environment, terminal: request.terminal)
        if let directory = request.workingDirectory {
            guard directory.hasPrefix("/") else {
                throw EngineError(
                    .invalid, "the working directory \"\(directory)\" is invalid: it must be an absolute path"
                )
            }
            process.cwd = directory
        }
        process.user.umask = nil
        if let text = request.user {
            let user = try engineErrors {
                let root = try File.open(rootfs, O_RDONLY | O_DIRECTORY)
                return try ContainerUser.resolve(text, root: root.raw)
            }
            process.user.uid = user.uid
            process.user.gid = user.gid
            process.user.additionalGids = [user.gid] + user.additionalGids
            process.env = merged(
                process.env.filter { !$0.hasPrefix("HOME=") }, ["HOME=\(user.home)"], terminal: false)
            let bounding = process.capabilities?.bounding ?? []
            process.capabilities =
                user.uid == 0
                ? Capabilities(bounding: bounding, effective: bounding, permitted: bounding)
                : Capabilities(bounding: bounding)
        }
        if request.privileged {
            let all = try CapabilitySet.effective(add: [], drop: [], privileged: true)
            process.capabilities = Capabilities(bounding: all, effective: all, permitted: all)
        }
        return process
    }

    private func merged(_ base: [String], _ extra: [String], terminal: Bool) -> [String] {
        var result = base
        func set(_ entry: String, replace: Bool) {
            let name = entry.prefix { $0 != "=" } + "="
            if let index = result.firstIndex(where: { $0.hasPrefix(name) }) {
                if replace { result[index] = entry }
            } else {
                result.append(entry)
            }
        }
        if terminal { set("TERM=xterm", replace: false) }
        for entry in extra { set(entry, replace: true) }
        return result
    }
}
