public import LinuxSystem

/// A talk with a running monitor on its attach socket, without streams.
public final class MonitorConnection {
    let socket: SharedDescriptor

    /// - Throws: `noMonitor` when none listens there.
    public init(_ attachSocket: String) throws(MonitorError) {
        do throws(SystemError) {
            socket = SharedDescriptor(try UnixSocket.connect(attachSocket))
        } catch  where error.errno == .noEntry || error.errno.rawValue == ECONNREFUSED {
            throw MonitorError(.noMonitor, "no monitor listens at \(attachSocket)")
        } catch {
            throw MonitorError(error)
        }
    }

    func send(_ message: AttachMessage, descriptors: [Int32] = []) throws(MonitorError) {
        do throws(SystemError) {
            try UnixSocket.send(socket.raw, message.bytes, descriptors: descriptors)
        } catch  where error.errno == .brokenPipe || error.errno.rawValue == ECONNRESET {
            throw MonitorError(.monitorDied, "the container's monitor ended")
        } catch {
            throw MonitorError(error)
        }
    }

    /// - Returns: the message and the descriptor that came with it.
    func receive() throws(MonitorError) -> (AttachMessage, SharedDescriptor?) {
        do throws(SystemError) {
            var message = try UnixSocket.receive(socket.raw, limit: AttachMessage.limit)
            if message.bytes.isEmpty { throw SystemError("receive", "", Errno(ECONNRESET)) }
            guard let word = AttachMessage(message.bytes) else {
                throw SystemError("receive", "message", Errno(EBADMSG))
            }
            guard let fd = message.descriptors.takeFirst() else { return (word, nil) }
            return (word, SharedDescriptor(fd))
        } catch  where error.errno.rawValue == ECONNRESET {
            throw MonitorError(.monitorDied, "the container's monitor ended")
        } catch {
            throw MonitorError(error)
        }
    }

    private func ask(_ message: AttachMessage) throws(MonitorError) {
        try send(message)
        guard case (.done(let errno), _) = try receive() else {
            throw MonitorError(.invalidDocument, "the monitor answered out of turn")
        }
        if errno != 0 { throw MonitorError(SystemError("signal", "container", Errno(errno))) }
    }

    /// From its return on the container is not started again when it ends.
    /// One that waits for its restart has ended for good.
    public func requestStop() throws(MonitorError) { try ask(.requestStop) }

    /// Sends a signal to the container's first process.
    public func signal(_ number: Int32) throws(MonitorError) { try ask(.signal(number)) }

    /// Sets the size of the container's terminal, if it has one.
    public func resize(_ size: Terminal.Size) throws(MonitorError) { try send(.resize(size)) }

    /// Waits for the end of the present run.
    /// - Returns: the exit code.
    public func waitForExit() throws(MonitorError) -> Int32 {
        try send(.hello([]))
        while true {
            if case (.exited(let code), _) = try receive() { return code }
        }
    }
}
