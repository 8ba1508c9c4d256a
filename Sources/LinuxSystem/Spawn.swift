/// posix_spawn(3): a child that runs another program, from a process that may have threads.
public enum Spawn {
    /// Starts a program with default signal actions, no blocked signal and no
    /// descriptors but those named.
    /// - Parameters:
    ///   - path: a path with a slash, or a name to look up in PATH.
    ///   - descriptors: which number each descriptor has in the child: 0, 1, 2, 3…
    ///     without a gap; nil is /dev/null.
    /// - Returns: the child's process id.
    public static func start(
        _ path: String, _ arguments: [String], environment: [String]? = nil,
        descriptors: [Int32?] = [nil, nil, nil], newSession: Bool = false
    ) throws(SystemError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // A source below its place could be overwritten before its turn: lift it out of the way.
        var lifted: [Int32] = []
        defer { for fd in lifted { _ = Glibc.close(fd) } }
        for (place, fd) in descriptors.enumerated() {
            guard var fd else {
                posix_spawn_file_actions_addopen(&actions, Int32(place), "/dev/null", O_RDWR, 0)
                continue
            }
            if fd < descriptors.count, fd != Int32(place) {
                let source = fd
                fd = try checked("duplicate descriptor", "\(source)") {
                    linux_fcntl(source, F_DUPFD_CLOEXEC, descriptors.count)
                }
                lifted.append(fd)
            }
            posix_spawn_file_actions_adddup2(&actions, fd, Int32(place))
        }
        posix_spawn_file_actions_addclosefrom_np(&actions, Int32(descriptors.count))

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = SignalMask.set(of: [])
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        var flags = Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF)
        if newSession { flags |= Int16(POSIX_SPAWN_SETSID) }
        posix_spawnattr_setflags(&attributes, flags)

        var argv = arguments.map { strdup($0) } + [nil]
        defer { for pointer in argv { free(pointer) } }
        var envp = (environment ?? []).map { strdup($0) } + [nil]
        defer { for pointer in envp { free(pointer) } }
        var pid: pid_t = 0
        let result =
            environment == nil
            ? posix_spawnp(&pid, path, &actions, &attributes, &argv, environ)
            : posix_spawnp(&pid, path, &actions, &attributes, &argv, &envp)
        if result != 0 { throw SystemError("execute", path, Errno(result)) }
        return pid
    }

    /// Waits for a child.
    public static func wait(_ pid: pid_t) throws(SystemError) -> WaitStatus {
        var status: Int32 = 0
        _ = try retrying("wait", "process \(pid)") { waitpid(pid, &status, 0) }
        return WaitStatus(status)
    }
}

/// How a child ended (wait(2)).
public struct WaitStatus: Equatable, Sendable {
    private let raw: Int32
    public init(_ raw: Int32) { self.raw = raw }

    /// The signal that ended it.
    public var signal: Int32? { raw & 0x7f == 0 ? nil : raw & 0x7f }
    /// What a shell makes of it: the exit status, or 128 and the signal's number.
    public var exitCode: Int32 { signal.map { 128 + $0 } ?? (raw >> 8) & 0xff }
}
