/// clone3(2) that returns twice, as fork(2) does.
///
/// The C library knows nothing of the child: no fork handlers run, and its
/// cached thread id is the parent's. So the caller must be a process of one
/// thread (a lock that another thread holds would stay held for ever in the
/// child), and the child must use nothing that asks for its thread, above all
/// no `abort(3)` and no thread creation.
public enum Clone {
    /// The kernel's `struct clone_args`, up to `cgroup` (Linux 5.7).
    private struct Arguments {
        var flags: UInt64 = 0
        var pidfd: UInt64 = 0
        var childTID: UInt64 = 0
        var parentTID: UInt64 = 0
        var exitSignal: UInt64 = 0
        var stack: UInt64 = 0
        var stackSize: UInt64 = 0
        var tls: UInt64 = 0
        var setTID: UInt64 = 0
        var setTIDSize: UInt64 = 0
        var cgroup: UInt64 = 0
    }

    public static let intoCgroup: UInt64 = 0x2_0000_0000

    /// - Parameters:
    ///   - flags: `CLONE_…` bits, namespaces above all. `CLONE_PIDFD` is added.
    ///   - cgroup: an open cgroup v2 directory that the child is born into.
    ///   - child: what the child does; it never comes back. With CLONE_PARENT it is a
    ///     sibling of the caller, and ends with the signal that the caller ends with.
    /// - Returns: the child, in the parent.
    /// - Throws: EPERM, EINVAL, ENOSPC (too many namespaces), EAGAIN and the rest of clone(2).
    @inline(never)
    public static func process(
        flags: UInt64, cgroup: Int32? = nil, child: () -> Never
    ) throws(SystemError) -> ChildProcess {
        var arguments = Arguments()
        var pidfd: Int32 = -1
        arguments.exitSignal = flags & UInt64(CLONE_PARENT) == 0 ? UInt64(SIGCHLD) : 0
        arguments.flags = flags | UInt64(CLONE_PIDFD)
        if let cgroup {
            arguments.flags |= intoCgroup
            arguments.cgroup = UInt64(cgroup)
        }
        let result = withUnsafeMutablePointer(to: &pidfd) { pidfd in
            arguments.pidfd = UInt64(UInt(bitPattern: pidfd))
            return withUnsafeMutablePointer(to: &arguments) {
                linux_syscall(
                    Int(SYS_clone3), Int(bitPattern: $0), MemoryLayout<Arguments>.size, 0, 0, 0, 0)
            }
        }
        if result == 0 { child() }
        let errno = Errno(Int32(clamping: -result))
        // E2BIG: it knows no cgroup.
        if errno == .noSystemCall || errno.rawValue == E2BIG {
            return try processWithoutArguments(flags: flags, cgroup: cgroup, child: child)
        }
        if result < 0 { throw SystemError("clone3", "", Errno(Int32(-result))) }
        return ChildProcess(pid: pid_t(result), pidfd: Descriptor(owning: pidfd))
    }
}

/// A child and the descriptor that names it and no other.
@frozen
public struct ChildProcess: ~Copyable, Sendable {
    public let pid: pid_t
    public let pidfd: Descriptor

    public init(pid: pid_t, pidfd: consuming Descriptor) {
        self.pid = pid
        self.pidfd = pidfd
    }

    /// Kills it and takes its status, so that no zombie stays.
    public consuming func abandon() {
        _ = kill(pid, SIGKILL)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1, Errno.current == .interrupted {}
    }
}
