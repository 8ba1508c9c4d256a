import LinuxSystem

/// The life of a run: create, start, exit, and what comes after.
extension Monitor {
    /// Makes the streams and has the worker create the container.
    func startRun(restarting: Bool) {
        do throws(SystemError) {
            let ends = try openStreams()
            let worker = try RuntimeWorker.fork(
                request,
                .run(
                    ContainerStdio(input: ends.input.raw, output: ends.output.raw, error: ends.error.raw),
                    afterDeleting: restarting, starts: restarting), oomScore: oomScore)
            try epoll.add(worker.socket.raw, .readable, tag: EventSource.worker.tag(worker.socket.raw))
            self.worker = worker
        } catch {
            failRun(MonitorError(error))
        }
    }

    /// Our ends are kept; the container's are for the worker.
    private func openStreams() throws(SystemError)
        -> (input: SharedDescriptor, output: SharedDescriptor, error: SharedDescriptor)
    {
        closeStreams()
        let null = SharedDescriptor(try File.open("/dev/null", O_RDWR))
        if request.terminal { return (null, null, null) }
        func output(_ stream: LogStream) throws(SystemError) -> SharedDescriptor {
            let ends = try FD.pipe()
            let writing = ends.writing.take()
            let reading = ends.reading.take()
            try FD.setNonBlocking(reading, true)
            // Room for a burst while a client or the log takes its time.
            _ = linux_fcntl(reading, F_SETPIPE_SZ, Monitor.readSize)
            outputs.append(ContainerOutput(stream, Descriptor(owning: reading)))
            return SharedDescriptor(Descriptor(owning: writing))
        }
        let stdout = try output(.stdout)
        let stderr = try output(.stderr)
        guard request.openStdin else { return (null, stdout, stderr) }
        let ends = try FD.pipe()
        let reading = ends.reading.take()
        let writing = ends.writing.take()
        // Clients share this file description: none may sleep in a full pipe.
        try FD.setNonBlocking(writing, true)
        _ = linux_fcntl(writing, F_SETPIPE_SZ, Monitor.readSize)
        input = SharedDescriptor(Descriptor(owning: writing))
        return (SharedDescriptor(Descriptor(owning: reading)), stdout, stderr)
    }

    func closeStreams() {
        for output in outputs where output.isWatched { try? epoll.remove(output.descriptor.raw) }
        outputs = []
        input = nil
        terminal = nil
    }

    func handleControl() {
        guard let control else { return }
        let message: ControlMessage?
        do {
            message = try ControlMessage.parse(
                UnixSocket.receive(control.raw, limit: ControlMessage.limit).bytes)
        } catch let error as SystemError where error.errno == .again {
            return
        } catch {
            message = nil
        }
        if message == .start, record.phase == .created, let worker {
            try? ControlMessage.start.send(to: worker.socket.raw)
            return
        }
        closeControl()
        if record.phase == .creating || record.phase == .created {
            // The engine is gone, and nobody else will start this container:
            // the worker sees the end of its socket and deletes it.
            abandoned = true
            if let worker { shutdown(worker.socket.raw, Int32(SHUT_WR)) }
        }
    }

    func closeControl() {
        if let control { try? epoll.remove(control.raw) }
        control = nil
    }

    func handleWorker() {
        guard let worker else { return }
        while true {
            do {
                var message = try UnixSocket.receive(worker.socket.raw, limit: ControlMessage.limit)
                switch try ControlMessage.parse(message.bytes) {
                case .created(let pid): created(pid, message.descriptors.takeFirst())
                case .started: started()
                case .failed(let error): workerFailure = error
                case .deleted, .start: break
                case nil: return endWorker()
                }
            } catch let error as SystemError where error.errno == .again {
                return
            } catch {
                return endWorker()
            }
        }
    }

    func endWorker() {
        if let worker { try? epoll.remove(worker.socket.raw) }
        worker = nil
        workerEnded()
    }

    private func created(_ pid: Int32, _ master: consuming Descriptor?) {
        containerPID = pid
        record.process = ProcessIdentity(of: pid)
        if let stranger = strangers.first(where: { $0.pid == pid }) { unhandledExit = stranger.status }
        strangers = []
        record.phase = .created
        oomKills = OOMKills(of: pid)
        takeTerminal(master)
        for output in outputs { watch(output) }
        writeStatus()
        if let control { try? ControlMessage.created(pid: pid).send(to: control.raw) }
    }

    private func takeTerminal(_ master: consuming Descriptor?) {
        guard let master = consume master else { return }
        takeTerminal(SharedDescriptor(master))
    }

    private func takeTerminal(_ master: SharedDescriptor) {
        try? FD.setNonBlocking(master.raw, true)
        terminal = master
        if request.openStdin { input = master }
        let output = ContainerOutput(.stdout, master)
        // While no process has the other side open, a master is not silent but
        // at its end (EIO), which comes and goes as programs close and reopen
        // /dev/console: holding the other side keeps it open.
        output.peer = try? SharedDescriptor(Terminal.peer(ofMaster: master.raw))
        outputs.append(output)
    }

