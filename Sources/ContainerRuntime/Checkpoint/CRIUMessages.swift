/// CRIU's protocol (`images/rpc.proto` in its sources): requests and what it answers.
/// Numbers are those of that file.
enum CRIURequest {
    enum Kind: Int32 {
        case dump = 1
        case restore = 2
        case preDump = 4
        case notify = 6
        case featureCheck = 9
        case version = 10
    }

    case dump(CRIURequestOptions)
    case preDump(CRIURequestOptions)
    case restore(CRIURequestOptions)
    /// The answer to a notification: CRIU may go on.
    case done
    /// What the kernel and CRIU can do of what is asked. CRIU waits for another request.
    case features(CRIUFeatures)
    /// CRIU waits for another request.
    case version

    var kind: Kind {
        switch self {
        case .dump: .dump
        case .preDump: .preDump
        case .restore: .restore
        case .done: .notify
        case .features: .featureCheck
        case .version: .version
        }
    }

    var bytes: [UInt8] {
        var message = ProtocolBufferWriter()
        message.set(1, kind.rawValue)
        switch self {
        case .dump(let options), .preDump(let options), .restore(let options):
            message.set(2, options.message)
        case .done: message.set(3, true)
        case .version: message.set(4, true)
        case .features(let features):
            message.set(4, true)
            message.set(5, features.message)
        }
        return message.bytes
    }
}

struct CRIUFeatures: Equatable {
    var tracksMemory = false
    var lazyPages = false

    var isEmpty: Bool { !tracksMemory && !lazyPages }

    fileprivate var message: ProtocolBufferWriter {
        var message = ProtocolBufferWriter()
        if tracksMemory { message.set(1, true) }
        if lazyPages { message.set(2, true) }
        return message
    }

    fileprivate static func read(_ message: ProtocolBufferReader) -> CRIUFeatures {
        CRIUFeatures(tracksMemory: message.bool(1) ?? false, lazyPages: message.bool(2) ?? false)
    }
}

/// `criu_opts`. What is nil is CRIU's default.
struct CRIURequestOptions {
    struct Pair: Equatable {
        var key: String
        var value: String
    }

    struct InheritedDescriptor: Equatable {
        var key: String
        /// The number in CRIU's process.
        var descriptor: Int32
    }

    var imagesDirectory: Int32
    var pid: Int32?
    var leaveRunning: Bool?
    var externalUnixSockets: Bool?
    var tcpEstablished: Bool?
    var evasiveDevices: Bool?
    var shellJob: Bool?
    var fileLocks: Bool?
    var logLevel: Int32?
    var logFile: String?
    var pageServer: CheckpointOptions.PageServer?
    var notifies: Bool?
    var root: String?
    var parentImages: String?
    var tracksMemory: Bool?
    var autoDedup: Bool?
    var workDirectory: Int32?
    var linkRemap: Bool?
    /// A mount point in the container and its name in the images; or, for restoring, that name
    /// and what is mounted.
    var externalMounts: [Pair] = []
    /// A hierarchy's controller and the group in it that the container's begin at.
    var cgroupRoots: [Pair] = []
    var restoresSibling: Bool?
    var inherited: [InheritedDescriptor] = []
    var cgroupMode: CRIUOptions.CgroupMode?
    var external: [String] = []
    /// `CLONE_NEW…` bits.
    var emptyNamespaces: UInt32?
    /// A namespace's kind and its file.
    var joinedNamespaces: [Pair] = []
    var freezerGroup: String?
    var tcpSkipInFlight: Bool?
    var lazyPages: Bool?
    var passesOrphanTerminals: Bool?
    var configFile: String?
    var securityProfile: String?
    var securityMountContext: String?

    fileprivate var message: ProtocolBufferWriter {
        var message = ProtocolBufferWriter()
        message.set(1, imagesDirectory)
        message.set(2, pid)
        message.set(3, leaveRunning)
        message.set(4, externalUnixSockets)
        message.set(5, tcpEstablished)
        message.set(6, evasiveDevices)
        message.set(7, shellJob)
        message.set(8, fileLocks)
        message.set(9, logLevel)
        message.set(10, logFile)
        if let pageServer {
            var server = ProtocolBufferWriter()
            server.set(1, pageServer.address)
            server.set(2, Int32(pageServer.port))
            message.set(11, server)
        }
        message.set(12, notifies)
        message.set(13, root)
        message.set(14, parentImages)
        message.set(15, tracksMemory)
        message.set(16, autoDedup)
        message.set(17, workDirectory)
        message.set(18, linkRemap)
        set(externalMounts, 23, &message)
        message.set(24, cgroupMode.map { _ in true })
        set(cgroupRoots, 25, &message)
        message.set(26, restoresSibling)
        for inherited in inherited {
            var pair = ProtocolBufferWriter()
            pair.set(1, inherited.key)
            pair.set(2, inherited.descriptor)
            message.set(27, pair)
        }
        message.set(34, cgroupMode?.rawValue)
        for external in external { message.set(37, external) }
        message.set(38, emptyNamespaces)
        set(joinedNamespaces, 39, &message)
        message.set(44, freezerGroup)
        message.set(46, tcpSkipInFlight)
        message.set(48, lazyPages)
        message.set(50, passesOrphanTerminals)
        message.set(51, configFile)
        message.set(53, securityProfile)
        message.set(63, securityMountContext)
        return message
    }

    private func set(_ pairs: [Pair], _ field: Int, _ message: inout ProtocolBufferWriter) {
        for pair in pairs {
            var inner = ProtocolBufferWriter()
            inner.set(1, pair.key)
            inner.set(2, pair.value)
            message.set(field, inner)
        }
    }
}

/// `criu_resp`.
struct CRIUResponse {
    /// nil when it is none that was asked for: CRIU sends such when it does not understand.
    var kind: CRIURequest.Kind?
    var succeeded: Bool
    /// What CRIU's script of this name would do now (criu(8), "--action-script").
    var script: String?
    /// The first process, as we number it: of some notifications, and of a restored container.
    var pid: Int32?
    /// An error number, or 0.
    var errno: Int32
    /// The first error that CRIU has logged.
    var reason: String?
    var features: CRIUFeatures?
    var version: CRIUVersion?

    /// nil when the bytes are no response.
    init?(_ bytes: [UInt8]) {
        guard let message = ProtocolBufferReader(bytes), let kind = message.int32(1),
            let succeeded = message.bool(2)
        else { return nil }
        self.kind = CRIURequest.Kind(rawValue: kind)
        self.succeeded = succeeded
        let notification = message.message(5)
        script = notification?.text(1)
        pid = notification?.int32(2) ?? message.message(4)?.int32(1)
        errno = message.int32(7) ?? 0
        features = message.message(8).map(CRIUFeatures.read)
        reason = message.text(9)
        version = message.message(10).map {
            CRIUVersion(major: $0.int32(1) ?? 0, minor: $0.int32(2) ?? 0, patch: $0.int32(4) ?? 0)
        }
    }
}

struct CRIUVersion: Comparable, CustomStringConvertible {
    var major: Int32
    var minor: Int32
    var patch: Int32 = 0

    static func < (left: CRIUVersion, right: CRIUVersion) -> Bool {
        (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
    }

    var description: String { patch == 0 ? "\(major).\(minor)" : "\(major).\(minor).\(patch)" }
}
