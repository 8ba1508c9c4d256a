/// clone(2) for kernels whose clone3(2) is missing (before 5.3) or knows no cgroup (before 5.7).
extension Clone {
    /// As `process`. A child that is to be born in a cgroup waits until its parent has moved it there.
    @inline(never)
    static func processWithoutArguments(
        flags: UInt64, cgroup: Int32?, child: () -> Never
    ) throws(SystemError) -> ChildProcess {
        guard let cgroup else { return try plainly(flags, child) }
        let entrance = try File.open("cgroup.procs", at: cgroup, O_WRONLY).take()
        // Numbers, because the two processes close them at different times.
        var gate: [Int32] = [-1, -1]
        defer { for fd in gate + [entrance] where fd >= 0 { close(fd) } }
        _ = try retrying("pipe2") { pipe2(&gate, O_CLOEXEC) }
        let (waiting, opening) = (gate[0], gate[1])
        let process = try plainly(flags) {
            close(opening)
            close(entrance)
            var byte: UInt8 = 0
            // No byte: the parent is gone, or could not move us.
            while read(waiting, &byte, 1) != 1 {
                if Errno.current != .interrupted { _exit(1) }
            }
            close(waiting)
            child()
        }
        do throws(SystemError) {
            try FD.writeAll(entrance, "\(process.pid)")
            try FD.writeAll(opening, "0")
        } catch {
            // The words of the call that this stands for.
            process.abandon()
            throw SystemError("clone3", "", error.errno)
        }
        return process
    }

    @inline(never)
    private static func plainly(_ flags: UInt64, _ child: () -> Never) throws(SystemError) -> ChildProcess {
        var pidfd: Int32 = -1
        let signal = flags & UInt64(CLONE_PARENT) == 0 ? UInt64(SIGCHLD) : 0
        let result = withUnsafeMutablePointer(to: &pidfd) { pidfd in
            // The pidfd comes where CLONE_PARENT_SETTID would put a number (clone(2)).
            linux_syscall(
                Int(SYS_clone), Int(flags | UInt64(CLONE_PIDFD) | signal), 0, Int(bitPattern: pidfd), 0, 0, 0)
        }
        if result == 0 { child() }
        if result < 0 { throw SystemError("clone3", "", Errno(Int32(-result))) }
        return ChildProcess(pid: pid_t(result), pidfd: Descriptor(owning: pidfd))
    }
}
