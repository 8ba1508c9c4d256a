import LinuxSystem

/// One of the container's output streams: a pipe's reading end, or the terminal's master.
final class ContainerOutput {
    let stream: LogStream
    let descriptor: SharedDescriptor
    /// The terminal's other side, held open.
    var peer: SharedDescriptor?
    /// epoll tells of it. Not while a client is full, and not after its end.
    var isWatched = false
    var hasEnded = false

    init(_ stream: LogStream, _ descriptor: consuming Descriptor) {
        self.stream = stream
        self.descriptor = SharedDescriptor(descriptor)
    }

    init(_ stream: LogStream, _ descriptor: SharedDescriptor) {
        self.stream = stream
        self.descriptor = descriptor
    }
}

/// Output's way from the container to the log and to the clients.
///
/// A client that is full holds the stream up, and so in the end the container,
/// as a pipe in a shell does: nothing is lost, and the log does not run ahead.
/// The foreground client may do so for as long as it likes; another one that
/// takes nothing for `clientPatience` seconds is dropped, so that a forgotten
/// terminal stops no service.
extension Monitor {
    func watch(_ output: ContainerOutput) {
        guard !output.isWatched, !output.hasEnded else { return }
        let fd = output.descriptor.raw
        output.isWatched = (try? epoll.add(fd, .readable, tag: EventSource.output.tag(fd))) != nil
    }

    /// Removed and not masked: epoll reports a hang-up whether asked to or not.
    private func unwatch(_ output: ContainerOutput) {
        guard output.isWatched else { return }
        try? epoll.remove(output.descriptor.raw)
        output.isWatched = false
    }

    /// Clients of this run that have a pipe for the stream.
    private func receivers(_ stream: LogStream) -> [AttachedClient] {
        clients.filter { $0.exitCode == nil && $0.pipe(stream) != nil }
    }

    /// Moves what is there.
    func relay(_ output: ContainerOutput) {
        // A few rounds, then the others' turn.
        for _ in 0..<4 {
            if receivers(output.stream).contains(where: { $0.pipe(output.stream)!.isBlocked }) {
                unwatch(output)
                return
            }
            switch move(output) {
            case .some: continue
            case .none: return
            case .end:
                unwatch(output)
                output.hasEnded = true
                return
            }
        }
    }

    /// Everything that the stream still holds, after the container's end.
    func drain(_ output: ContainerOutput) {
        // Bounded by the pipe's size: processes outside the container may hold
        // the other end and write on.
        var rounds = 0
        while !output.hasEnded, rounds < 64, case .some = move(output, copying: true) { rounds += 1 }
    }

    private enum Move { case some, none, end }

    private func move(_ output: ContainerOutput, copying: Bool = false) -> Move {
        let fd = output.descriptor.raw
        let receivers = receivers(output.stream)
        if !copying, log == nil, !request.terminal, receivers.count == 1,
            let pipe = receivers[0].pipe(output.stream)
        {
            do throws(SystemError) {
                guard let count = try pipe.splice(from: fd, 1 << 20) else { return .end }
                if count == 0 { watchPipe(pipe, of: receivers[0]) }
                return .some
            } catch {
                if error.errno == .brokenPipe { receivers[0].closePipe(output.stream) }
                // Else a kernel or a kind of file that cannot: copy.
            }
        }
        let count = read(fd, readBuffer.bytes, Self.readSize)
        if count < 0 {
            let errno = Errno.current
            if errno == .again || errno == .interrupted { return .none }
            // EIO: the terminal's other side has been closed by all.
            return .end
        }
        if count == 0 { return .end }
        let bytes = UnsafeRawBufferPointer(start: readBuffer.bytes, count: count)
        // Clients first: a log on a slow disk shall not delay a prompt.
        for client in receivers { send(bytes, output.stream, to: client) }
        log?.write(output.stream, bytes)
        return .some
    }

    private func send(_ bytes: UnsafeRawBufferPointer, _ stream: LogStream, to client: AttachedClient) {
        guard let pipe = client.pipe(stream) else { return }
        let wasBlocked = pipe.isBlocked
        do throws(SystemError) {
            try pipe.write(bytes)
        } catch {
            closePipe(stream, of: client)
            return
        }
        if pipe.isBlocked, !wasBlocked { watchPipe(pipe, of: client) }
    }

    private func watchPipe(_ pipe: ClientPipe, of client: AttachedClient) {
        let fd = pipe.descriptor.raw
        try? epoll.add(fd, .writable, tag: EventSource.clientPipe.tag(fd))
        if client.hello?.contains(.foreground) == false {
            stallTimer.arm(milliseconds: request.clientPatience * 1000)
        }
    }

    func closePipe(_ stream: LogStream, of client: AttachedClient) {
        if let pipe = client.pipe(stream), pipe.isBlocked { try? epoll.remove(pipe.descriptor.raw) }
        client.closePipe(stream)
        resumeOutputs()
    }

    /// A client's pipe has room again, or its reader is gone.
    func handlePipe(_ fd: Int32, _ events: Epoll.Events) {
        for client in clients {
            for stream in [LogStream.stdout, .stderr] {
                guard let pipe = client.pipe(stream), pipe.descriptor.raw == fd, pipe.isBlocked else {
                    continue
                }
                do throws(SystemError) {
                    try pipe.resume()
                } catch {
                    try? epoll.remove(fd)
                    client.closePipe(stream)
                }
                if !pipe.isBlocked { try? epoll.remove(fd) }
                resumeOutputs()
                return
            }
        }
    }

    func resumeOutputs() {
        for output in outputs where record.phase != .creating { watch(output) }
    }

    /// The stall timer went off.
    func dropStalledClients() {
        var wait: Int?
        for client in clients where client.hello?.contains(.foreground) == false {
            let stalled = [client.stdout, client.stderr].compactMap { $0 }.filter(\.isBlocked)
            guard let last = stalled.map(\.lastProgress).min() else { continue }
            let left = last + request.clientPatience - ClientPipe.now
            if left <= 0 {
                try? UnixSocket.send(client.socket.raw, AttachMessage.dropped.bytes)
                remove(client)
            } else {
                wait = min(wait ?? left, left)
            }
        }
        if let wait { stallTimer.arm(milliseconds: wait * 1000) }
    }
}
