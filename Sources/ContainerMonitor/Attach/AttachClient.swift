import LinuxSystem

/// A client of a container's streams.
///
/// From the return of `connect` on, nothing of the container's output passes
/// it by; connecting before the container is started gets all of it.
public final class AttachClient {
    public struct Options: Sendable {
        public var stdin = true
        public var stdout = true
        public var stderr = true
        /// Leaves on these keys, with a terminal.
        public var detachKeys: DetachKeys? = .standard
        /// Passes the signals that this program gets on to the container.
        public var signalProxy = true
        /// The client that the container was started for: it may take its time.
        public var isForeground = false
        /// The caller cleans up after the container's end, and calls `confirmCleanup`.
        public var cleansUp = false
        public var local = StreamRelay.Local()
        public init() {}
    }

    let connection: MonitorConnection
    private let options: Options
    /// The container has a terminal.
    public let isTerminal: Bool
    private var input: SharedDescriptor?
    private let stdout: SharedDescriptor?
    private let stderr: SharedDescriptor?

    private init(
        _ connection: MonitorConnection, _ options: Options, isTerminal: Bool, input: SharedDescriptor?,
        stdout: SharedDescriptor?, stderr: SharedDescriptor?
    ) {
        self.connection = connection
        self.options = options
        self.isTerminal = isTerminal
        self.input = input
        self.stdout = stdout
        self.stderr = stderr
    }

    /// - Throws: `noMonitor` when the container has none.
    public static func connect(_ attachSocket: String, _ options: Options) throws(MonitorError)
        -> AttachClient
    {
        let connection = try MonitorConnection(attachSocket)
        var hello: AttachMessage.Hello = []
        if options.stdin { hello.insert(.stdin) }
        if options.isForeground { hello.insert(.foreground) }
        if options.cleansUp { hello.insert(.cleansUp) }
        var ends: [SharedDescriptor] = []
        let stdout = try options.stdout ? outputPipe(&ends) : nil
        let stderr = try options.stderr ? outputPipe(&ends) : nil
        if stdout != nil { hello.insert(.stdout) }
        if stderr != nil { hello.insert(.stderr) }
        try connection.send(.hello(hello), descriptors: ends.map(\.raw))
        guard case (.attached(let isTerminal), let input) = try connection.receive() else {
            throw MonitorError(.invalidDocument, "the monitor answered out of turn")
        }
        return AttachClient(
            connection, options, isTerminal: isTerminal, input: input, stdout: stdout, stderr: stderr)
    }

    /// - Returns: the reading end; the writing end joins `ends`.
    private static func outputPipe(_ ends: inout [SharedDescriptor]) throws(MonitorError) -> SharedDescriptor
    {
        try system { () throws(SystemError) in
            let pipe = try FD.pipe()
            let writing = pipe.writing.take()
            ends.append(SharedDescriptor(Descriptor(owning: writing)))
            let reading = SharedDescriptor(pipe.reading)
            try FD.setNonBlocking(reading.raw, true)
            _ = linux_fcntl(reading.raw, F_SETPIPE_SZ, 1 << 20)
            return reading
        }
    }

    /// Pumps until the container ends or the user leaves.
    public func run() throws(MonitorError) -> StreamRelay.Outcome {
        try system { () throws(SystemError) in
            let local = options.local
            let isContainerTerminal = isTerminal
            let localTerminal =
                isContainerTerminal
                ? [local.input, local.output].first { Terminal.isTerminal($0) } : nil
            let rawTerminal = input != nil && localTerminal == local.input ? local.input : nil
            let inputNumber = input?.raw
            var outputs: [(from: Int32, to: Int32)] = []
            if let stdout { outputs.append((stdout.raw, local.output)) }
            if let stderr { outputs.append((stderr.raw, local.error)) }
            let signals =
                options.signalProxy
                ? StreamRelay.proxied
                : rawTerminal != nil ? [SIGHUP, SIGINT, SIGQUIT, SIGTERM] : []
            let session = try RelaySession(
                input: inputNumber.map { (local.input, $0) }, outputs: outputs,
                owned: [stdout, stderr].compactMap { $0 }, inputOwned: giveInput(),
                rawTerminal: rawTerminal, sizeTerminal: localTerminal, detachKeys: options.detachKeys,
                signals: signals)
            defer { session.restore() }
            let connection = connection
            let proxies = options.signalProxy
            session.onResize = { try? connection.send(.resize($0)) }
            session.onSignal = { signal in
                guard proxies else { return .interrupted(signal) }
                try? connection.send(.signal(signal))
                return nil
            }
            // The monitor has the descriptor too, and decides whether input ends with ours.
            session.onInputEnd = { if !isContainerTerminal { try? connection.send(.inputEnded) } }
            session.onPeer = {
                do throws(MonitorError) {
                    switch try connection.receive().0 {
                    case .exited(let code): return .exited(code)
                    case .dropped: return .dropped
                    default: return nil
                    }
                } catch {
                    return .monitorDied
                }
            }
            return try session.run(peer: connection.socket.raw)
        }
    }

    /// The pump's alone from then on: it closes it at the local input's end.
    private func giveInput() -> [SharedDescriptor] {
        defer { input = nil }
        return [input].compactMap { $0 }
    }

    /// Tells the monitor that the caller has cleaned up after the container.
    public func confirmCleanup() { try? connection.send(.cleaned) }
}
