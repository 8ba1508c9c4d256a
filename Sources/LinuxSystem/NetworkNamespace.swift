/// Network namespaces (network_namespaces(7)), held by a descriptor. A
/// namespace lives as long as a descriptor, a mount or a process keeps it.
public enum NetworkNamespace {
    /// A new, empty network namespace. The calling thread is back in its own on return.
    public static func create() throws(SystemError) -> Descriptor {
        try returning { () throws(SystemError) -> Descriptor in
            _ = try retrying("create network namespace") { unshare(CLONE_NEWNET) }
            return try current()
        }
    }

    /// The calling thread's namespace.
    public static func current() throws(SystemError) -> Descriptor {
        try File.open("/proc/thread-self/ns/net")
    }

    /// Runs `body` with the calling thread inside another namespace. Sockets
    /// made there stay there; all else of the thread is unchanged.
    public static func inside<Value: ~Copyable>(
        _ namespace: Int32, _ body: () throws(SystemError) -> Value
    ) throws(SystemError) -> Value {
        try returning { () throws(SystemError) -> Value in
            _ = try retrying("enter network namespace") { setns(namespace, CLONE_NEWNET) }
            return try body()
        }
    }

    private static func returning<Value: ~Copyable>(
        _ body: () throws(SystemError) -> Value
    ) throws(SystemError) -> Value {
        let own = try current()
        defer {
            // A thread that went on in the wrong namespace would change the
            // container's network for the host's and the other way round.
            while setns(own.raw, CLONE_NEWNET) != 0 {
                if Errno.current != .interrupted { fatalError("cannot return to the network namespace") }
            }
        }
        return try body()
    }
}
