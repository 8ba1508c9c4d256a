import JSONText
import LinuxSystem
import OCISpec

/// Runs the config's hooks: one after another, the container's state on their
/// standard input.
enum HookRunner {
    /// - Parameter process: with whose identity and rights they run; nil for the runtime's.
    static func run(
        _ hooks: [Hook], _ kind: String, state: RuntimeState, as process: ProcessPlan? = nil
    ) throws(RuntimeError) {
        guard !hooks.isEmpty else { return }
        let text = state.json.bytes()
        for (position, hook) in hooks.enumerated() {
            do throws(RuntimeError) {
                try run(hook, state: text, process)
            } catch {
                throw error.under("error running \(kind) hook #\(position): \(hook.path)")
            }
        }
    }

    private static func run(
        _ hook: Hook, state: [UInt8], _ process: ProcessPlan?
    ) throws(RuntimeError) {
        let arguments = hook.args.isEmpty ? [hook.path] : hook.args
        let pipes = try during("make pipes", code: .hook) { () throws(SystemError) in
            let pipes = HookPipes(input: try FD.pipe(), output: try FD.pipe())
            // Our ends only: a hook that finds its output not blocking may lose some of it, or fail.
            try FD.setNonBlocking(pipes.input.writing.raw, true)
            try FD.setNonBlocking(pipes.output.reading.raw, true)
            return pipes
        }
        let streams = [pipes.input.reading.raw, pipes.output.writing.raw, pipes.output.writing.raw]
        let pid: pid_t
        if let process {
            pid = try start(hook, arguments, streams, as: process)
        } else {
            pid = try during("start", code: .hook) { () throws(SystemError) in
                try Spawn.start(hook.path, arguments, environment: hook.env ?? [], descriptors: streams)
            }
        }
        var ends = HookStreams(input: pipes.input.writing, output: pipes.output.reading)
        try ends.converse(state, pid: pid, seconds: hook.timeout)
    }
}

extension HookRunner {
    /// A program in the container is as hostile as its command: it gets no more rights than that.
    private static func start(
        _ hook: Hook, _ arguments: [String], _ streams: [Int32], as process: ProcessPlan
    ) throws(RuntimeError) -> pid_t {
        var plan = process
        plan.spec.args = arguments
        plan.spec.env = hook.env ?? []
        plan.preservedDescriptors = 0
        plan.agent = process.agent?.takeSpare()
        let ends = try during("make the channel", code: .hook) { () throws(SystemError) in
            try UnixSocket.pair()
        }
        let theirs = SyncChannel(ends.second)
        let child = try during("start", code: .hook) { () throws(SystemError) in
            try Clone.process(flags: 0) {
                do throws(RuntimeError) {
                    try StandardStreams.set(streams)
                    try plan.launch(hook.path, channel: theirs)
                } catch {
                    try? theirs.send(.failed(error))
                }
                _exit(1)
            }
        }
        _ = consume theirs
        let channel = SyncChannel(ends.first)
        do throws(RuntimeError) {
            while let message = try during(
                "start", code: .hook,
                { () throws(SystemError) in
                    try channel.receive().message
                })
            {
                switch message {
                case .failed(let error): throw error
                case .launchFailed(let failure): throw failure.error(command: hook.path)
                default: break
                }
            }
        } catch {
            child.abandon()
            throw RuntimeError(.hook, "\(error)")
        }
        return child.pid
    }
}

private struct HookPipes: ~Copyable {
    var input: PipeEnds
    var output: PipeEnds
}

/// The runtime's ends of a hook's streams.
private struct HookStreams: ~Copyable {
    var input: Descriptor?
    let output: Descriptor

    init(input: consuming Descriptor, output: consuming Descriptor) {
        self.input = consume input
        self.output = output
    }

    /// Feeds the hook, keeps the start of what it says, and waits for its end.
    mutating func converse(_ state: [UInt8], pid: pid_t, seconds: Int?) throws(RuntimeError) {
        let pidfd = try during("watch", code: .hook) { () throws(SystemError) in try watch(pid) }
        var said: [UInt8] = []
        var written = 0
        let deadline = seconds.map { MonotonicClock.milliseconds + Int64($0) * 1000 }
        while true {
            if written == state.count { input = nil }
            var entries = [
                pollfd(fd: pidfd.raw, events: Int16(POLLIN), revents: 0),
                pollfd(fd: output.raw, events: Int16(POLLIN), revents: 0),
                pollfd(fd: input?.raw ?? -1, events: Int16(POLLOUT), revents: 0),
            ]
            var left: Int32 = -1
            if let deadline { left = Int32(clamping: max(0, deadline - MonotonicClock.milliseconds)) }
            let ready = Pidfd.poll(&entries, milliseconds: left)
            if ready == 0 {
                kill(pid, SIGKILL)
                _ = try? Spawn.wait(pid)
                throw RuntimeError(.hook, "hook ran past specified timeout of \(seconds ?? 0)s")
            }
            if entries[1].revents != 0 { read(into: &said) }
            if entries[2].revents != 0, let raw = input?.raw {
                let count = state[written...].withUnsafeBytes { BrokenPipe.write(raw, $0) }
                // A hook need not read its state.
                if count > 0 { written += count } else if Errno.current != .again { written = state.count }
            }
            if entries[0].revents != 0 { break }
        }
        read(into: &said)
        let status = try during("wait", code: .hook) { () throws(SystemError) in try Spawn.wait(pid) }
        guard status.exitCode == 0 else {
            let words = String(decoding: said, as: UTF8.self).split(separator: "\n").joined(separator: "; ")
            let end = status.signal.map { "signal: \(name(of: $0))" } ?? "exit status \(status.exitCode)"
            throw RuntimeError(.hook, "\(end), output: \(words)")
        }
    }

    /// `bad system call`
    private func name(of signal: Int32) -> String {
        strsignal(signal).map { String(cString: $0).lowercased() } ?? String(signal)
    }

    private func watch(_ pid: pid_t) throws(SystemError) -> Descriptor {
        do throws(SystemError) {
            return try Pidfd.open(pid)
        } catch {
            kill(pid, SIGKILL)
            _ = try? Spawn.wait(pid)
            throw error
        }
    }

    private func read(into said: inout [UInt8]) {
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Glibc.read(output.raw, &chunk, chunk.count)
            guard count > 0 else { return }
            if said.count < 2000 { said.append(contentsOf: chunk[..<count]) }
        }
    }
}

enum MonotonicClock {
    static var milliseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
