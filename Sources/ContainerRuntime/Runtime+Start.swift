import JSONText
import LinuxSystem
import OCISpec

extension Runtime {
    /// Lets a created container's process execute its command. Whether that
    /// succeeds is seen in how the process ends.
    public func start(_ id: String) throws(RuntimeError) {
        let directory = try StateDirectory(opening: id, root: root)
        try directory.lock()
        let record = try directory.record()
        let state = try Self.state(directory, record)
        switch state.status {
        case .created: break
        case .stopped:
            throw RuntimeError(.wrongState, "cannot start a container that has stopped")
        case .running, .paused:
            throw RuntimeError(.wrongState, "cannot start an already running container")
        case .creating:
            throw RuntimeError(.wrongState, "cannot start a container in the creating state")
        }
        if record?.lacksProcess ?? false {
            throw RuntimeError(.invalidConfig, "cannot start a container whose config has no process")
        }
        try during("start container \(id)") { () throws(SystemError) in
            // No reader is an error (fifo(7), ENXIO): then the process is dead.
            let fifo = try File.open(
                StateRecord.fifoName, at: directory.raw, O_WRONLY | O_NONBLOCK | O_NOFOLLOW)
            try FD.writeAll(fifo.raw, "0")
            try File.unlink(StateRecord.fifoName, at: directory.raw)
        }
        try runPoststart(id, directory)
    }

    /// Lets the process of a container that this process has made execute its
    /// command, and waits until it has.
    /// - Throws: `.commandNotFound` and `.commandNotExecutable` too.
    public func start(_ id: String, _ container: inout CreatedContainer) throws(RuntimeError) {
        try start(id)
        guard let socket = container.channel.take() else { return }
        let channel = SyncChannel(socket)
        var isExecuting = false
        while true {
            let received = try during("talk to the container's process") { () throws(SystemError) in
                try channel.receive()
            }
            if isExecuting, let message = received.message, !message.mayFollowExecuting {
                throw RuntimeError(.system, "the container's process broke the protocol")
            }
            switch received.message {
            case nil:
                if isExecuting { return }
                throw RuntimeError(.system, "the container's process ended before it executed its command")
            case .executing: isExecuting = true
            case .failed(let error): throw error
            case .launchFailed(let failure): throw failure.error(command: try command(id))
            default: throw RuntimeError(.system, "the container's process broke the protocol")
            }
        }
    }

    private func command(_ id: String) throws(RuntimeError) -> String {
        let directory = try StateDirectory(opening: id, root: root)
        return try Self.config(directory).process?.args.first ?? ""
    }

    private func runPoststart(_ id: String, _ directory: borrowing StateDirectory) throws(RuntimeError) {
        guard let hooks = try Self.config(directory).hooks, !hooks.poststart.isEmpty else { return }
        do throws(RuntimeError) {
            try HookRunner.run(
                hooks.poststart, "poststart", state: try Self.state(directory, try directory.record()))
        } catch {
            // config.md, "Poststart": the container is to be stopped.
            if let record = try directory.record(), let process = try Self.open(record) {
                try? Pidfd.send(SIGKILL, to: process.raw)
            }
            throw error
        }
    }

    /// The config with which the container was made.
    static func config(_ directory: borrowing StateDirectory) throws(RuntimeError) -> RuntimeConfig {
        let raw = directory.raw
        let text = try during("read the config of container \(directory.id)") { () throws(SystemError) in
            try File.read(StateRecord.configName, at: raw, limit: 16 << 20)
        }
        return try Bundle.parse(text)
    }
}
