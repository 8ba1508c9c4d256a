import LinuxSystem

/// What is true of a container, from its monitor's records and from the
/// kernel: the records alone could be a killed monitor's, or from before a reboot.
public struct ContainerStatus: Sendable, Equatable {
    public enum Phase: String, Sendable {
        /// Its process exists and waits for its start.
        case created
        case running
        /// It ended, and its monitor will start it again.
        case restarting
        case exited
    }

    public var phase: Phase
    /// The container's first process, unless it ended.
    public var process: ProcessIdentity?
    /// The monitor, while it lives.
    public var monitor: ProcessIdentity?
    /// The last end: of the run before while `restarting`. When nobody saw the
    /// end its exit code is 255 and its `reason` says why.
    public var exit: ExitRecord
    public var stopRequested: Bool

    public var isAlive: Bool { process != nil }

    /// The exit code of a run whose end nobody saw.
    public static let unknownExitCode: Int32 = 255

    /// - Returns: nil when the container was never started.
    public static func read(statusPath: String, exitPath: String) throws(MonitorError) -> ContainerStatus? {
        guard let record: StatusRecord = try readDocument(statusPath) else {
            guard var exit = try ExitRecord.read(exitPath) else { return nil }
            if exit.exitCode == nil {
                exit.exitCode = unknownExitCode
                exit.reason = "the host went down while it ran"
            }
            return ContainerStatus(exited: exit)
        }
        let status = ContainerStatus(record)
        if status.phase == .exited, record.phase != .exited,
            // It may have ended properly after the record was read; now that the
            // monitor is gone, the record is the last.
            let last: StatusRecord = try readDocument(statusPath), last != record
        {
            return ContainerStatus(last)
        }
        return status
    }

    init(exited exit: ExitRecord) {
        phase = .exited
        self.exit = exit
        stopRequested = false
    }

    init(_ record: StatusRecord) {
        exit = record.exit
        stopRequested = record.stopRequested
        process = record.process.flatMap { $0.isAlive ? $0 : nil }
        monitor = record.monitor.isAlive ? record.monitor : nil
        switch record.phase {
        case .exited:
            phase = .exited
            process = nil
            return
        case .creating, .created:
            phase = .created
        case .running:
            phase = .running
        case .restarting:
            phase = .restarting
        }
        // A monitor that lives tells the rest itself, in an instant.
        if process != nil || monitor != nil { return }
        if phase == .restarting {
            // That run's end is known; there will be no other.
            exit.reason = "its monitor died before it could start it again"
        } else {
            exit.exitCode = Self.unknownExitCode
            exit.reason =
                record.monitor.bootID == Boot.id
                ? "it ended unseen: its monitor had died" : "the host went down while it ran"
        }
        phase = .exited
    }
}
