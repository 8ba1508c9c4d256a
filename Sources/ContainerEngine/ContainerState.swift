import ContainerMonitor
public import LinuxSystem

/// How a container fares, as the monitor's records and the kernel tell it.
public struct ContainerState: Sendable {
    public enum Status: String, Sendable {
        case created, running, restarting, exited
    }

    public var status: Status
    /// 0 when no process runs.
    public var pid: Int32 = 0
    public var monitorPid: Int32 = 0
    public var exitCode: Int32 = 0
    public var oomKilled = false
    public var startedAt: Timestamp?
    public var finishedAt: Timestamp?
    public var restartCount = 0
    /// Why the exit code is not the process's own, or why it was not started again.
    public var reason = ""

    public var isRunning: Bool { status == .running }

    /// - Parameter status: nil for a container that was never started.
    init(_ status: ContainerStatus?) {
        guard let status else {
            self.status = .created
            return
        }
        self.status =
            switch status.phase {
            case .created: .created
            case .running: .running
            case .restarting: .restarting
            case .exited: .exited
            }
        pid = status.process?.pid ?? 0
        monitorPid = status.monitor?.pid ?? 0
        exitCode = status.exit.exitCode ?? 0
        oomKilled = status.exit.oomKilled
        startedAt = status.exit.startedAt
        finishedAt = status.exit.finishedAt
        restartCount = status.exit.restartCount
        reason = status.exit.reason ?? ""
    }
}

extension Engine {
    public func state(of record: ContainerRecord) throws(EngineError) -> ContainerState {
        ContainerState(try status(of: record.id))
    }

    func status(of id: String) throws(EngineError) -> ContainerStatus? {
        try engineErrors("container \(id.prefix(12))") {
            try ContainerStatus.read(statusPath: statusPath(of: id), exitPath: exitPath(of: id))
        }
    }

    func statusPath(of id: String) -> String { "\(stateDirectory(of: id))/status.json" }
    func exitPath(of id: String) -> String { "\(directory(of: id))/exit.json" }
    func attachSocket(of id: String) -> String { "\(stateDirectory(of: id))/attach" }
}
