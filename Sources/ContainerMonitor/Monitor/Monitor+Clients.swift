import LinuxSystem

/// The attach socket's server.
extension Monitor {
    private static let maximumClients = 256

    func acceptClients() {
        while let socket = try? UnixSocket.accept(listener.raw, nonBlocking: true) {
            // Refused by closing: the listener's queue must not stay readable.
            if clients.count >= Self.maximumClients { continue }
            let raw = socket.raw
            let client = AttachedClient(socket)
            guard (try? epoll.add(raw, .readable, tag: EventSource.client.tag(raw))) != nil else { continue }
            clients.append(client)
        }
    }

    func remove(_ client: AttachedClient) {
        guard let position = clients.firstIndex(where: { $0 === client }) else { return }
        clients.remove(at: position)
        try? epoll.remove(client.socket.raw)
        for pipe in [client.stdout, client.stderr].compactMap({ $0 }) where pipe.isBlocked {
            try? epoll.remove(pipe.descriptor.raw)
        }
        endInput(of: client)
        resumeOutputs()
    }

    func handleMessages(of client: AttachedClient) {
        while clients.contains(where: { $0 === client }) {
            var message: UnixSocket.Message
            do throws(SystemError) {
                message = try UnixSocket.receive(client.socket.raw, limit: AttachMessage.limit)
            } catch {
                if error.errno != .again { remove(client) }
                return
            }
            guard let word = AttachMessage(message.bytes) else {
                remove(client)
                return
            }
            handle(word, &message.descriptors, of: client)
        }
    }

    private func handle(
        _ message: AttachMessage, _ descriptors: inout PassedDescriptors, of client: AttachedClient
    ) {
        switch message {
        case .hello(let hello):
            guard client.hello == nil else { return remove(client) }
            welcome(client, hello, &descriptors)
        case .resize(let size):
            if let terminal { try? Terminal.setSize(of: terminal.raw, size) }
        case .signal(let number):
            answer(client, .done(signal(number)))
        case .inputEnded:
            endInput(of: client)
        case .requestStop:
            requestStop()
            answer(client, .done(0))
        case .cleaned:
            if client.cleansUp, client.heardExit {
                exitCommandDone = true
                remove(client)
            }
        case .attached, .done, .exited, .dropped:
            remove(client)
        }
    }

    private func welcome(
        _ client: AttachedClient, _ hello: AttachMessage.Hello, _ descriptors: inout PassedDescriptors
    ) {
        client.hello = hello
        do throws(SystemError) {
            if hello.contains(.stdout), let fd = descriptors.takeFirst() {
                client.stdout = try ClientPipe(fd)
            }
            if hello.contains(.stderr), let fd = descriptors.takeFirst() {
                client.stderr = try ClientPipe(fd)
            }
            var passed: [Int32] = []
            if hello.contains(.stdin), let input {
                passed = [input.raw]
                client.holdsInput = true
            }
            try UnixSocket.send(
                client.socket.raw, AttachMessage.attached(isTerminal: request.terminal).bytes,
                descriptors: passed)
        } catch {
            remove(client)
            return
        }
        if record.phase == .exited, let code = record.exit.exitCode { client.exitCode = code }
    }

    private func answer(_ client: AttachedClient, _ message: AttachMessage) {
        do throws(SystemError) {
            try UnixSocket.send(client.socket.raw, message.bytes)
        } catch {
            // A client that reads no answers is none.
            remove(client)
        }
    }

    private func signal(_ number: Int32) -> Int32 {
        guard let containerPID, unhandledExit == nil, (1...64).contains(number) else { return ESRCH }
        return kill(containerPID, number) == 0 ? 0 : Errno.current.rawValue
    }

    /// With `stdinOnce` the container's input ends with its first client's.
    private func endInput(of client: AttachedClient) {
        guard client.holdsInput else { return }
        client.holdsInput = false
        if request.stdinOnce, !request.terminal, client.exitCode == nil { input = nil }
    }

    /// Tells a client of the exit once it has all output, and lets it go.
    func finish(_ client: AttachedClient) {
        guard let code = client.exitCode, !client.heardExit, client.isFlushed else { return }
        // Between runs there is nothing to clean up, so nothing to wait for.
        if record.phase == .exited, !isOver { return }
        // The ends of the pipes are the ends of the streams.
        client.stdout = nil
        client.stderr = nil
        client.heardExit = true
        let sent: Void? = try? UnixSocket.send(client.socket.raw, AttachMessage.exited(code).bytes)
        if sent == nil || !client.cleansUp || record.phase != .exited { remove(client) }
    }
}
