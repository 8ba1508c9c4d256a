import JSONText
import LinuxSystem

/// Holds one container: its standard streams, its log, its exit code and its
/// restarts. One thread and one epoll loop; between events it sleeps without
/// a time-out, with almost no memory of its own (`Footprint`).
///
/// *Run*: one life of the container's process, from create to exit. A
/// container with a restart policy has many.
public final class Monitor {
    let request: MonitorRequest
    var control: SharedDescriptor?
    let epoll: Epoll
    let signals: SignalDescriptor
    /// The pause before a restart.
    let restartTimer: TimerDescriptor
    /// The patience with clients that take no output.
    let stallTimer: TimerDescriptor
    let listener: SharedDescriptor
    let log: (any LogDriver)?
    let oomScore: String

    var record: StatusRecord
    var worker: RuntimeWorker?
    var outputs: [ContainerOutput] = []
    /// Leads into the container's standard input.
    var input: SharedDescriptor?
    var terminal: SharedDescriptor?
    /// From its creation to its end; ours to reap, so no other process has it meanwhile.
    var containerPID: Int32?
    var clients: [AttachedClient] = []

    /// Reaped, but not yet dealt with.
    var unhandledExit: WaitStatus?
    /// Children that ended before the worker told which process is the container's.
    var strangers: [(pid: Int32, status: WaitStatus)] = []
    var workerFailure: MonitorError?
    /// The engine died before it said `start`.
    var abandoned = false
    var oomKills: OOMKills?
    var delay = RestartDelay()
    /// The container has ended for good and its traces are gone.
    var isOver = false
    var exitCommandPID: Int32?
    var exitCommandDone = false
    let readBuffer = PageBuffer(size: Monitor.readSize)
    static let readSize = 256 << 10

    /// Takes the request from the engine, and sets up all that needs no container.
    init(control: consuming Descriptor, oomScore: String) throws(MonitorError) {
        let control = SharedDescriptor(control)
        let request = try Self.receiveRequest(control.raw)
        self.request = request
        self.control = control
        self.oomScore = oomScore
        guard let identity = ProcessIdentity(of: getpid()) else {
            throw MonitorError(.system, "read /proc/self/stat: is /proc mounted?")
        }
        record = StatusRecord(id: request.id, monitor: identity)
        do throws(SystemError) {
            epoll = try Epoll()
            signals = try SignalDescriptor([SIGCHLD, SIGTERM])
            restartTimer = try TimerDescriptor()
            stallTimer = try TimerDescriptor()
            log = try request.log.open()
            listener = SharedDescriptor(try UnixSocket.listen(request.attachSocket, nonBlocking: true))
            try FD.setNonBlocking(control.raw, true)
            // Not durable: a crash that loses this record loses no exit code.
            try record.exit.write(to: request.exitPath, durable: false)
            try record.write(to: request.statusPath)
            try epoll.add(signals.raw, .readable, tag: EventSource.signal.tag)
            try epoll.add(control.raw, .readable, tag: EventSource.control.tag)
            try epoll.add(listener.raw, .readable, tag: EventSource.listener.tag)
            try epoll.add(restartTimer.raw, .readable, tag: EventSource.restartTimer.tag)
            try epoll.add(stallTimer.raw, .readable, tag: EventSource.stallTimer.tag)
        } catch {
            throw MonitorError(error)
        }
    }

    private static func receiveRequest(_ control: Int32) throws(MonitorError) -> MonitorRequest {
        var message = try system { () throws(SystemError) in
            try UnixSocket.receive(control, limit: ControlMessage.limit)
        }
        let request: MonitorRequest
        do throws(JSONError) {
            request = try MonitorRequest(json: JSON(parsing: message.bytes))
        } catch {
            throw MonitorError(.invalidDocument, "request: \(error)")
        }
        do throws(SystemError) {
            try place(&message.descriptors, request.descriptors)
        } catch {
            throw MonitorError(error)
        }
        return request
    }

    /// Gives the passed descriptors the numbers that the request names.
    private static func place(
        _ passed: inout PassedDescriptors, _ numbers: [Int32]
    ) throws(SystemError) {
        guard passed.count == numbers.count else {
            throw SystemError("receive", "\(numbers.count) descriptors", Errno(EBADF))
        }
        // Out of the way first: one may stand where another is to go.
        var lifted: [SharedDescriptor] = []
        while let fd = passed.takeFirst() {
            let raw = fd.raw
            lifted.append(
                SharedDescriptor(
                    Descriptor(
                        owning: try checked("duplicate descriptor", "\(raw)") {
                            linux_fcntl(raw, F_DUPFD_CLOEXEC, 100)
                        })))
        }
        for (fd, number) in zip(lifted, numbers) {
            _ = try retrying("duplicate descriptor", "\(number)") { dup3(fd.raw, number, O_CLOEXEC) }
        }
    }

