import ContainerMonitor
import ContainerRuntime
import LayerArchive
import LinuxSystem
import OCISpec

extension Engine {
    /// Docker's default between the stop signal and SIGKILL, in seconds.
    static let defaultStopTimeout = 10

    /// Asks the container's process to end, and ends it when it does not.
    /// A container that does not run is left as it is.
    /// - Parameters:
    ///   - timeout: seconds until SIGKILL; nil for the container's own, negative for never.
    ///   - signal: instead of the container's or the image's stop signal.
    public func stop(_ record: ContainerRecord, timeout: Int? = nil, signal: Int32? = nil) throws(EngineError)
    {
        guard let status = try status(of: record.id) else { return }
        guard status.monitor != nil || status.process != nil else { return }
        try requestStop(record)
        let timeout = timeout ?? record.spec.stopTimeout ?? Self.defaultStopTimeout
        // Between two runs of a restarting container there is only its monitor to wait for.
        if let process = status.process {
            let handle = ProcessHandle(process)
            if let handle {
                let signal = if let signal { signal } else { try stopSignal(of: record) }
                handle.send(signal)
                // Three years are as good as never.
                let limit = (0..<100_000_000).contains(timeout) ? timeout * 1000 : -1
                if signal != SIGKILL, !handle.waitForEnd(milliseconds: limit) {
                    try killAll(record)
                    _ = handle.waitForEnd(milliseconds: -1)
                } else if signal == SIGKILL {
                    _ = handle.waitForEnd(milliseconds: -1)
                }
            }
        }
        try awaitMonitor(record)
    }

    /// Sends a signal. SIGKILL also keeps a restart policy from starting it again.
    public func kill(_ record: ContainerRecord, signal: Int32) throws(EngineError) {
        guard let status = try status(of: record.id), let process = status.process,
            let handle = ProcessHandle(process)
        else {
            throw EngineError(.conflict, "container \(record.name) is not running: nothing to signal")
        }
        if signal == SIGKILL {
            try requestStop(record)
            try killAll(record)
            _ = handle.waitForEnd(milliseconds: 10_000)
        } else {
            handle.send(signal)
        }
    }

    /// Waits until the container has ended for good.
    /// - Returns: its exit code.
    public func wait(_ record: ContainerRecord) throws(EngineError) -> Int32 {
        guard var status = try status(of: record.id) else {
            // Created and not started: Docker waits for it to run and end.
            while true {
                usleep(100_000)
                guard (try? find(record.id)) != nil else {
                    throw EngineError(.notFound, "container \(record.name) was removed before it ran")
                }
                if try self.status(of: record.id) != nil { return try wait(record) }
            }
        }
        while status.process != nil || status.monitor != nil {
            if let monitor = status.monitor, let handle = ProcessHandle(monitor) {
                _ = handle.waitForEnd(milliseconds: -1)
            } else if let process = status.process, let handle = ProcessHandle(process) {
                _ = handle.waitForEnd(milliseconds: -1)
            }
            guard let next = try self.status(of: record.id) else { break }
            status = next
        }
        return status.exit.exitCode ?? ContainerStatus.unknownExitCode
    }

    private func stopSignal(of record: ContainerRecord) throws(EngineError) -> Int32 {
        if let own = record.spec.stopSignal.flatMap(SignalName.number) { return own }
        let config = try engineErrors { try imageConfig(Digest(parsing: record.imageID)) }.config
        return SignalName.number(config.stopSignal) ?? SIGTERM
    }

    /// Tells the monitor that this end is wanted.
    private func requestStop(_ record: ContainerRecord) throws(EngineError) {
        // Without a monitor there is nobody who would start it again.
        try? MonitorConnection(attachSocket(of: record.id)).requestStop()
    }

    /// SIGKILL to every process of the container, not the first alone: with a
    /// shared PID namespace the others would live on.
    private func killAll(_ record: ContainerRecord) throws(EngineError) {
        if let process = try status(of: record.id)?.process, let handle = ProcessHandle(process) {
            handle.send(SIGKILL)
        }
        if record.spec.pidMode != .own {
            try? Runtime(root: runtimeRoot).kill(record.id, signal: SIGKILL, all: true)
        }
    }

    /// The lock of a container whose last run, if it is over, is cleaned up.
    /// - Returns: nil when the container was removed.
    func lockAfterLastRun(_ record: ContainerRecord) throws(EngineError) -> FileLock? {
        let deadline = Timestamp.now.seconds + 30
        while true {
            let lock = try lock(record.id)
            guard (try? find(record.id)) != nil else { return nil }
            // With its lock in our hand a container that is created and not started
            // stays so: who began its start was killed, and its monitor gives up.
            guard let status = try status(of: record.id), [.created, .exited].contains(status.phase),
                let monitor = status.monitor, let handle = ProcessHandle(monitor)
            else { return lock }
            // The clean-up, the monitor's last act, takes the lock too.
            _ = consume lock
            guard Timestamp.now.seconds < deadline else {
                throw EngineError(
                    .failed,
                    "container \(record.name) does not run, but its monitor (process \(monitor.pid)) does: kill that"
                )
            }
            _ = handle.waitForEnd(milliseconds: 50)
        }
    }

    /// Waits for the monitor's last act, the clean-up; does it when there is no monitor.
    func awaitMonitor(_ record: ContainerRecord) throws(EngineError) {
        if let monitor = try status(of: record.id)?.monitor, let handle = ProcessHandle(monitor) {
            _ = handle.waitForEnd(milliseconds: 30_000)
        }
        if let status = try status(of: record.id), status.monitor == nil, status.process == nil {
            try cleanUp(record.id, remove: false)
        }
    }
}
