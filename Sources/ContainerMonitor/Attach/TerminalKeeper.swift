import LinuxSystem

/// Holds the terminal of a command whose user has left: without a holder the command would get
/// SIGHUP, and without a reader it would wait once the terminal's buffer is full.
public enum TerminalKeeper {
    /// Starts a process of its own that reads and forgets what comes, until the command ends.
    /// - Parameter master: the terminal's master side.
    public static func start(_ master: Int32) throws(MonitorError) {
        try system { () throws(SystemError) in
            let null = try File.open("/dev/null", O_RDWR)
            // The end of the caller may end its session, which must not reach the copy before setsid(2).
            let mask = SignalMask.current
            SignalMask.block([SIGHUP])
            defer { SignalMask.replace(with: mask) }
            // The caller has threads, and may hold their locks in the copy: from here on nothing but
            // system calls.
            _ = try Clone.process(flags: 0) {
                setsid()
                for stream in 0..<3 as Range<Int32> { dup2(null.raw, stream) }
                dup2(master, 3)
                FD.closeRangePlainly(4)
                keep(3)
            }
        }
    }

    private static func keep(_ master: Int32) -> Never {
        // No larger: what is would come from the heap.
        withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 8) { buffer in
            var entry = pollfd(fd: master, events: Int16(POLLIN), revents: 0)
            while true {
                poll(&entry, 1, -1)
                let count = read(master, buffer.baseAddress, buffer.count)
                if count < 0, Errno.current == .again || Errno.current == .interrupted { continue }
                // EIO: nobody has the other side open any more.
                if count <= 0 { _exit(0) }
            }
        }
    }
}
