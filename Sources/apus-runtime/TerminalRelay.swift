import ContainerRuntime
import LinuxSystem

/// Our own terminal in front of a container's: keys go in, output comes out, and
/// the size follows.
struct TerminalRelay: ~Copyable {
    let master: Descriptor
    let pid: pid_t
    private var toContainer: [UInt8] = []
    private var inputIsOpen = true

    init(master: consuming Descriptor, pid: pid_t) {
        self.master = master
        self.pid = pid
    }

    mutating func run() throws -> Int32 {
        let signals = try SignalDescriptor(
            (1...64).filter { $0 != SIGKILL && $0 != SIGSTOP && $0 != 32 && $0 != 33 })
        let ownTerminal = [Int32(0), 1, 2].first { Terminal.isTerminal($0) }
        followSize(ownTerminal)
        let before = Terminal.isTerminal(0) ? try Terminal.makeRaw(0) : nil
        defer { if let before { try? Terminal.setAttributes(of: 0, before) } }
        try FD.setNonBlocking(master.raw, true)
        var status: WaitStatus?
        while true {
            var entries = [
                pollfd(
                    fd: master.raw, events: Int16(POLLIN | (toContainer.isEmpty ? 0 : POLLOUT)), revents: 0),
                pollfd(fd: signals.raw, events: Int16(POLLIN), revents: 0),
                pollfd(fd: inputIsOpen && toContainer.isEmpty ? 0 : -1, events: Int16(POLLIN), revents: 0),
            ]
            // After the process has ended, only what it has printed already is of interest.
            let ready = poll(&entries, 3, status == nil ? -1 : 0)
            if ready < 0, Errno.current != .interrupted { throw SystemError("poll", "", .current) }
            if entries[1].revents != 0 {
                while let signal = signals.next() {
                    if signal == SIGWINCH {
                        followSize(ownTerminal)
                    } else {
                        ForegroundProcess.forward(signal, to: pid)
                    }
                }
                if let ended = ForegroundProcess.reap(pid) { status = ended }
            }
            if entries[2].revents != 0 { readInput() }
            if entries[0].revents & Int16(POLLOUT) != 0 { writeInput() }
            var printed = false
            if entries[0].revents & Int16(POLLIN | POLLHUP) != 0 { printed = try readOutput() }
            if let status, !printed { return status.exitCode }
            if status == nil, entries[0].revents & Int16(POLLHUP) != 0, !printed {
                // Nobody holds the terminal now; the process may live on without it.
                _ = poll(&entries[1], 1, 100)
            }
        }
    }

    private func followSize(_ terminal: Int32?) {
        guard let terminal, let size = Terminal.size(of: terminal) else { return }
        try? Terminal.setSize(of: master.raw, size)
    }

    private mutating func readInput() {
        var chunk = [UInt8](repeating: 0, count: 4096)
        let count = read(0, &chunk, chunk.count)
        if count > 0 {
            toContainer = Array(chunk[..<count])
            writeInput()
        } else if count == 0 || Errno.current != .interrupted {
            inputIsOpen = false
        }
    }

    private mutating func writeInput() {
        let count = write(master.raw, toContainer, toContainer.count)
        if count > 0 { toContainer.removeFirst(count) }
    }

    /// - Returns: whether there was any.
    private func readOutput() throws -> Bool {
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        let count = read(master.raw, &chunk, chunk.count)
        guard count > 0 else { return false }
        try FD.writeAll(1, Array(chunk[..<count]))
        return true
    }
}
