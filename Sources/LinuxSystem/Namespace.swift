/// Calls on namespaces (namespaces(7)).
public enum Namespace {
    /// Moves the calling thread into a namespace, or into several of a process's (setns(2)).
    /// - Parameters:
    ///   - fd: open on a namespace's file, or a pidfd.
    ///   - kinds: `CLONE_NEW…` bits: what `fd` is, or which of the process's to join.
    public static func join(_ fd: Int32, kinds: Int32) throws(SystemError) {
        _ = try retrying("setns", "descriptor \(fd)") { setns(fd, kinds) }
    }

    /// A process's namespace as a file, which setns(2) takes before Linux 5.8 too.
    /// - Parameters:
    ///   - name: in /proc/PID/ns.
    ///   - process: a descriptor of the same process: it makes sure that the number still is its.
    /// - Throws: ESRCH when it has ended.
    public static func open(_ name: String, of pid: pid_t, heldBy process: Int32) throws(SystemError)
        -> Descriptor
    {
        let file = try File.open("/proc/\(pid)/ns/\(name)", O_RDONLY)
        try Pidfd.send(0, to: process)
        return file
    }

    /// New namespaces for the calling thread (unshare(2)).
    public static func unshare(_ kinds: Int32) throws(SystemError) {
        _ = try retrying("unshare") { CLinux.unshare(kinds) }
    }
}
