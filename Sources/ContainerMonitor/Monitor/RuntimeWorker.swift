import LinuxSystem

/// A forked child that does the runtime's work for the monitor and exits.
///
/// What that work needs (config.json as values, a compiled seccomp filter, the
/// state record) lives and dies in the child's memory, so the monitor stays as
/// small as it was born. The container's process becomes the monitor's child
/// when the worker exits, the monitor being its subreaper (prctl(2)).
final class RuntimeWorker {
    enum Job {
        /// Create; then wait for word to start, unless `starts`.
        case run(ContainerStdio, afterDeleting: Bool, starts: Bool)
        case delete
    }

    let pid: Int32
    let socket: SharedDescriptor

    private init(pid: Int32, socket: consuming Descriptor) {
        self.pid = pid
        self.socket = SharedDescriptor(socket)
    }

    /// - Parameter oomScore: the monitor's own is not for the container.
    static func fork(_ request: MonitorRequest, _ job: Job, oomScore: String) throws(SystemError)
        -> RuntimeWorker
    {
        let pair = try UnixSocket.pair()
        let pid = try checked("fork") { linux_fork() }
        if pid == 0 {
            let socket = pair.second.raw
            var kept = request.descriptors + [0, 1, 2, socket]
            if case .run(let stdio, _, _) = job { kept += [stdio.input, stdio.output, stdio.error] }
            // Every other copy of the monitor's descriptors would keep a peer from seeing its end.
            DescriptorTable.closeAll(except: kept)
            SignalMask.reset()
            try? File.write(oomScore, to: "/proc/self/oom_score_adj")
            serve(request, job, socket)
            _exit(0)
        }
        let socket = pair.first.take()
        try FD.setNonBlocking(socket, true)
        return RuntimeWorker(pid: pid, socket: Descriptor(owning: socket))
    }

    private static func serve(_ request: MonitorRequest, _ job: Job, _ socket: Int32) {
        let driver = request.driver
        do throws(MonitorError) {
            switch job {
            case .delete:
                try driver.delete()
                try ControlMessage.deleted.send(to: socket)
            case .run(let stdio, let afterDeleting, let starts):
                if afterDeleting { try driver.delete() }
                try create(driver, stdio, socket)
                if !starts {
                    let word = try system { () throws(SystemError) in
                        try UnixSocket.receive(socket, limit: ControlMessage.limit).bytes
                    }
                    guard try ControlMessage.parse(word) == .start else {
                        try driver.delete()
                        return
                    }
                }
                do throws(MonitorError) {
                    try driver.start()
                } catch {
                    try? driver.delete()
                    throw error
                }
                try ControlMessage.started.send(to: socket)
            }
        } catch {
            try? ControlMessage.failed(error).send(to: socket)
        }
    }

    private static func create(
        _ driver: any ContainerRuntimeDriver, _ stdio: ContainerStdio, _ socket: Int32
    ) throws(MonitorError) {
        let created: CreatedProcess
        do throws(MonitorError) {
            created = try driver.create(stdio)
        } catch {
            // A runtime that failed half-way may have left a part of its state.
            try? driver.delete()
            throw error
        }
        let message = ControlMessage.created(pid: created.pid)
        do throws(MonitorError) {
            if let terminal = created.terminal {
                try message.send(to: socket, descriptors: [terminal.raw])
            } else {
                try message.send(to: socket)
            }
        } catch {
            // The monitor is dead.
            try? driver.delete()
            throw error
        }
    }
}

/// This process's descriptors as a whole.
enum DescriptorTable {
    /// All the gaps between those kept.
    static func closeAll(except kept: [Int32]) {
        var first: Int32 = 0
        for fd in Set(kept).sorted() where fd >= 0 {
            if fd > first { try? FD.closeRange(first, through: fd - 1) }
            first = fd + 1
        }
        try? FD.closeRange(first)
    }
}
