import LinuxSystem
import Testing

@testable import ContainerMonitor

/// A person's terminal: its other side is read and typed on here.
final class TestTerminal {
    let master: SharedDescriptor
    let terminal: SharedDescriptor
    private var seen = ""

    init(rows: UInt16 = 33, columns: UInt16 = 77) throws {
        let master = SharedDescriptor(try Terminal.openMaster())
        self.master = master
        terminal = SharedDescriptor(try Terminal.peer(ofMaster: master.raw))
        try Terminal.setSize(of: master.raw, .init(rows: rows, columns: columns))
    }

    func type(_ bytes: [UInt8]) throws { try FD.writeAll(master.raw, bytes) }
    func type(_ text: String) throws { try type(Array(text.utf8)) }

    /// Waits until the screen has the text, after what was waited for before.
    func shows(_ text: String) throws -> Bool {
        for _ in 0..<200 {
            if let range = seen.firstRange(of: text) {
                seen = String(seen[range.upperBound...])
                return true
            }
            var entry = pollfd(fd: master.raw, events: Int16(POLLIN), revents: 0)
            if poll(&entry, 1, 100) > 0 {
                var buffer = [UInt8](repeating: 0, count: 4096)
                let count = read(master.raw, &buffer, buffer.count)
                if count > 0 { seen += String(decoding: buffer[..<count], as: UTF8.self) }
            }
        }
        return false
    }

    /// What is typed before a relay has the terminal is a line for the terminal itself.
    func becomesRaw() throws -> Bool {
        for _ in 0..<1000 {
            if try isRaw { return true }
            usleep(5000)
        }
        return false
    }

    var isRaw: Bool {
        get throws { try Terminal.attributes(of: terminal.raw).c_lflag & tcflag_t(ICANON | ECHO) == 0 }
    }
}

@Suite struct TerminalTests {
    private func shell(_ command: String = "sh", runtime: String? = nil) throws -> Sandbox {
        let box = try Sandbox(
            ["/bin/sh", "-c", "PS1='$ ' exec \(command)"], terminal: true, runtime: runtime)
        box.request.openStdin = true
        return box
    }

    @Test(arguments: Sandbox.runtimes) func aShellAtATerminal(_ runtime: String?) throws {
        let box = try shell(runtime: runtime)
        try box.launch()
        let person = try TestTerminal()
        let client = try AttachThread(box, stdin: true, terminal: person.terminal.raw)
        try box.monitor?.start()
        #expect(try person.shows("$ "))
        #expect(try person.becomesRaw())
        try person.type("stty size\n")
        #expect(try person.shows("33 77\r\n"))
        // A window that changes.
        try Terminal.setSize(of: person.master.raw, .init(rows: 40, columns: 100))
        client.signal(SIGWINCH)
        usleep(200_000)
        try person.type("stty size\n")
        #expect(try person.shows("40 100\r\n"))
        // Ctrl-C goes to what runs in the foreground, and not to us.
        try person.type("sleep 1000\n")
        usleep(200_000)
        try person.type([3])
        try person.type("echo code $?\n")
        #expect(try person.shows("code 130\r\n"))
        try person.type("exit 7\n")
        #expect(client.finish() == .exited(7))
        #expect(try !person.isRaw)
        try box.waitForExit()
        #expect(
            try LogReader(box.request.log, .init()).texts().contains {
                $0.hasPrefix("o:") && $0.contains("33 77\r")
            })
    }

    @Test func detachAndAttachAgain() throws {
        let box = try shell("cat")
        try box.launch()
        let person = try TestTerminal()
        let client = try AttachThread(box, stdin: true, terminal: person.terminal.raw)
        try box.monitor?.start()
        #expect(try person.becomesRaw())
        try person.type("one\n")
        #expect(try person.shows("one\r\none\r\n"))
        try person.type([0x10, 0x11])
        #expect(client.finish() == .detached)
        #expect(try !person.isRaw)
        #expect(try box.status()?.phase == .running)

        let again = try AttachThread(box, stdin: true, terminal: person.terminal.raw) {
            $0.detachKeys = try? DetachKeys(parsing: "ctrl-x,x")
        }
        #expect(try person.becomesRaw())
        try person.type([0x10, UInt8(ascii: "z"), 0x0A])
        #expect(try person.shows("^Pz"))
        try person.type([0x18, UInt8(ascii: "x")])
        #expect(again.finish() == .detached)
        // The end of file at a terminal is a key.
        let last = try AttachThread(box, stdin: true, terminal: person.terminal.raw)
        #expect(try person.becomesRaw())
        try person.type([0x04])
        #expect(last.finish() == .exited(0))
    }

    @Test func allOfATerminalsOutputComesBeforeTheExit() throws {
        let box = try Sandbox(["/bin/sh", "-c", "seq 1 5000"], terminal: true)
        try box.launch()
        let client = try AttachThread(box)
        try box.monitor?.start()
        #expect(client.finish() == .exited(0))
        #expect(try client.output() == (1...5000).map { "\($0)\r\n" }.joined())
    }

    @Test func theTerminalMayBeClosedAndOpenedAgain() throws {
        let box = try Sandbox(
            [
                "/bin/sh", "-c",
                "exec </dev/null >/dev/null 2>&1; sleep 0.5; echo back >/dev/console; sleep 0.2",
            ],
            terminal: true)
        try box.start()
        try box.waitForExit()
        #expect(try LogReader(box.request.log, .init()).texts() == ["o:back\r$"])
    }

    /// As exec does: the process and its terminal are this program's own.
    @Test func aTerminalOfOurOwn() throws {
        let person = try TestTerminal()
        let inner = SharedDescriptor(try Terminal.openMaster())
        let peer = SharedDescriptor(try Terminal.peer(ofMaster: inner.raw))
        let pid = try Spawn.start(
            "/bin/sh", ["sh", "-c", "stty size; read x; echo got $x"],
            descriptors: [peer.raw, peer.raw, peer.raw],
            newSession: true)
        let pidfd = Int32(linux_syscall(Int(SYS_pidfd_open), Int(pid), 0, 0, 0, 0, 0))
        defer { close(pidfd) }
        try person.type("word\n")
        let outcome = try StreamRelay.run(
            terminal: inner.raw, process: pidfd,
            local: .init(input: person.terminal.raw, output: person.terminal.raw, error: person.terminal.raw))
        #expect(outcome == .exited(0))
        #expect(try Spawn.wait(pid).exitCode == 0)
        #expect(try person.shows("got word\r\n"))
        #expect(try !person.isRaw)
    }
}
