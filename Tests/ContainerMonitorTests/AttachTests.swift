import LinuxSystem
import Testing

@testable import ContainerMonitor

@Suite struct AttachTests {
    @Test func threeClientsGetAllOfIt() throws {
        let box = try Sandbox(["/bin/sh", "-c", "seq 1 200000; echo end >&2; exit 4"], log: .none)
        try box.launch()
        let clients = try (0..<3).map { _ in try AttachThread(box) }
        try box.monitor?.start()
        let wanted = (1...200_000).map { "\($0)\n" }.joined()
        for client in clients {
            #expect(client.finish() == .exited(4))
            #expect(try client.output() == wanted)
            #expect(try client.error() == "end\n")
        }
        try box.waitForExit()
    }

    @Test func aSlowClientLosesNothingAndTheLogHasAll() throws {
        let box = try Sandbox(["/bin/sh", "-c", "seq 1 300000"])
        try box.launch()
        var ends: [SharedDescriptor] = []
        let pipe = try FD.pipe()
        let writing = pipe.writing.take()
        ends.append(SharedDescriptor(Descriptor(owning: writing)))
        let connection = try MonitorConnection(box.request.attachSocket)
        try connection.send(.hello([.stdout, .foreground]), descriptors: ends.map(\.raw))
        #expect(try connection.receive().0 == .attached(isTerminal: false))
        ends = []
        try box.monitor?.start()
        var output: [UInt8] = []
        var rounds = 0
        while true {
            var chunk = [UInt8](repeating: 0, count: 60_000)
            let count = read(pipe.reading.raw, &chunk, chunk.count)
            if count <= 0 { break }
            output += chunk[..<count]
            rounds += 1
            if rounds < 20 { usleep(20_000) }
        }
        #expect(String(decoding: output, as: UTF8.self) == (1...300_000).map { "\($0)\n" }.joined())
        #expect(try connection.receive().0 == .exited(0))
        try box.waitForExit()
        #expect(try LogReader(box.request.log, .init()).texts().count == 300_000)
    }

    @Test func aForgottenClientIsDropped() throws {
        let box = try Sandbox(["/bin/sh", "-c", "seq 1 1000000"])
        box.request.clientPatience = 1
        try box.launch()
        var ends: [SharedDescriptor] = []
        let pipe = try FD.pipe()
        let writing = pipe.writing.take()
        ends.append(SharedDescriptor(Descriptor(owning: writing)))
        let connection = try MonitorConnection(box.request.attachSocket)
        try connection.send(.hello([.stdout]), descriptors: ends.map(\.raw))
        #expect(try connection.receive().0 == .attached(isTerminal: false))
        ends = []
        try box.monitor?.start()
        #expect(try connection.receive().0 == .dropped)
        #expect(try box.waitForExit()?.exit.exitCode == 0)
        #expect(try File.status(box.request.log.path).st_size > 50_000_000)
        _ = pipe.reading.raw
    }

    @Test func inputComesWholeAndItsEndToo() throws {
        let box = try Sandbox(["/bin/cat"], log: .none)
        box.request.openStdin = true
        box.request.stdinOnce = true
        try box.launch()
        let size = 64 << 20
        let input = box.directory + "/input"
        _ = try Spawn.wait(
            Spawn.start("dd", ["dd", "if=/dev/urandom", "of=\(input)", "bs=1M", "count=\(size >> 20)"]))
        #expect(try File.status(input).st_size == size)
        let output = box.directory + "/output"
        let from = try File.open(input)
        let to = try File.open(output, O_WRONLY | O_CREAT)
        var options = AttachClient.Options()
        options.local = .init(input: from.raw, output: to.raw, error: 2)
        options.isForeground = true
        let client = try AttachClient.connect(box.request.attachSocket, options)
        try box.monitor?.start()
        #expect(try client.run() == .exited(0))
        #expect(try Spawn.wait(Spawn.start("cmp", ["cmp", input, output])).exitCode == 0)
    }

    @Test func withoutStdinOnceInputStaysOpen() throws {
        let box = try Sandbox(["/bin/cat"])
        box.request.openStdin = true
        try box.start()
        for text in ["one\n", "two\n"] {
            let client = try AttachThread(box, stdin: true)
            try client.type(text)
            client.endInput()
            #expect(try box.waitForLog(text.dropLast()))
            client.leave()
        }
        let texts = try LogReader(box.request.log, .init()).texts()
        #expect(texts == ["o:one$", "o:two$"])
        #expect(try box.status()?.phase == .running)
    }

    @Test func aClientThatDiesEndsItsInputOnly() throws {
        let box = try Sandbox(["/bin/sh", "-c", "cat; echo over"])
        box.request.openStdin = true
        box.request.stdinOnce = true
        try box.start()
        do {
            let connection = try MonitorConnection(box.request.attachSocket)
            try connection.send(.hello([.stdin]))
            #expect(try connection.receive().1 != nil)
        }
        #expect(try box.waitForExit()?.exit.exitCode == 0)
        #expect(try LogReader(box.request.log, .init()).texts() == ["o:over$"])
    }

