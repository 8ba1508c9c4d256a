public import ContainerMonitor
import LinuxSystem

/// Which of a container's streams a client takes part in.
public struct AttachedStreams: Sendable {
    public var stdin: Bool
    public var stdout: Bool
    public var stderr: Bool

    public init(stdin: Bool = false, stdout: Bool = true, stderr: Bool = true) {
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
    }
}

extension Engine {
    /// Starts a container in the background. One that runs is left alone.
    public func start(_ record: ContainerRecord) throws(EngineError) {
        let lock = try lockForStart(record)
        guard let monitor = try launch(record, lock: lock.raw) else { return }
        do throws(MonitorError) {
            try monitor.start()
        } catch {
            takeDown(record.id)
            throw EngineError(error)
        }
        _ = consume lock
    }

    /// Starts a container and takes part in its streams until it ends or the user leaves.
    /// - Returns: what a program that ran it exits with.
    public func startAttached(
        _ record: ContainerRecord, streams: AttachedStreams, detachKeys: DetachKeys, signalProxy: Bool
    ) throws(EngineError) -> Int32 {
        let client: AttachClient
        do {
            let lock = try lockForStart(record)
            guard let monitor = try launch(record, lock: lock.raw) else {
                throw EngineError(.conflict, "container \(record.name) is running: attach to it")
            }
            do throws(MonitorError) {
                var options = options(streams, detachKeys, signalProxy)
                options.isForeground = true
                options.cleansUp = true
                client = try AttachClient.connect(attachSocket(of: record.id), options)
                try monitor.start()
            } catch {
                takeDown(record.id)
                throw EngineError(error)
            }
            _ = consume lock
        }
        return try follow(client, record, cleansUp: true)
    }

    /// Takes part in the streams of a container that runs.
    public func attach(
        _ record: ContainerRecord, streams: AttachedStreams, detachKeys: DetachKeys, signalProxy: Bool
    ) throws(EngineError) -> Int32 {
        let status = try status(of: record.id)
        guard let status, status.monitor != nil else {
            throw EngineError(
                .conflict,
                status?.process == nil
                    ? "container \(record.name) is not running: you can only attach to running containers"
                    : "container \(record.name) runs, but its monitor was killed and its streams went with it"
            )
        }
        var streams = streams
        streams.stdin = streams.stdin && record.spec.openStdin
        let client = try engineErrors {
            try AttachClient.connect(attachSocket(of: record.id), options(streams, detachKeys, signalProxy))
        }
        return try follow(client, record, cleansUp: false)
    }

    private func options(
        _ streams: AttachedStreams, _ detachKeys: DetachKeys, _ signalProxy: Bool
    ) -> AttachClient.Options {
        var options = AttachClient.Options()
        options.stdin = streams.stdin
        options.stdout = streams.stdout
        options.stderr = streams.stderr
        options.detachKeys = detachKeys
        options.signalProxy = signalProxy
        return options
    }

    private func follow(_ client: AttachClient, _ record: ContainerRecord, cleansUp: Bool) throws(EngineError)
        -> Int32
    {
        let outcome = try engineErrors { try client.run() }
        switch outcome {
        case .exited(let code):
            if cleansUp {
                // With a restart policy the monitor goes on, and cleans up itself one day.
                if record.spec.restart == .no {
                    try cleanUp(record.id, remove: record.spec.autoRemove)
                    client.confirmCleanup()
                }
            } else {
                try awaitCleanup(record)
            }
            return code
        case .detached, .outputClosed:
            return 0
        case .interrupted(let signal):
            return 128 + signal
        case .dropped:
            throw EngineError(
                .failed,
                "container \(record.name): this terminal was too slow and was dropped; the container runs on")
        case .monitorDied:
            throw EngineError(.failed, "container \(record.name): its monitor was killed; see `apus ps`")
        }
    }

    /// Whoever looks after an attached run's end finds it cleaned up.
    private func awaitCleanup(_ record: ContainerRecord) throws(EngineError) {
        guard record.spec.restart == .no, let monitor = try status(of: record.id)?.monitor,
            let handle = ProcessHandle(monitor)
        else { return }
        _ = handle.waitForEnd(milliseconds: 5000)
    }

    private func lockForStart(_ record: ContainerRecord) throws(EngineError) -> FileLock {
        guard let lock = try lockAfterLastRun(record) else { throw .noContainer(record.name) }
        return lock
    }

    /// Sets a container up and starts its monitor, which has created it and waits for the word.
    /// - Returns: nil when it runs already, or will when its restart is due.
    private func launch(_ record: ContainerRecord, lock: Int32) throws(EngineError) -> MonitorProcess? {
        if let status = try status(of: record.id), status.monitor != nil || status.process != nil {
            return nil
        }
        // What a killed monitor's run left would be in the way.
        deleteFromRuntime(record)
        takeDown(record.id)
        let prepared = try prepareStart(record)
        do throws(EngineError) {
            let program = try programs.find("apus-monitor")
            let monitor = try engineErrors {
                let monitor = try MonitorProcess.launch(
                    program, prepared.request, descriptors: prepared.descriptors, lock: lock)
                try monitor.waitUntilCreated()
                return monitor
            }
            return withExtendedLifetime(prepared) { monitor }
        } catch {
            takeDown(record.id)
            throw error
        }
    }
}
