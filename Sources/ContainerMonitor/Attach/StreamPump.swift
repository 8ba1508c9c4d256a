import LinuxSystem

/// A thread that moves bytes from one descriptor to another until the source
/// ends, the sink breaks, or it is told to finish. It never changes the mode of
/// descriptors that other processes share (a shell's terminal), and splices
/// where a pipe allows it.
final class StreamPump: @unchecked Sendable {
    enum Outcome: Int32 {
        case sourceEnded = 1, sinkBroken, finished, detached
    }

    private let source: Int32
    private let sink: Int32
    private nonisolated(unsafe) var owned: [SharedDescriptor]
    private let wake: SharedDescriptor
    private let finishing: SharedDescriptor
    private var matcher: DetachKeyMatcher?
    private let drains: Bool
    private var thread = pthread_t()
    // Written by the thread before it writes to `wake`, read after that: the
    // kernel orders the two.
    private nonisolated(unsafe) var result: Outcome?
    private let lock: UnsafeMutablePointer<pthread_mutex_t>

    /// - Parameters:
    ///   - owned: descriptors to keep open until the end and to close then.
    ///   - wake: an eventfd to write to at the end.
    ///   - drains: told to finish, it first moves what is there.
    init(
        from source: Int32, to sink: Int32, owning owned: [SharedDescriptor], wake: SharedDescriptor,
        detachKeys: DetachKeys? = nil, drains: Bool
    ) throws(SystemError) {
        self.source = source
        self.sink = sink
        self.owned = owned
        self.wake = wake
        self.drains = drains
        matcher = detachKeys.map(DetachKeyMatcher.init)
        finishing = SharedDescriptor(
            Descriptor(owning: try retrying("eventfd") { eventfd(0, Int32(EFD_CLOEXEC)) }))
        lock = .allocate(capacity: 1)
        pthread_mutex_init(lock, nil)
    }

    deinit {
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    var outcome: Outcome? {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return result
    }

    func start() throws(SystemError) {
        // The thread holds the pump until it ends, whoever else lets go of it.
        let argument = Unmanaged.passRetained(self).toOpaque()
        let errno = pthread_create(&thread, nil, { StreamPump.main($0!) }, argument)
        if errno != 0 {
            Unmanaged<StreamPump>.fromOpaque(argument).release()
            throw SystemError("create thread", "", Errno(errno))
        }
        pthread_detach(thread)
    }

    private static func main(_ argument: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
        let pump = Unmanaged<StreamPump>.fromOpaque(argument).takeRetainedValue()
        // A broken sink shall be an error here, and no signal to the program.
        SignalMask.block([SIGPIPE])
        pump.end(pump.run())
        return nil
    }

    private func end(_ outcome: Outcome) {
        pthread_mutex_lock(lock)
        result = outcome
        owned = []
        pthread_mutex_unlock(lock)
        Self.notify(wake.raw)
    }

    func finish() { Self.notify(finishing.raw) }

    static func notify(_ eventFD: Int32) {
        var one: UInt64 = 1
        _ = Glibc.write(eventFD, &one, 8)
    }

    private static let size = 1 << 18

    private func run() -> Outcome {
        var splices = matcher == nil
        var isFinishing = false
        let buffer = PageBuffer(size: Self.size)
        while true {
            // Asked before each read: the source may block, being another's.
            if !(isFinishing && drains) {
                if !wait(for: source, Int16(POLLIN), orFinish: true) {
                    guard drains else { return .finished }
                    isFinishing = true
                }
            }
            var count = -1
            if splices {
                count = splice(source, nil, sink, nil, 1 << 20, UInt32(SPLICE_F_MOVE | SPLICE_F_NONBLOCK))
                if count < 0 {
                    switch Errno.current {
                    case .again:
                        if isFinishing, !isReady(source) { return .finished }
                        if !wait(for: sink, Int16(POLLOUT), orFinish: !drains) { return .finished }
                        continue
                    case .interrupted: continue
                    case .brokenPipe: return .sinkBroken
                    default:
                        // Neither is a pipe, or the sink is a file opened to append.
                        splices = false
                    }
                }
            }
            if count < 0 {
                if isFinishing, !isReady(source) { return .finished }
                count = read(source, buffer.bytes, Self.size)
                if count < 0 {
                    let errno = Errno.current
                    if errno == .again || errno == .interrupted { continue }
                    return .sourceEnded
                }
                if count > 0 {
                    let bytes = UnsafeRawBufferPointer(start: buffer.bytes, count: count)
                    if matcher != nil {
                        let filtered = matcher!.filter(bytes)
                        if let outcome = filtered.output.withUnsafeBytes({ writeAll($0) }) { return outcome }
                        if filtered.detaches { return .detached }
                    } else if let outcome = writeAll(bytes) {
                        return outcome
                    }
                }
            }
            if count == 0 { return .sourceEnded }
        }
    }

    /// - Returns: nil when all was written.
    private func writeAll(_ bytes: UnsafeRawBufferPointer) -> Outcome? {
        var done = 0
        while done < bytes.count {
            let count = Glibc.write(sink, bytes.baseAddress! + done, bytes.count - done)
            if count >= 0 {
                done += count
                continue
            }
            switch Errno.current {
            case .interrupted: continue
            case .again:
                if !wait(for: sink, Int16(POLLOUT), orFinish: !drains) { return .finished }
            default: return .sinkBroken
            }
        }
        return nil
    }

    /// - Returns: false when told to finish. What is ready goes before that
    ///   in a pump that drains, and after it in another.
    private func wait(for fd: Int32, _ events: Int16, orFinish: Bool) -> Bool {
        var entries = [
            pollfd(fd: fd, events: events, revents: 0),
            pollfd(fd: orFinish ? finishing.raw : -1, events: Int16(POLLIN), revents: 0),
        ]
        while poll(&entries, 2, -1) <= 0 {}
        if entries[0].revents != 0, drains { return true }
        return entries[1].revents == 0
    }

    private func isReady(_ fd: Int32) -> Bool {
        var entry = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 0) > 0
    }
}
