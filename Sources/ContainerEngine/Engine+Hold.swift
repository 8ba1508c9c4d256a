import ContainerMonitor
import ContainerRuntime
import LinuxSystem
import OCISpec
import Synchronization

/// A container that stands still until the value goes: however this process
/// ends, its helper lets the container go on. Where the helper is killed too,
/// the next command's sweep does.
public final class HeldContainer: Sendable {
    private let helper: Mutex<pid_t?>
    private let line: Descriptor

    fileprivate init(helper: pid_t, line: consuming Descriptor) {
        self.helper = Mutex(helper)
        self.line = line
    }

    /// Lets the container go on; it does when this returns.
    public func release() {
        helper.withLock { helper in
            guard let pid = helper else { return }
            shutdown(line.raw, Int32(SHUT_WR))
            _ = try? Spawn.wait(pid)
            helper = nil
        }
    }

    deinit { release() }
}

extension Engine {
    private var holds: String { "\(runRoot)/held" }

    /// Stops a running container's processes where they are.
    /// - Returns: nil for one that does not run, or stands still already.
    public func hold(_ record: ContainerRecord) throws(EngineError) -> HeldContainer? {
        guard try status(of: record.id)?.process != nil, !isPaused(record) else { return nil }
        return try engineErrors("pause container \(record.name)") {
            var ends: [Int32] = [-1, -1]
            _ = try retrying("socketpair") {
                socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0, &ends)
            }
            let line = Descriptor(owning: ends[0])
            let theirs = Descriptor(owning: ends[1])
            // A session of its own: what ends our process group leaves it alone.
            let helper = try Spawn.start(
                programs.own,
                [programs.own, "--root", root, "--runroot", runRoot, "container", "hold", record.id],
                descriptors: [theirs.raw, theirs.raw, 2], newSession: true)
            _ = consume theirs
            var answer: UInt8 = 0
            let count = try withUnsafeMutableBytes(of: &answer) { try FD.read(line.raw, into: $0) }
            let held = HeldContainer(helper: helper, line: line)
            if count == 1 { return held }
            // It has said why.
            throw EngineError(.failed, "the container was not paused")
        }
    }

    /// The helper's work: stops the container, says so, and lets it go on when
    /// nobody listens any more.
    public func holdUntilEnd(_ name: String, input: Int32, output: Int32) throws(EngineError) {
        let record = try find(name)
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] { Glibc.signal(signal, SIG_IGN) }
        try engineErrors("pause container \(record.name)") {
            try File.makeDirectories(holds, mode: 0o700)
            let lock = try FileLock("\(holds)/\(record.id)")
            do throws(EngineError) {
                try change(record, to: .paused)
            } catch {
                try? File.unlink("\(holds)/\(record.id)")
                throw error
            }
            try FD.writeAll(output, "h")
            var byte: UInt8 = 0
            while try withUnsafeMutableBytes(of: &byte, { try FD.read(input, into: $0) }) > 0 {}
            try letGo(record)
            _ = consume lock
        }
    }

    private func letGo(_ record: ContainerRecord) throws(EngineError) {
        // One that was killed meanwhile has nothing to go on with.
        if isPaused(record) { try change(record, to: .running) }
        try? File.unlink("\(holds)/\(record.id)")
    }

    /// Lets containers go on that a killed process held.
    func sweepHolds() {
        guard let names = try? File.names(in: holds), !names.isEmpty else { return }
        for name in names {
            guard let lock = try? FileLock.attempt("\(holds)/\(name)") else { continue }
            if let record = try? find(name) {
                try? letGo(record)
            } else {
                try? File.unlink("\(holds)/\(name)")
            }
            _ = consume lock
        }
    }

    private enum Motion: String { case paused, running }

    private func isPaused(_ record: ContainerRecord) -> Bool {
        guard let program = record.spec.runtime else {
            return (try? Runtime(root: runtimeRoot).state(record.id).status) == .paused
        }
        guard let ends = try? FD.pipe(),
            let pid = try? Spawn.start(
                program, [program, "--root", runtimeRoot, "state", record.id],
                descriptors: [nil, ends.writing.raw, nil])
        else { return false }
        let reading = ends.reading
        _ = consume ends.writing
        let text = (try? FD.readAll(reading.raw, limit: 1 << 20)) ?? []
        _ = try? Spawn.wait(pid)
        return String(decoding: text, as: UTF8.self).filter { !$0.isWhitespace }.contains(
            "\"status\":\"paused\"")
    }

    private func change(_ record: ContainerRecord, to motion: Motion) throws(EngineError) {
        guard let program = record.spec.runtime else {
            let runtime = Runtime(root: runtimeRoot)
            return try engineErrors {
                if motion == .paused { try runtime.pause(record.id) } else { try runtime.resume(record.id) }
            }
        }
        let verb = motion == .paused ? "pause" : "resume"
        try engineErrors {
            let pid = try Spawn.start(
                program, [program, "--root", runtimeRoot, verb, record.id], descriptors: [nil, nil, 2])
            guard try Spawn.wait(pid).exitCode == 0 else {
                throw EngineError(.failed, "\(program) \(verb) failed")
            }
        }
    }
}
