/// Calls on namespaces (namespaces(7)).
public enum Namespace {
    /// Moves the calling thread into a namespace, or into several of a process's (setns(2)).
    /// - Parameters:
    ///   - fd: open on a namespace's file, or a pidfd.
    ///   - kinds: `CLONE_NEW…` bits: what `fd` is, or which of the process's to join.
    public static func join(_ fd: Int32, kinds: Int32) throws(SystemError) {
        _ = try retrying("setns", "descriptor \(fd)") { setns(fd, kinds) }
    }

    /// New namespaces for the calling thread (unshare(2)).
    public static func unshare(_ kinds: Int32) throws(SystemError) {
        _ = try retrying("unshare") { CLinux.unshare(kinds) }
    }
}
