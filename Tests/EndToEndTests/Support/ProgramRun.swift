import LinuxSystem

/// What a program printed and how it ended.
struct Finished: CustomStringConvertible {
    var command: [String]
    /// As a shell has it: the exit status, or 128 and the signal's number.
    var exit: Int32
    var output: [UInt8]
    var errors: [UInt8]
    var duration: Duration

    /// Standard output without its last newline.
    var text: String { Self.trimmed(output) }
    var errorText: String { Self.trimmed(errors) }
    var lines: [String] { text.split(separator: "\n").map(String.init) }

    func requireSuccess() throws {
        guard exit == 0 else { throw Unexpected("\(self)") }
    }

    private static func trimmed(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.last == 0x0A ? bytes.dropLast() : bytes[...], as: UTF8.self)
    }

    var description: String {
        "\(command.joined(separator: " ")): exit \(exit) in \(duration)\n  stdout: \(text.prefix(2000))\n  stderr: \(errorText.prefix(2000))"
    }
}

struct Unexpected: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// A program that runs, its output collected as it comes.
final class ProgramRun {
    let command: [String]
    let pid: pid_t
    private var input: Int32 = -1
    private var output: Int32 = -1
    private var errors: Int32 = -1
    private var pending: ArraySlice<UInt8> = []
    private var closesInput = true
    private var outputBytes: [UInt8] = []
    private var errorBytes: [UInt8] = []
    private var status: WaitStatus?
    private let start = ContinuousClock.now

    enum Input {
        case nothing
        case bytes([UInt8])
        case text(String)
        /// Stays open until `closeInput`.
        case open
        case descriptor(Int32)
    }

    init(_ command: [String], input: Input = .nothing, environment: [String]? = nil) throws {
        self.command = command
        signal(SIGPIPE, SIG_IGN)
        let (outReading, outWriting) = try Self.pipe()
        let (errReading, errWriting) = try Self.pipe()
        var childInput: Int32?
        var opened: Int32 = -1
        switch input {
        case .nothing: break
        case .descriptor(let fd): childInput = fd
        case .bytes, .text, .open:
            (opened, self.input) = try Self.pipe()
            childInput = opened
            switch input {
            case .bytes(let bytes): pending = bytes[...]
            case .text(let text): pending = Array(text.utf8)[...]
            default: closesInput = false
            }
        }
        defer { for fd in [outWriting, errWriting, opened] where fd >= 0 { close(fd) } }
        (output, errors) = (outReading, errReading)
        pid = try Spawn.start(
            command[0], command, environment: environment, descriptors: [childInput, outWriting, errWriting])
        for fd in [output, errors, self.input] where fd >= 0 { try FD.setNonBlocking(fd, true) }
        if pending.isEmpty, closesInput { closeInput() }
    }

    deinit {
        for fd in [input, output, errors] where fd >= 0 { close(fd) }
        if status == nil {
            kill(pid, SIGKILL)
            _ = try? Spawn.wait(pid)
        }
    }

    private static func pipe() throws -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [0, 0]
        guard pipe2(&ends, O_CLOEXEC) == 0 else { throw SystemError("pipe2", "", .current) }
        return (ends[0], ends[1])
    }

    var text: String { String(decoding: outputBytes, as: UTF8.self) }
    var errorText: String { String(decoding: errorBytes, as: UTF8.self) }

    func write(_ text: String) { pending += Array(text.utf8)[...] }

    func closeInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    func send(_ signal: Int32) { kill(pid, signal) }

    /// Moves bytes until `condition` holds.
    /// - Throws: when the time is over, with what has been printed.
    func wait(
        for what: String, timeout: Duration = .seconds(30), until condition: () throws -> Bool
    ) throws {
        let deadline = ContinuousClock.now + timeout
        while try !condition() {
            guard ContinuousClock.now < deadline else {
                throw Unexpected("no \(what) within \(timeout)\n\(snapshot(exit: -1))")
            }
            turn(milliseconds: 20)
        }
    }

    /// Waits for the end of the program and of its output.
    /// - Throws: when the time is over; the program is then killed.
    func finish(timeout: Duration = .seconds(60)) throws -> Finished {
        try wait(for: "end of \(command.joined(separator: " "))", timeout: timeout) { hasEnded }
        return snapshot(exit: status?.exitCode ?? -1)
    }

    var hasEnded: Bool { output < 0 && errors < 0 && isReaped }

    private var isReaped: Bool {
        if status != nil { return true }
        var raw: Int32 = 0
        guard waitpid(pid, &raw, WNOHANG) == pid else { return false }
        status = WaitStatus(raw)
        return true
    }

    private func snapshot(exit: Int32) -> Finished {
        Finished(
            command: command, exit: exit, output: outputBytes, errors: errorBytes,
            duration: ContinuousClock.now - start)
    }

    private func turn(milliseconds: Int32) {
        var polls = [
            pollfd(fd: output, events: Int16(POLLIN), revents: 0),
            pollfd(fd: errors, events: Int16(POLLIN), revents: 0),
            pollfd(fd: pending.isEmpty ? -1 : input, events: Int16(POLLOUT), revents: 0),
        ]
        if output < 0, errors < 0 {
            _ = isReaped
            usleep(2000)
        }
        _ = poll(&polls, 3, output < 0 && errors < 0 && pending.isEmpty ? 0 : milliseconds)
        if polls[0].revents != 0 { drain(&output, &outputBytes) }
        if polls[1].revents != 0 { drain(&errors, &errorBytes) }
        if polls[2].revents != 0 { feed() }
    }

    private func drain(_ fd: inout Int32, _ bytes: inout [UInt8]) {
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        while true {
            let count = read(fd, &buffer, buffer.count)
            if count > 0 {
                bytes += buffer[..<count]
                if count < buffer.count { return }
            } else if count == 0 || Errno.current != .again && Errno.current != .interrupted {
                close(fd)
                fd = -1
                return
            } else {
                return
            }
        }
    }

    private func feed() {
        let count = pending.withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) }
        if count > 0 {
            pending = pending.dropFirst(count)
        } else if Errno.current != .again {
            pending = []
            closeInput()
        }
        if pending.isEmpty, closesInput { closeInput() }
    }
}

extension ProgramRun {
    /// Runs a program to its end.
    static func run(
        _ command: [String], input: Input = .nothing, environment: [String]? = nil,
        timeout: Duration = .seconds(60)
    ) throws -> Finished {
        try ProgramRun(command, input: input, environment: environment).finish(timeout: timeout)
    }

    /// Runs a helper of the tests, which must succeed.
    @discardableResult
    static func tool(_ command: String..., input: Input = .nothing, timeout: Duration = .seconds(600)) throws
        -> String
    {
        let finished = try run(command, input: input, timeout: timeout)
        guard finished.exit == 0 else { throw Unexpected("\(finished)") }
        return finished.text
    }
}
