import LinuxSystem

/// A CRIU process that takes requests from us alone (`criu swrk`, as CRIU's own library starts it).
///
/// It ends when our end of the socket is closed; what it is doing then, it undoes.
final class CRIUService {
    let pid: pid_t
    private var pidfd: HeldDescriptor?
    private var socket: HeldDescriptor?
    let version: CRIUVersion

    /// The first whose protocol tells its version.
    private static let oldest = CRIUVersion(major: 3, minor: 0)
    /// How long CRIU may take to undo what it has begun.
    private static let patience: Int32 = 20_000
    /// Notifications and errors are far shorter.
    private static let responseLimit = 64 << 10

    /// - Parameters:
    ///   - streams: the standard streams of the process, which a restored container inherits.
    ///   - inherited: what it has open from descriptor 4 on.
    init(_ program: String, streams: [Int32?] = [nil, nil, nil], inherited: [Int32] = []) throws(RuntimeError)
    {
        let ends = try during("make the channel to CRIU") { () throws(SystemError) in
            try UnixSocket.pair()
        }
        let started: pid_t
        do throws(SystemError) {
            started = try Spawn.start(
                program, [program, "swrk", "3"], descriptors: streams + [ends.second.raw] + inherited)
        } catch  where error.errno == .noEntry {
            throw RuntimeError(
                .unsupported,
                "\(program) was not found: checkpoint and restore need CRIU \(Self.oldest) or newer"
                    + " (package criu) in PATH, or its path in --criu")
        } catch {
            throw RuntimeError(.system, "start CRIU", cause: error)
        }
        pid = started
        let ours = ends.first
        // Closed here, so that its death is seen.
        _ = consume ends.second
        do throws(RuntimeError) {
            let watch = try during("watch CRIU") { () throws(SystemError) in try Pidfd.open(started) }
            version = try Self.askVersion(ours.raw, program)
            guard version >= Self.oldest else {
                throw RuntimeError(
                    .unsupported,
                    "\(program) is version \(version): checkpoint and restore need CRIU \(Self.oldest) or newer"
                )
            }
            pidfd = HeldDescriptor(watch)
            socket = HeldDescriptor(ours)
        } catch {
            kill(started, SIGKILL)
            _ = try? Spawn.wait(started)
            throw error
        }
    }

    private static func askVersion(_ socket: Int32, _ program: String) throws(RuntimeError) -> CRIUVersion {
        do throws(RuntimeError) {
            try send(.version, socket)
            if let version = try receive(socket).response.version { return version }
        } catch {}
        throw RuntimeError(
            .unsupported,
            "\(program) does not tell its version: checkpoint and restore need CRIU \(oldest) or newer")
    }

    /// - Throws: `.unsupported` when it is older.
    func require(_ version: CRIUVersion, for what: String) throws(RuntimeError) {
        guard self.version >= version else {
            throw RuntimeError(.unsupported, "\(what) needs CRIU \(version) or newer, not \(self.version)")
        }
    }

    /// - Throws: `.unsupported` naming what CRIU or the kernel cannot do.
    func require(_ features: CRIUFeatures) throws(RuntimeError) {
        guard !features.isEmpty, let socket = socket?.descriptor.raw else { return }
        try Self.send(.features(features), socket)
        let response = try Self.receive(socket).response
        guard response.succeeded, let found = response.features else {
            throw RuntimeError(.system, "CRIU feature check failed")
        }
        if features.tracksMemory, !found.tracksMemory {
            throw RuntimeError(
                .unsupported, "CRIU is missing features: MemTrack (the kernel does not track dirty memory)")
        }
        if features.lazyPages, !found.lazyPages {
            throw RuntimeError(
                .unsupported, "CRIU is missing features: LazyPages (the kernel's userfaultfd lacks them)")
        }
    }

    /// What CRIU says while it works. The descriptors go with `orphan-pts-master`.
    struct Notification: ~Copyable {
        var script: String
        var pid: pid_t?
        var descriptors: PassedDescriptors
    }

