import LinuxSystem

/// The monitor's side of one connection on the attach socket.
final class AttachedClient {
    let socket: SharedDescriptor
    var hello: AttachMessage.Hello?
    var stdout: ClientPipe?
    var stderr: ClientPipe?
    var holdsInput = false
    /// The run that it was attached to has ended so: it gets this once it has all output.
    var exitCode: Int32?
    var heardExit = false

    init(_ socket: consuming Descriptor) { self.socket = SharedDescriptor(socket) }

    func pipe(_ stream: LogStream) -> ClientPipe? { stream == .stdout ? stdout : stderr }

    func closePipe(_ stream: LogStream) {
        if stream == .stdout { stdout = nil } else { stderr = nil }
    }

    var isFlushed: Bool { stdout?.isBlocked != true && stderr?.isBlocked != true }
}

/// The pipe that carries one stream to a client. The client empties it at its
/// own pace; what does not fit waits here.
final class ClientPipe {
    let descriptor: SharedDescriptor
    private var waiting: [UInt8] = []
    private var sent = 0
    /// Full as far as we know: epoll will tell of room.
    private(set) var isBlocked = false
    /// When it last took something, in seconds of the monotonic clock.
    private(set) var lastProgress = 0

    init(_ descriptor: consuming Descriptor) throws(SystemError) {
        let status = try FD.stat(descriptor.raw)
        guard status.st_mode & S_IFMT == S_IFIFO else {
            throw SystemError("attach", "descriptor", Errno(EINVAL))
        }
        // The file description is the client's writing end, which it has closed.
        try FD.setNonBlocking(descriptor.raw, true)
        self.descriptor = SharedDescriptor(descriptor)
    }

    /// - Throws: EPIPE when the client reads no more.
    func write(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        var rest = bytes
        if !isBlocked { rest = UnsafeRawBufferPointer(rebasing: bytes[try writeNow(bytes)...]) }
        if !rest.isEmpty {
            block()
            waiting.append(contentsOf: rest)
        }
    }

    /// Writes what waits, after epoll said that there is room.
    func resume() throws(SystemError) {
        isBlocked = false
        lastProgress = Self.now
        guard !waiting.isEmpty else { return }
        var count = 0
        var failure: SystemError?
        waiting.withUnsafeBytes { bytes in
            do throws(SystemError) {
                count = try writeNow(UnsafeRawBufferPointer(rebasing: bytes[sent...]))
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        sent += count
        if sent == waiting.count {
            waiting = []
            sent = 0
        } else {
            isBlocked = true
        }
    }

    /// Moves bytes from a pipe without copying them.
    /// - Returns: how many; 0 when the client's pipe is full, nil at the source's end.
    func splice(from source: Int32, _ count: Int) throws(SystemError) -> Int? {
        let raw = descriptor.raw
        do throws(SystemError) {
            let moved = try retrying("splice") {
                LinuxSystem.splice(source, nil, raw, nil, count, UInt32(SPLICE_F_NONBLOCK | SPLICE_F_MOVE))
            }
            return moved == 0 ? nil : moved
        } catch  where error.errno == .again {
            block()
            return 0
        }
    }

    private func block() {
        if !isBlocked { lastProgress = Self.now }
        isBlocked = true
    }

    private func writeNow(_ bytes: UnsafeRawBufferPointer) throws(SystemError) -> Int {
        var done = 0
        let raw = descriptor.raw
        while done < bytes.count {
            do throws(SystemError) {
                done += try retrying("write") {
                    Glibc.write(raw, bytes.baseAddress! + done, bytes.count - done)
                }
            } catch  where error.errno == .again {
                break
            }
        }
        return done
    }

    static var now: Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec
    }
}
