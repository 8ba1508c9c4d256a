import JSONText
import LinuxSystem

/// The engine's side of a monitor's start.
///
///     let monitor = try MonitorProcess.launch(program, request, descriptors: [netns.raw])
///     try monitor.waitUntilCreated()
///     let client = try AttachClient.connect(request.attachSocket, options)   // before the first output
///     try monitor.start()
///
/// When the value goes away before `start`, the monitor deletes the container and exits.
public final class MonitorProcess {
    private let control: SharedDescriptor
    private let starter: Int32
    private var isStarterReaped = false
    /// The container's first process, once created.
    public private(set) var containerPID: Int32 = 0

    private init(control: consuming Descriptor, starter: Int32) {
        self.control = SharedDescriptor(control)
        self.starter = starter
    }

    deinit { reapStarter() }

    /// Executes the monitor's program and gives it the request; does not wait for what it does.
    /// - Parameters:
    ///   - descriptors: those that `request.descriptors` gives numbers to.
    ///   - lock: of the container. The monitor holds it too until its record is there: who gets it
    ///     from a starter that was killed finds the monitor.
    public static func launch(
        _ program: String, _ request: MonitorRequest, descriptors: [Int32] = [], lock: Int32? = nil
    ) throws(MonitorError) -> MonitorProcess {
        let bytes = request.json.bytes()
        guard bytes.count <= ControlMessage.limit else {
            throw MonitorError(.invalidDocument, "the request for container \(request.id) is too long")
        }
        guard descriptors.count == request.descriptors.count else {
            throw MonitorError(.invalidDocument, "the request names \(request.descriptors.count) descriptors")
        }
        return try system { () throws(SystemError) in
            let pair = try UnixSocket.pair()
            let starter = try Spawn.start(
                program, [program], descriptors: [nil, nil, nil, pair.second.raw, lock])
            let monitor = MonitorProcess(control: pair.first, starter: starter)
            do throws(SystemError) {
                try UnixSocket.send(monitor.control.raw, bytes, descriptors: descriptors)
            } catch  where error.errno == .brokenPipe {
                // It died at once: the answer, or its lack, tells.
            }
            return monitor
        }
    }

    /// - Returns: the process id of the container's first process.
    @discardableResult
    public func waitUntilCreated() throws(MonitorError) -> Int32 {
        defer { reapStarter() }
        guard case .created(let pid) = try receive() else {
            throw MonitorError(.invalidDocument, "the monitor answered out of turn")
        }
        containerPID = pid
        return pid
    }

    public func start() throws(MonitorError) {
        do throws(MonitorError) {
            try ControlMessage.start.send(to: control.raw)
        } catch {
            // Gone; it may have said why.
        }
        guard case .started = try receive() else {
            throw MonitorError(.invalidDocument, "the monitor answered out of turn")
        }
    }

    private func receive() throws(MonitorError) -> ControlMessage {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try UnixSocket.receive(control.raw, limit: ControlMessage.limit).bytes
        } catch  where error.errno.rawValue == ECONNRESET {
            bytes = []
        } catch {
            throw MonitorError(error)
        }
        switch try ControlMessage.parse(bytes) {
        case nil: throw MonitorError(.monitorDied, "the container's monitor died")
        case .failed(let error): throw error
        case .some(let message): return message
        }
    }

    /// The process that was spawned forked the monitor and exited.
    private func reapStarter() {
        if isStarterReaped { return }
        isStarterReaped = true
        _ = try? Spawn.wait(starter)
    }
}