    /// Makes a request and waits until it is done and CRIU has ended.
    /// - Parameter notified: called at each notification; CRIU waits for it. When it throws, CRIU
    ///   undoes everything.
    /// - Returns: the first process of what was restored.
    func perform(
        _ request: CRIURequest, _ notified: (inout Notification) throws(RuntimeError) -> Void
    ) throws(RuntimeError) -> pid_t? {
        guard let raw = socket?.descriptor.raw else { throw RuntimeError(.system, "CRIU has ended") }
        do throws(RuntimeError) {
            try Self.send(request, raw)
            let final = try Self.converse(raw, notified)
            guard final.kind == request.kind else {
                throw RuntimeError(.system, "CRIU answered what was not asked")
            }
            socket = nil
            let status = try end(patience: nil)
            // After a pre-dump it waits for the dump, and takes the end of the channel for a failure.
            if request.kind != .preDump, let status, status.exitCode != 0 {
                throw RuntimeError(.system, "criu failed: exit status \(status.exitCode)")
            }
            return final.pid
        } catch {
            stop()
            throw error
        }
    }

    private static func converse(
        _ socket: Int32, _ notified: (inout Notification) throws(RuntimeError) -> Void
    ) throws(RuntimeError) -> CRIUResponse {
        while true {
            var received = try receive(socket)
            let response = received.response
            guard response.succeeded else {
                throw RuntimeError(.system, "criu failed: " + Self.reason(response))
            }
            guard response.kind == .notify else { return response }
            var notification = Notification(
                script: response.script ?? "", pid: response.pid,
                descriptors: PassedDescriptors(owning: received.takeDescriptors()))
            try notified(&notification)
            try send(.done, socket)
        }
    }

    private static func reason(_ response: CRIUResponse) -> String {
        let words = response.reason.map { Array($0.utf8).split(separator: UInt8(ascii: "\n")) } ?? []
        if let first = words.first { return String(decoding: first, as: UTF8.self) }
        return response.errno == 0 ? "it gives no reason" : "\(Errno(response.errno))"
    }

    /// Ends it when it has not ended, with what it has begun undone. No error: this is for failures.
    func stop() {
        socket = nil
        _ = try? end(patience: Self.patience)
    }

    /// Waits for the end of the process, and makes it when that does not come in time.
    private func end(patience: Int32?) throws(RuntimeError) -> WaitStatus? {
        guard let watch = pidfd else { return nil }
        pidfd = nil
        let hasEnded = (try? Pidfd.waitForEnd(watch.descriptor.raw, milliseconds: patience)) ?? false
        if !hasEnded { kill(pid, SIGKILL) }
        let pid = pid
        return try during("wait for CRIU") { () throws(SystemError) in try Spawn.wait(pid) }
    }

    // MARK: - Messages

    private struct Received: ~Copyable {
        let response: CRIUResponse
        var descriptors: PassedDescriptors

        mutating func takeDescriptors() -> [Int32] {
            var raw: [Int32] = []
            while let descriptor = descriptors.takeFirst() { raw.append(descriptor.take()) }
            return raw
        }
    }

    private static func send(_ request: CRIURequest, _ socket: Int32) throws(RuntimeError) {
        try during("talk to CRIU") { () throws(SystemError) in
            try UnixSocket.send(socket, request.bytes)
        }
    }

    private static func receive(_ socket: Int32) throws(RuntimeError) -> Received {
        let message = try during("talk to CRIU") { () throws(SystemError) in
            try UnixSocket.receive(socket, limit: responseLimit)
        }
        if message.bytes.isEmpty { throw RuntimeError(.system, "CRIU ended before it was done") }
        guard let response = CRIUResponse(message.bytes) else {
            throw RuntimeError(.system, "CRIU broke the protocol")
        }
        return Received(response: response, descriptors: message.descriptors)
    }
}