    private func started() {
        record.phase = .running
        record.exit.startedAt = .now
        record.exit.finishedAt = nil
        record.exit.exitCode = nil
        record.exit.signal = nil
        record.exit.oomKilled = false
        record.exit.reason = nil
        writeStatus()
        if let control {
            try? record.exit.write(to: request.exitPath, durable: false)
            try? ControlMessage.started.send(to: control.raw)
        }
        closeControl()
        // The stop came while there was no process that it could have ended.
        if record.stopRequested, unhandledExit == nil, let containerPID { kill(containerPID, SIGKILL) }
    }

    /// The worker has closed its socket: all that it had to say was heard.
    private func workerEnded() {
        let failure = workerFailure
        workerFailure = nil
        switch record.phase {
        case .exited:
            isOver = true
            return
        case .running: return
        case .creating, .created, .restarting: break
        }
        if abandoned {
            failRun(MonitorError(.runtime, "the engine died before it started the container"))
        } else if failure != nil, record.phase == .created, record.stopRequested {
            // The stop ended the process between its start and its command: it was
            // started and stopped, as with other engines, and nothing has failed.
            let status = unhandledExit ?? WaitStatus(SIGKILL)
            unhandledExit = status
            started()
            unhandledExit = nil
            endRun(status)
        } else if let failure {
            failRun(failure)
        } else {
            failRun(MonitorError(.runtime, "the runtime's process died"), leftovers: true)
        }
    }

    /// The container could not be created or started: there is no other try,
    /// as with Docker.
    /// - Parameter leftovers: the runtime did not clean up.
    private func failRun(_ error: MonitorError, leftovers: Bool = false) {
        let wasAbandoned = abandoned
        closeStreams()
        strangers = []
        containerPID = nil
        record.process = nil
        record.phase = .exited
        record.exit.exitCode = error.exitCode == 125 ? 128 : error.exitCode
        record.exit.finishedAt = .now
        record.exit.reason = error.message
        writeStatus()
        try? record.exit.write(to: request.exitPath, durable: request.durableExit)
        for client in clients where client.exitCode == nil { client.exitCode = error.exitCode }
        if let control {
            try? ControlMessage.failed(error).send(to: control.raw)
            // The engine knows, and cleans up.
            if !wasAbandoned { exitCommandDone = true }
        }
        closeControl()
        if leftovers { deleteContainer() } else { isOver = true }
    }

    func endRun(_ status: WaitStatus) {
        for output in outputs { drain(output) }
        closeStreams()
        log?.end(.stdout)
        log?.end(.stderr)
        let now = Timestamp.now
        containerPID = nil
        record.process = nil
        record.exit.exitCode = status.exitCode
        record.exit.signal = status.signal
        record.exit.finishedAt = now
        record.exit.oomKilled = oomKills?.happened ?? false
        let ran = now.seconds - (record.exit.startedAt?.seconds ?? now.seconds)
        for client in clients where client.exitCode == nil && client.hello != nil {
            client.exitCode = status.exitCode
        }
        if !record.stopRequested,
            request.restart.wantsRestart(exitCode: status.exitCode, restarts: record.exit.restartCount)
        {
            record.phase = .restarting
            record.exit.restartCount += 1
            writeStatus()
            restartTimer.arm(milliseconds: delay.next(ranSeconds: ran))
        } else {
            finishForGood()
        }
    }

    /// A stop while the container waits for its restart ends the waiting.
    func requestStop() {
        record.stopRequested = true
        writeStatus()
        if record.phase == .restarting, worker == nil {
            restartTimer.disarm()
            finishForGood()
        }
    }

    private func finishForGood() {
        record.phase = .exited
        writeStatus()
        // Before anyone hears of it: who hears may remove the container.
        try? record.exit.write(to: request.exitPath, durable: request.durableExit)
        deleteContainer()
    }

    /// Has the runtime forget the container; at the worker's end all is over.
    private func deleteContainer() {
        do throws(SystemError) {
            let worker = try RuntimeWorker.fork(request, .delete, oomScore: oomScore)
            try epoll.add(worker.socket.raw, .readable, tag: EventSource.worker.tag(worker.socket.raw))
            self.worker = worker
        } catch {
            isOver = true
        }
    }

    func runExitCommand() {
        guard let program = request.exitCommand.first else {
            exitCommandDone = true
            return
        }
        // From here on nothing of this process is worth more than another's.
        try? File.write(oomScore, to: "/proc/self/oom_score_adj")
        exitCommandPID = try? Spawn.start(program, request.exitCommand)
        if exitCommandPID == nil { exitCommandDone = true }
    }
}
