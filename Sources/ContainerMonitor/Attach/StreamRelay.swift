import LinuxSystem

/// Joins local descriptors to a container's streams: pumps for the bytes, raw
/// mode for a local terminal, its size, and signals. Used for attach, and for
/// a terminal that this program holds itself (exec).
public struct StreamRelay {
    public struct Local: Sendable {
        public var input: Int32
        public var output: Int32
        public var error: Int32
        public init(input: Int32 = 0, output: Int32 = 1, error: Int32 = 2) {
            self.input = input
            self.output = output
            self.error = error
        }
    }

    public enum Outcome: Equatable, Sendable {
        case exited(Int32)
        case detached
        /// The local output takes no more (`| head`); the container runs on.
        case outputClosed
        /// A signal ended the attachment, not the container.
        case interrupted(Int32)
        /// The monitor took this client for dead.
        case dropped
        case monitorDied
    }

    /// Ends of the world outside: what a signal of the terminal's or of another
    /// process's would end this program with. What tells of its own faults or
    /// stops it stays.
    static let proxied: [Int32] = [
        SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR,
        SIGXCPU,
    ]

    /// Runs the terminal of a process that this program started itself.
    /// - Parameters:
    ///   - process: a pidfd, readable at its end.
    /// - Returns: `.exited(0)` at its end (the caller reaps it), or why else it ended.
    public static func run(
        terminal master: Int32, process: Int32, local: Local = Local(), reads: Bool = true,
        detachKeys: DetachKeys? = .standard
    ) throws(MonitorError) -> Outcome {
        try system { () throws(SystemError) in
            try FD.setNonBlocking(master, true)
            let session = try RelaySession(
                input: reads ? (local.input, master) : nil, outputs: [(master, local.output)], owned: [],
                rawTerminal: reads && Terminal.isTerminal(local.input) ? local.input : nil,
                sizeTerminal: [local.input, local.output].first { Terminal.isTerminal($0) },
                detachKeys: detachKeys, signals: [SIGHUP, SIGTERM])
            defer { session.restore() }
            session.onResize = { try? Terminal.setSize(of: master, $0) }
            session.onSignal = { .interrupted($0) }
            session.onPeer = {
                session.finishOutputs()
                return .exited(0)
            }
            return try session.run(peer: process)
        }
    }
}

/// One relay's threads and local state.
final class RelaySession {
    private let input: StreamPump?
    private let outputs: [StreamPump]
    private let wake: SharedDescriptor
    private let signals: SignalDescriptor
    private let mask: sigset_t
    private let rawTerminal: Int32?
    private let sizeTerminal: Int32?
    private let attributes: termios?

    var onResize: (Terminal.Size) -> Void = { _ in }
    /// Answers how the session ends, or nil to go on.
    var onSignal: (Int32) -> StreamRelay.Outcome? = { _ in nil }
    /// The peer's descriptor is readable.
    var onPeer: () -> StreamRelay.Outcome? = { nil }
    var onInputEnd: () -> Void = {}

    /// - Parameters:
    ///   - rawTerminal: the local terminal that goes into raw mode.
    ///   - sizeTerminal: the local terminal whose size the container's has.
    ///   - signals: those that `onSignal` gets.
    init(
        input: (from: Int32, to: Int32)?, outputs: [(from: Int32, to: Int32)], owned: [SharedDescriptor],
        inputOwned: [SharedDescriptor] = [], rawTerminal: Int32?, sizeTerminal: Int32?,
        detachKeys: DetachKeys?, signals: [Int32]
    ) throws(SystemError) {
        mask = SignalMask.current
        let wake = SharedDescriptor(
            Descriptor(
                owning: try retrying("eventfd") { eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)) }))
        self.wake = wake
        // Blocked before the threads are made, which inherit the mask.
        self.signals = try SignalDescriptor(signals + (sizeTerminal != nil ? [SIGWINCH] : []))
        self.rawTerminal = rawTerminal
        self.sizeTerminal = sizeTerminal
        if let input {
            self.input = try StreamPump(
                from: input.from, to: input.to, owning: inputOwned, wake: wake,
                detachKeys: rawTerminal != nil ? detachKeys : nil, drains: false)
        } else {
            self.input = nil
        }
        var pumps: [StreamPump] = []
        for output in outputs {
            pumps.append(
                try StreamPump(from: output.from, to: output.to, owning: owned, wake: wake, drains: true))
        }
        self.outputs = pumps
        if let rawTerminal { attributes = try Terminal.makeRaw(rawTerminal) } else { attributes = nil }
    }

    /// Puts the terminal and the signal mask back. To be called on every way out.
    func restore() {
        input?.finish()
        if let rawTerminal, let attributes { try? Terminal.setAttributes(of: rawTerminal, attributes) }
        SignalMask.replace(with: mask)
    }

    func finishOutputs() { for output in outputs { output.finish() } }

    /// - Parameter peer: a descriptor to watch until `onPeer` answers.
    func run(peer: Int32) throws(SystemError) -> StreamRelay.Outcome {
        for pump in outputs { try pump.start() }
        try input?.start()
        tellSize()
        var entries = [
            pollfd(fd: signals.raw, events: Int16(POLLIN), revents: 0),
            pollfd(fd: wake.raw, events: Int16(POLLIN), revents: 0),
            pollfd(fd: peer, events: Int16(POLLIN), revents: 0),
        ]
        var ending: StreamRelay.Outcome?
        var inputEnded = false
        while true {
            // The streams' ends may come after the word of the exit, but they come.
            if let ending, outputs.allSatisfy({ $0.outcome != nil }) { return ending }
            if poll(&entries, 3, -1) < 0 { continue }
            while let signal = signals.next() {
                if signal == SIGWINCH {
                    tellSize()
                } else if let outcome = onSignal(signal) {
                    return outcome
                }
            }
            var count: UInt64 = 0
            _ = read(wake.raw, &count, 8)
            if !inputEnded, let outcome = input?.outcome {
                inputEnded = true
                if outcome == .detached { return .detached }
                if outcome == .sourceEnded { onInputEnd() }
            }
            if ending == nil, entries[2].revents != 0, let outcome = onPeer() {
                ending = outcome
                entries[2].fd = -1
            }
            if ending == nil, outputs.contains(where: { $0.outcome == .sinkBroken }) { return .outputClosed }
        }
    }

    private func tellSize() {
        if let sizeTerminal, let size = Terminal.size(of: sizeTerminal), size.rows > 0 { onResize(size) }
    }
}