    @Test func signalsGoThrough() throws {
        let box = try Sandbox([
            "/bin/sh", "-c", "trap 'echo got; exit 6' USR1; echo ready; while :; do sleep 0.05; done",
        ])
        try box.launch()
        let client = try AttachThread(box)
        try box.monitor?.start()
        #expect(try box.waitForLog("ready"))
        client.signal(SIGUSR1)
        #expect(client.finish() == .exited(6))
        #expect(try client.output() == "ready\ngot\n")
    }

    @Test func aClosedOutputEndsTheClientAndNotTheContainer() throws {
        let box = try Sandbox(["/bin/sh", "-c", "while echo yes; do sleep 0.01; done"])
        try box.start()
        let pipe = try FD.pipe()
        let writing = pipe.writing.take()
        var options = AttachClient.Options()
        options.stdin = false
        options.local = .init(input: 0, output: writing, error: 2)
        let client = try AttachClient.connect(box.request.attachSocket, options)
        close(pipe.reading.take())
        #expect(try client.run() == .outputClosed)
        close(writing)
        #expect(try box.status()?.phase == .running)
    }

    @Test func theMonitorsDeathIsNoticed() throws {
        let box = try Sandbox(["/bin/sleep", "100"])
        try box.start()
        let client = try AttachThread(box)
        kill(try #require(try box.status()?.monitor).pid, SIGKILL)
        #expect(client.finish() == .monitorDied)
    }

    @Test func whoCleansUpSparesTheExitCommand() throws {
        for confirms in [true, false] {
            let box = try Sandbox(["/bin/true"])
            let mark = box.directory + "/cleaned"
            box.request.exitCommand = ["/bin/sh", "-c", "echo > \(mark)"]
            try box.launch()
            var options = AttachClient.Options()
            options.stdin = false
            options.cleansUp = true
            let pipes = try LocalPipes()
            options.local = pipes.local
            var client: AttachClient? = try AttachClient.connect(box.request.attachSocket, options)
            try box.monitor?.start()
            #expect(try client?.run() == .exited(0))
            // The monitor waits for word, or for our end.
            #expect(try box.status()?.monitor != nil)
            if confirms { client?.confirmCleanup() }
            client = nil
            try box.waitForExit()
            #expect(File.exists(mark) == !confirms)
        }
    }
}

/// An attach client in a thread of its own, between files.
final class AttachThread: @unchecked Sendable {
    private let directory: String
    private var input: SharedDescriptor?
    private var client: AttachClient?
    private var thread = pthread_t()
    private var outcome: StreamRelay.Outcome?

    init(
        _ box: Sandbox, stdin: Bool = false, terminal: Int32? = nil,
        _ configure: (inout AttachClient.Options) -> Void = { _ in }
    ) throws {
        directory = "\(box.directory)/client-\(UInt32.random(in: 0 ... .max))"
        try File.makeDirectory(directory)
        var options = AttachClient.Options()
        options.stdin = stdin
        if let terminal {
            options.local = .init(input: terminal, output: terminal, error: terminal)
        } else {
            let ends = try FD.pipe()
            let writing = ends.writing.take()
            input = SharedDescriptor(Descriptor(owning: writing))
            options.local = .init(
                input: ends.reading.take(),
                output: try File.open(directory + "/output", O_WRONLY | O_CREAT).take(),
                error: try File.open(directory + "/error", O_WRONLY | O_CREAT).take())
        }
        configure(&options)
        client = try AttachClient.connect(box.request.attachSocket, options)
        let argument = Unmanaged.passRetained(self).toOpaque()
        pthread_create(&thread, nil, { AttachThread.main($0!) }, argument)
    }

    private static func main(_ argument: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
        let own = Unmanaged<AttachThread>.fromOpaque(argument).takeRetainedValue()
        own.outcome = try? own.client?.run()
        return nil
    }

    func type(_ text: String) throws { try FD.writeAll(input!.raw, text) }
    func endInput() { input = nil }
    func signal(_ number: Int32) { pthread_kill(thread, number) }

    func finish() -> StreamRelay.Outcome? {
        pthread_join(thread, nil)
        client = nil
        return outcome
    }

    /// Ends the attachment as the monitor's end of it would.
    func leave() {
        client?.abandon()
        _ = finish()
    }

    func output() throws -> String {
        String(decoding: try File.read(directory + "/output", limit: 1 << 30), as: UTF8.self)
    }
    func error() throws -> String {
        String(decoding: try File.read(directory + "/error", limit: 1 << 30), as: UTF8.self)
    }
}

extension AttachClient {
    /// Breaks the connection off, as the client's death does.
    func abandon() { shutdown(connection.socket.raw, Int32(SHUT_RDWR)) }
}

extension Sandbox {
    func waitForLog(_ text: some StringProtocol) throws -> Bool {
        for _ in 0..<2000 {
            if ((try? log()) ?? "").contains(text) { return true }
            usleep(10_000)
        }
        return false
    }
}
