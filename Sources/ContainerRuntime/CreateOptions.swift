public import LinuxSystem

/// How a container's first process is made, beside what its config says.
public struct CreateOptions: Sendable {
    /// What standard input, output and error become; nil keeps the caller's. Without a terminal.
    public var streams: [Int32?]
    /// A UNIX stream socket that the terminal's master is sent to; nil returns it.
    public var consoleSocket: String?
    /// A file for the process's ID, written when the process exists.
    public var pidFile: String?
    /// A UNIX stream socket that a descriptor of the process is sent to.
    public var pidfdSocket: String?
    /// How many descriptors from 3 on the process keeps.
    public var preservedDescriptors: Int32
    /// Covers the old root instead of pivoting it away (for roots on an initramfs).
    public var noPivot: Bool
    public var noNewKeyring: Bool
    /// Who makes the container's cgroup.
    public var cgroupManager = CgroupManager.cgroupfs
    /// Whether the caller takes care of a terminal itself: without that, and without
    /// a console socket, a terminal is refused.
    public var returnsTerminal: Bool
    /// A terminal leaves the ends of lines to the one that its output is printed on.
    public var keepsLineEnds = false
    /// `NAME=value` each, added to the config's.
    public var environment: [String]

    public init(
        streams: [Int32?] = [nil, nil, nil], consoleSocket: String? = nil, pidFile: String? = nil,
        pidfdSocket: String? = nil, preservedDescriptors: Int32 = 0, noPivot: Bool = false,
        noNewKeyring: Bool = false,
        returnsTerminal: Bool = true, environment: [String] = []
    ) {
        self.streams = streams
        self.consoleSocket = consoleSocket
        self.pidFile = pidFile
        self.pidfdSocket = pidfdSocket
        self.preservedDescriptors = preservedDescriptors
        self.noPivot = noPivot
        self.noNewKeyring = noNewKeyring
        self.returnsTerminal = returnsTerminal
        self.environment = environment
    }
}

/// Who makes a container's cgroup and sets its limits.
public enum CgroupManager: Sendable {
    /// The runtime, by the files of the hierarchies.
    case cgroupfs
    /// systemd, as a scope; `cgroupsPath` is `slice:prefix:name`.
    case systemd
    /// The caller's own manager, `systemd --user`.
    case systemdUser

    /// systemd's manager that this process has to do with: its user's own when it is not root, or root
    /// of a user namespace in which that one's owner lives.
    public static var ownSystemd: CgroupManager {
        if geteuid() != 0 { return .systemdUser }
        return SystemBus.isOwnedByAnother ? .systemdUser : .systemd
    }
}

/// A container's process that this process has made and is the parent of.
public struct CreatedContainer: ~Copyable, Sendable {
    public let pid: pid_t
    /// Readable when the process has ended.
    public let pidfd: Descriptor
    /// The terminal's master, when the config asks for a terminal and no console socket was named.
    public var terminal: Descriptor?
    /// The other end is the process's until it has executed its command.
    var channel: Descriptor?

    init(
        pid: pid_t, pidfd: consuming Descriptor, terminal: consuming Descriptor?,
        channel: consuming Descriptor?
    ) {
        self.pid = pid
        self.pidfd = pidfd
        self.terminal = terminal
        self.channel = channel
    }

    /// Takes the terminal's master out.
    public mutating func takeTerminal() -> Descriptor? { terminal.take() }
}
