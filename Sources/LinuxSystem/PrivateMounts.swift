/// Mounts that one thread alone sees, and that are gone when it ends.
public enum PrivateMounts {
    /// Runs `body` on a thread with a mount namespace of its own. What is
    /// mounted elsewhere meanwhile is seen there too; what is mounted there is seen nowhere else.
    public static func run<Value>(_ body: () throws -> Value) throws -> Value {
        try withoutActuallyEscaping(body) { body in
            let work = Work(body)
            let thread = try JoinedThread { work.run() }
            thread.join()
            return try work.result!.get()
        }
    }

    /// The thread that asks for it waits meanwhile.
    private final class Work<Value>: @unchecked Sendable {
        private let body: () throws -> Value
        private(set) var result: Result<Value, any Error>?

        init(_ body: @escaping () throws -> Value) { self.body = body }

        func run() {
            result = Result {
                // A thread shares its root and working directory with its process (CLONE_FS), and
                // may not change its mount namespace while it does (unshare(2)).
                _ = try retrying("unshare mounts") { unshare(CLONE_FS | CLONE_NEWNS) }
                _ = try retrying("make mounts private", "/") {
                    mount("", "/", nil, UInt(MS_REC) | UInt(MS_SLAVE), nil)
                }
                return try body()
            }
        }
    }

    /// Brings a process, which has one thread yet, out of the mounts of the thread that started it.
    /// - Parameter namespace: open on the mount namespace that it belongs to.
    public static func leave(to namespace: Int32) throws(SystemError) {
        let own = try File.status("/proc/self/ns/mnt")
        if try FD.stat(namespace).st_ino == own.st_ino { return }
        try Namespace.join(namespace, kinds: CLONE_NEWNS)
    }

    /// Makes a directory a mount that cannot be written to; what is mounted below it is left out.
    public static func makeReadOnly(_ path: String) throws(SystemError) {
        _ = try retrying("bind", path) { mount(path, path, nil, UInt(MS_BIND), nil) }
        try remountReadOnly(path)
    }

    /// - Parameter path: where something is mounted.
    public static func remountReadOnly(_ path: String) throws(SystemError) {
        let flags = UInt(MS_BIND) | UInt(MS_REMOUNT) | UInt(MS_RDONLY)
        _ = try retrying("make read-only", path) { mount("", path, nil, flags, nil) }
    }

    /// mount(2) with MS_BIND, of one open file or directory on another.
    public static func bind(_ source: Int32, on target: Int32, recursive: Bool = true) throws(SystemError) {
        let flags = UInt(MS_BIND) | (recursive ? UInt(MS_REC) : 0)
        _ = try retrying("bind", "descriptor \(source)") {
            mount("/proc/self/fd/\(source)", "/proc/self/fd/\(target)", nil, flags, nil)
        }
    }
}
