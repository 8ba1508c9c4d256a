import LinuxSystem

/// A person at a terminal: types, reads, resizes.
final class PseudoTerminal {
    let pid: pid_t
    private let master: Int32
    private(set) var screen: [UInt8] = []
    private var status: WaitStatus?
    private let command: [String]

    init(_ command: [String], environment: [String]? = nil, rows: UInt16 = 24, columns: UInt16 = 80) throws {
        self.command = command
        let opened = try Terminal.openMaster()
        let peer = try Terminal.peer(ofMaster: opened.raw)
        try Terminal.setSize(of: opened.raw, .init(rows: rows, columns: columns))
        // setsid --ctty makes the terminal the controlling one, so that SIGWINCH and ^C arrive.
        pid = try Spawn.start(
            "setsid", ["setsid", "--ctty"] + command, environment: environment,
            descriptors: [peer.raw, peer.raw, peer.raw], newSession: false)
        master = opened.take()
        try FD.setNonBlocking(master, true)
    }

    deinit {
        close(master)
        if status == nil {
            kill(pid, SIGKILL)
            _ = try? Spawn.wait(pid)
        }
    }

    var text: String { String(decoding: screen, as: UTF8.self) }

    func type(_ text: String) { type(Array(text.utf8)) }

    func type(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(master, $0.baseAddress, $0.count) }
            if count > 0 { rest = rest.dropFirst(count) } else { turn() }
        }
    }

    func resize(rows: UInt16, columns: UInt16) throws {
        try Terminal.setSize(of: master, .init(rows: rows, columns: columns))
    }

    /// Hangs up, as a closed window does.
    func hangUp() { kill(-pid, SIGHUP) }

    func wait(for what: String, timeout: Duration = .seconds(20)) throws {
        try wait(for: what, timeout: timeout) { text.contains(what) }
    }

    func wait(for what: String, timeout: Duration = .seconds(20), until condition: () -> Bool) throws {
        let deadline = ContinuousClock.now + timeout
        while !condition() {
            guard ContinuousClock.now < deadline else {
                throw Unexpected("no \(what) from \(command.joined(separator: " ")) on the terminal: \(text)")
            }
            turn()
        }
    }

    func finish(timeout: Duration = .seconds(20)) throws -> Int32 {
        try wait(for: "end", timeout: timeout) {
            var raw: Int32 = 0
            if status == nil, waitpid(pid, &raw, WNOHANG) == pid { status = WaitStatus(raw) }
            return status != nil
        }
        turn()
        return status?.exitCode ?? -1
    }

    private func turn() {
        var polled = pollfd(fd: master, events: Int16(POLLIN), revents: 0)
        _ = poll(&polled, 1, 20)
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(master, &buffer, buffer.count)
            guard count > 0 else {
                // EIO: no process has the other side open.
                if count < 0, Errno.current == .io { usleep(2000) }
                return
            }
            screen += buffer[..<count]
        }
    }
}