    /// What an event is about: the kind in the upper half of its tag, the descriptor in the lower.
    enum EventSource: UInt32 {
        case signal, control, listener, restartTimer, stallTimer, worker, output, client, clientPipe
        var tag: UInt64 { tag(0) }
        func tag(_ fd: Int32) -> UInt64 { UInt64(rawValue) << 32 | UInt64(UInt32(fd)) }
    }

    /// Until the container has ended for good and all have heard of it.
    ///
    /// After a second without an event the memory goes back that only busy
    /// times need, and the sleep has no time-out any more. What an idle monitor
    /// would hold otherwise (seen with the static executable): 3 MiB of text,
    /// which the kernel maps in pieces of 64 KiB around each page touched, 400
    /// KiB of unchanged data, the buffers and the heap's free tail. All of it
    /// comes back from the page cache or as zeros when it is needed.
    func run() throws(SystemError) {
        let pages = ProgramPages()
        while true {
            var count = try epoll.wait(milliseconds: 1000) { handle(tag: $0, $1) }
            if count == 0 {
                log?.releaseMemory()
                readBuffer.release(size: Self.readSize)
                malloc_trim(0)
                count = try epoll.waitLightly(pages) { handle(tag: $0, $1) }
            }
            advance()
            if isFinished { return }
        }
    }

    private func handle(tag: UInt64, _ events: Epoll.Events) {
        handle(EventSource(rawValue: UInt32(tag >> 32))!, Int32(truncatingIfNeeded: tag), events)
    }

    private func handle(_ source: EventSource, _ fd: Int32, _ events: Epoll.Events) {
        switch source {
        case .signal: handleSignals()
        case .control: handleControl()
        case .listener: acceptClients()
        case .worker: handleWorker()
        case .restartTimer:
            restartTimer.acknowledge()
            if record.phase == .restarting, worker == nil { startRun(restarting: true) }
        case .stallTimer:
            stallTimer.acknowledge()
            dropStalledClients()
        case .output:
            if let output = outputs.first(where: { $0.descriptor.raw == fd }) { relay(output) }
        case .client:
            if let client = clients.first(where: { $0.socket.raw == fd }) { handleMessages(of: client) }
        case .clientPipe: handlePipe(fd, events)
        }
    }

    private func handleSignals() {
        while let signal = signals.next() {
            if signal == SIGCHLD {
                reap()
            } else {
                // Whoever ends monitors (a shutdown) ends containers.
                requestStop()
                if let containerPID { kill(containerPID, SIGTERM) }
            }
        }
    }

    /// All children: the container's process, the worker, the exit command,
    /// and whatever else became an orphan below this subreaper.
    private func reap() {
        while true {
            var status: Int32 = 0
            let pid = waitpid(-1, &status, WNOHANG)
            if pid <= 0 { return }
            if pid == containerPID {
                unhandledExit = WaitStatus(status)
            } else if pid == worker?.pid {
                // Its socket need not have ended: a container that has not executed
                // its command yet has a copy of it.
                handleWorker()
                if worker?.pid == pid { endWorker() }
            } else if pid == exitCommandPID {
                exitCommandDone = true
            } else if containerPID == nil {
                strangers.append((pid, WaitStatus(status)))
            }
        }
    }

    /// Steps that wait for more than one event.
    private func advance() {
        if worker == nil, let status = unhandledExit {
            unhandledExit = nil
            if record.phase == .running { endRun(status) }
        }
        for client in clients { finish(client) }
        if isOver, exitCommandPID == nil, !exitCommandDone, !clients.contains(where: \.cleansUp) {
            runExitCommand()
        }
    }

    /// Who is attached hears of the end first; who only asks questions does not hold us.
    private var isFinished: Bool { isOver && exitCommandDone && !clients.contains { $0.hello != nil } }

    func writeStatus() {
        // A full disk is no reason to stop: the record then is an old one,
        // which the kernel's word on the process corrects.
        try? record.write(to: request.statusPath)
    }
}

extension AttachedClient {
    var cleansUp: Bool { hello?.contains(.cleansUp) == true }
}
