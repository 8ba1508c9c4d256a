/// What `checkpoint` and `restore` tell CRIU alike (criu(8)).
public struct CRIUOptions: Sendable {
    /// How control groups are dumped and restored (criu(8), "--manage-cgroups").
    public enum CgroupMode: Int32, Sendable {
        case ignore = 0
        case soft = 3
        case full = 4
        case strict = 5
        case `default` = 6
    }

    /// The program: a path with a slash, or a name to look up in PATH.
    public var program = "criu"
    /// The directory of the images.
    public var imagePath: String
    /// The directory of the log and of working files; nil is that of the images.
    public var workPath: String?
    public var tcpEstablished = false
    public var externalUnixSockets = false
    public var shellJob = false
    public var fileLocks = false
    public var linkRemap = false
    public var autoDedup = false
    /// Leaves memory to be fetched when it is used.
    public var lazyPages = false
    public var cgroupMode = CgroupMode.default

    public init(imagePath: String) { self.imagePath = imagePath }
}

public struct CheckpointOptions: Sendable {
    /// Who takes the memory's pages over the network.
    public struct PageServer: Equatable, Sendable {
        public var address: String
        public var port: UInt16

        public init(address: String, port: UInt16) {
            self.address = address
            self.port = port
        }
    }

    public var criu: CRIUOptions
    /// The images of an earlier pre-dump, relative to this one's.
    public var parentPath: String?
    public var leaveRunning = false
    public var tcpSkipInFlight = false
    /// Dumps only the memory, and leaves the container running.
    public var preDump = false
    public var pageServer: PageServer?
    /// Gets a zero byte, and is closed, when lazy pages can be fetched.
    public var statusDescriptor: Int32?

    public init(_ criu: CRIUOptions) { self.criu = criu }
}

public struct RestoreOptions: Sendable {
    public var criu: CRIUOptions
    /// `TYPE:NAME`.
    public var securityProfile: String?
    public var securityMountContext: String?
    /// A UNIX stream socket that the terminal's master is sent to; nil returns it.
    public var consoleSocket: String?
    public var pidFile: String?
    public var noPivot = false
    public var cgroupManager = CgroupManager.cgroupfs
    /// Whether the caller takes care of a terminal itself: without that, and without
    /// a console socket, a terminal is refused.
    public var returnsTerminal = true

    public init(_ criu: CRIUOptions) { self.criu = criu }
}
