import LinuxSystem
import OCISpec

extension LinuxNamespace.Kind {
    /// The `CLONE_NEW…` bit.
    var flag: Int32 {
        switch self {
        case .pid: Int32(bitPattern: UInt32(CLONE_NEWPID))
        case .network: Int32(bitPattern: UInt32(CLONE_NEWNET))
        case .mount: Int32(bitPattern: UInt32(CLONE_NEWNS))
        case .ipc: Int32(bitPattern: UInt32(CLONE_NEWIPC))
        case .uts: Int32(bitPattern: UInt32(CLONE_NEWUTS))
        case .user: Int32(bitPattern: UInt32(CLONE_NEWUSER))
        case .cgroup: Int32(bitPattern: UInt32(CLONE_NEWCGROUP))
        case .time: Int32(bitPattern: UInt32(CLONE_NEWTIME))
        }
    }

    /// The file's name in /proc/PID/ns.
    var fileName: String {
        switch self {
        case .pid: "pid"
        case .network: "net"
        case .mount: "mnt"
        case .ipc: "ipc"
        case .uts: "uts"
        case .user: "user"
        case .cgroup: "cgroup"
        case .time: "time"
        }
    }
}

/// Which namespaces the first process makes, and which it joins.
final class NamespacePlan {
    let list: [LinuxNamespace]
    /// Those to join, open since before anything was made.
    private let joined: [JoinedNamespace]

    private final class JoinedNamespace {
        let kind: LinuxNamespace.Kind
        let file: Descriptor
        var isJoined = false
        init(kind: LinuxNamespace.Kind, file: consuming Descriptor) {
            self.kind = kind
            self.file = file
        }
    }

    init(_ list: [LinuxNamespace]) throws(RuntimeError) {
        self.list = list
        var joined: [JoinedNamespace] = []
        for namespace in list {
            guard let path = namespace.path else { continue }
            let file = try during("open the \(namespace.type.rawValue) namespace", code: .invalidConfig) {
                () throws(SystemError) in try File.open(path, O_RDONLY)
            }
            try Self.verify(file.raw, namespace)
            joined.append(JoinedNamespace(kind: namespace.type, file: file))
        }
        self.joined = joined
    }

    /// Any other file would be an error only when half of the container exists.
    private static func verify(_ fd: Int32, _ namespace: LinuxNamespace) throws(RuntimeError) {
        let getType: UInt = 0xb703  // NS_GET_NSTYPE, ioctl_ns(2)
        guard linux_ioctl(fd, getType, nil) == namespace.type.flag else {
            throw RuntimeError(
                .invalidConfig, "\(namespace.path ?? "") is no \(namespace.type.rawValue) namespace")
        }
    }

    func has(_ kind: LinuxNamespace.Kind) -> Bool { list.contains { $0.type == kind } }
    func isNew(_ kind: LinuxNamespace.Kind) -> Bool {
        list.contains { $0.type == kind && $0.path == nil }
    }

    var hasUser: Bool { has(.user) }
    var hasNewUser: Bool { isNew(.user) }
    var hasMount: Bool { has(.mount) }

    /// Those that the first process makes by clone3: the others cost time that
    /// runs beside the runtime's own work when they are made in the process.
    var cloned: Int32 {
        var flags: Int32 = 0
        for kind in [LinuxNamespace.Kind.pid, .user] where isNew(kind) { flags |= kind.flag }
        return flags
    }

    /// All new ones.
    var created: Int32 {
        list.reduce(0) { $1.path == nil ? $0 | $1.type.flag : $0 }
    }

    /// A joined PID namespace takes effect for children only, so the runtime itself joins it.
    var joinedPID: Int32? { joined.first { $0.kind == .pid }?.file.raw }
    var joinedUser: Int32? { joined.first { $0.kind == .user }?.file.raw }

    /// Whether some are to be joined by a process that is not in the user namespace yet: they
    /// may belong to another one, where root of this has no rights.
    var hasJoinedBesideUser: Bool { hasUser && joined.contains { $0.kind != .user } }

    /// Joins what the host's rights allow to join; the rest may belong to the user namespace.
    func joinBeforeUser() {
        for namespace in joined where namespace.kind != .user && namespace.kind != .mount {
            namespace.isJoined = (try? Namespace.join(namespace.file.raw, kinds: namespace.kind.flag)) != nil
        }
    }

    /// The PID namespace, where that could not be done before.
    func joinPIDAfterUser() throws(SystemError) {
        for namespace in joined where namespace.kind == .pid && !namespace.isJoined {
            try Namespace.join(namespace.file.raw, kinds: namespace.kind.flag)
        }
    }

    /// In the first process: joins and makes namespaces. The mount namespace comes
    /// last of those joined; a time namespace is for children and needs no more here.
    /// - Parameter withCgroup: the cgroup namespace too; else `enterCgroup()` makes it.
    func enter(withCgroup: Bool) throws(RuntimeError) {
        for mountsNow in [false, true] {
            for namespace in joined {
                let kind = namespace.kind
                guard kind != .pid, kind != .user, !namespace.isJoined, (kind == .mount) == mountsNow else {
                    continue
                }
                try during("join the \(kind.rawValue) namespace") { () throws(SystemError) in
                    try Namespace.join(namespace.file.raw, kinds: kind.flag)
                }
            }
        }
        var rest = created & ~cloned
        if !withCgroup { rest &= ~LinuxNamespace.Kind.cgroup.flag }
        if rest != 0 {
            try during("make namespaces") { () throws(SystemError) in try Namespace.unshare(rest) }
        }
    }

    /// What `enter` does.
    func words(withCgroup: Bool) -> String {
        var parts = joined.map { "join \($0.kind.rawValue)" }
        let made = list.filter {
            $0.path == nil && cloned & $0.type.flag == 0 && (withCgroup || $0.type != .cgroup)
        }
        if !made.isEmpty { parts.append("make " + made.map(\.type.rawValue).joined(separator: ", ")) }
        return parts.isEmpty ? "none" : parts.joined(separator: "; ")
    }

    func enterCgroup() throws(RuntimeError) {
        guard isNew(.cgroup) else { return }
        try during("make the cgroup namespace") { () throws(SystemError) in
            try Namespace.unshare(LinuxNamespace.Kind.cgroup.flag)
        }
    }
}
