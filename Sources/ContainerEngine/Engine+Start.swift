import ContainerMonitor
import ContainerNetwork
import ContainerStorage
import JSONText
import LayerArchive
import LinuxSystem
import OCISpec

/// A container's file system, network and configuration, set up for one start.
/// Whatever is not handed to a monitor is taken down again.
struct PreparedStart {
    var request: MonitorRequest
    /// What the monitor inherits: the network namespace, the sockets that hold ports.
    var descriptors: [Int32]
    /// Keeps the descriptors open until the monitor has them.
    var keep: [any AnyObject & Sendable]
}

/// A descriptor that several hold.
final class SharedDescriptor: Sendable {
    let descriptor: Descriptor
    init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    var raw: Int32 { descriptor.raw }
}

extension Engine {
    /// Mounts the root file system, joins the network, writes config.json.
    /// The caller holds the container's lock.
    /// - Parameter exitCommand: what the monitor executes once the container has ended.
    func prepareStart(_ record: ContainerRecord) throws(EngineError) -> PreparedStart {
        let spec = record.spec
        let defaults = try engineErrors { try imageConfig(Digest(parsing: record.imageID)) }.config
        try engineErrors("container \(record.name)") {
            try File.makeDirectories(directory(of: record.id), mode: 0o700)
            try File.makeDirectories(stateDirectory(of: record.id), mode: 0o711)
            try File.makeDirectories(runtimeRoot, mode: 0o711)
        }
        var keep: [any AnyObject & Sendable] = []
        var descriptors: [Int32] = []
        do throws(EngineError) {
            let namespaces =
                try spec.uidMappings.isEmpty ? nil : userNamespaces(spec)
            let owners = namespaces.map {
                OwnerMap(users: spec.uidMappings, groups: spec.gidMappings, namespace: $0.user.raw)
            }
            let rootfs = try engineErrors("mount the root file system of \(record.name)") {
                let mounted = try store.mountSnapshot(record.id, owners: owners)
                return try owners == nil
                    ? mounted
                    : show(
                        mounted, asRootOf: record.id, group: spec.gidMappings.host(0) ?? 0)
            }
            let root = try engineErrors { try File.open(rootfs, O_RDONLY | O_DIRECTORY) }
            let user = try ContainerUser.resolve(spec.user ?? defaults.user, root: root.raw)
            let workingDirectory = spec.workingDirectory ?? defaults.workingDir
            if !workingDirectory.isEmpty {
                try RootfsDirectories.make(
                    PathText.normalized(workingDirectory), root: root.raw,
                    owner: ContainerOwner(spec, uid: user.uid, gid: user.gid))
            }
            let hostname = hostname(of: record)
            let network = try joinNetwork(
                record, hostname: hostname, namespaces?.network, &descriptors, &keep)
            try writeFiles(record, hostname: hostname, attachment: network.attachment)
            let builder = RuntimeConfigBuilder(
                id: record.id, spec: spec, defaults: defaults, rootfs: rootfs, rootDirectory: root.raw,
                directory: directory(of: record.id), hostname: hostname,
                volumePaths: try volumePaths(spec, root: root.raw),
                networkNamespace: network.namespacePath,
                namespacePaths: try joinedNamespaces(spec, namespaces?.user, &descriptors, &keep),
                initProgram: spec.useInit ? try programs.find("apus-init") : nil)
            let config = try builder.build()
            _ = consume root
            try engineErrors("container \(record.name)") {
                try File.replace(
                    "\(directory(of: record.id))/config.json", with: config.json.bytes(), mode: 0o600,
                    durable: false)
            }
            var request = try request(for: record)
            request.descriptors = descriptors.indices.map { Self.firstInherited + Int32($0) }
            return PreparedStart(request: request, descriptors: descriptors, keep: keep)
        } catch {
            takeDown(record.id)
            throw error
        }
    }

    private func userNamespaces(_ spec: ContainerSpec) throws(EngineError) -> UserNamespaces {
        switch spec.userMode {
        case .standard, .auto:
            return try UserNamespaces.make(users: spec.uidMappings, groups: spec.gidMappings)
        case .container(let id):
            return try UserNamespaces.join("/proc/\(try runningProcess(of: id))/ns/user")
        case .path(let path):
            // What is on the disk is shown by the mappings of the day of its creation.
            guard try UserNamespaces.mappings(ofPath: path) == (spec.uidMappings, spec.gidMappings) else {
                throw EngineError(
                    .conflict, "\(path) is another user namespace than when the container was created")
            }
            return try UserNamespaces.join(path)
        }
    }

    /// The store is closed to all but root; the root of a user namespace finds
    /// its container's root directory in the runroot.
    private func show(
        _ rootfs: String, asRootOf id: String, group: UInt32
    ) throws(SystemError) -> String {
        let above = userRoot(of: id)
        let place = above + "/rootfs"
        if Mount.isMountRoot(place) { return place }
        try File.makeDirectories(roots, mode: 0o711)
        // Other users of the host would find programs there that give them the mapped users' rights.
        try File.makeDirectories(above, mode: 0o700)
        let opened = try File.open(above, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        try FileMetadata.setOwner(opened.raw, 0, group)
        try FileMetadata.setMode(opened.raw, 0o710)
        try File.makeDirectories(place, mode: 0o700)
        do throws(SystemError) {
            let mount = try Mount.clone(rootfs)
            let directory = try File.open(place, O_PATH | O_DIRECTORY | O_NOFOLLOW)
            try Mount.attach(mount.raw, onto: directory.raw)
        } catch  where error.errno == .noSystemCall {
            try Mount.bind(rootfs, onto: place)
        }
        return place
    }

    private var roots: String {
        "\(runRoot.hasPrefix(root + "/") ? Self.defaultRunRoot : runRoot)/roots"
    }

    private func userRoot(of id: String) -> String { "\(roots)/\(id)" }

    private func request(for record: ContainerRecord) throws(EngineError) -> MonitorRequest {
        let spec = record.spec
        var request = MonitorRequest(
            id: record.id, bundle: directory(of: record.id), runtimeRoot: runtimeRoot,
            log: logConfiguration(of: record),
            attachSocket: attachSocket(of: record.id), statusPath: statusPath(of: record.id),
            exitPath: exitPath(of: record.id))
        request.runtime = spec.runtime
        request.isSystemdScope = spec.isSystemdScope
        request.terminal = spec.terminal
        request.openStdin = spec.openStdin
        request.stdinOnce = spec.openStdin && !spec.terminal
        request.durableExit = !spec.autoRemove
        request.restart = spec.restart
        request.exitCommand =
            [programs.own, "--root", root, "--runroot", runRoot, "container", "cleanup"]
            + (spec.autoRemove ? ["--rm"] : []) + [record.id]
        return request
    }

    func hostname(of record: ContainerRecord) -> String {
        if let hostname = record.spec.hostname { return hostname }
        if record.spec.utsMode == .host || record.spec.network == .host { return hostName() }
        return record.shortID
    }

    /// The first of the numbers under which a monitor keeps what it inherits.
    private static let firstInherited: Int32 = 10

    private func joinNetwork(
        _ record: ContainerRecord, hostname: String, _ made: SharedDescriptor?, _ descriptors: inout [Int32],
        _ keep: inout [any AnyObject & Sendable]
    ) throws(EngineError) -> (namespacePath: String?, attachment: NetworkAttachment?) {
        let spec = record.spec
        switch spec.network {
        case .host:
            return (nil, nil)
        case .container(let id):
            let pid = try runningProcess(of: id)
            return ("/proc/\(pid)/ns/net", nil)
        case .none:
            let namespace = try engineErrors {
                let namespace = try made ?? SharedDescriptor(NetworkNamespace.create())
                try NetworkNamespace.inside(namespace.raw) { () throws(SystemError) in
                    try NetworkInterface.bringLoopbackUp()
                }
                return namespace
            }
            descriptors.append(namespace.raw)
            keep.append(namespace)
            return (inheritedPath, nil)
        case .bridge:
            let namespace = try engineErrors { try made ?? SharedDescriptor(NetworkNamespace.create()) }
            let attachment = try networkErrors {
                try network.setUp(containerID: record.id, netns: namespace.descriptor, ports: spec.ports)
            }
            descriptors.append(namespace.raw)
            descriptors += attachment.portSockets.descriptors
            keep.append(namespace)
            keep.append(attachment.portSockets)
            let document = NetworkRecord(attachment).json
            try engineErrors {
                try File.replace(
                    "\(stateDirectory(of: record.id))/network.json", with: document.bytes(), durable: false)
            }
            return (inheritedPath, attachment)
        }
    }

    /// As the runtime in the monitor, or a runtime that the monitor executes, sees the namespace.
    private var inheritedPath: String { "/proc/self/fd/\(Self.firstInherited)" }

    private func networkErrors<Value>(_ body: () throws -> Value) throws(EngineError) -> Value {
        do {
            return try body()
        } catch let error as NetworkError where error.code == .portInUse {
            throw EngineError(.conflict, "\(error): choose another, or stop what holds it")
        } catch {
            throw EngineError(error)
        }
    }

    private func runningProcess(of id: String) throws(EngineError) -> Int32 {
        guard let pid = try status(of: id)?.process?.pid else {
            throw EngineError(
                .conflict,
                "container \(id.prefix(12)), whose namespace is to be joined, is not running: start it first")
        }
        return pid
    }

    private func joinedNamespaces(
        _ spec: ContainerSpec, _ user: SharedDescriptor?, _ descriptors: inout [Int32],
        _ keep: inout [any AnyObject & Sendable]
    ) throws(EngineError) -> [LinuxNamespace.Kind: String] {
        var paths: [LinuxNamespace.Kind: String] = [:]
        if let user {
            paths[.user] = "/proc/self/fd/\(Self.firstInherited + Int32(descriptors.count))"
            descriptors.append(user.raw)
            keep.append(user)
        }
        for (kind, mode, name) in [
            (LinuxNamespace.Kind.pid, spec.pidMode, "pid"), (.ipc, spec.ipcMode, "ipc"),
            (.uts, spec.utsMode, "uts"),
        ] {
            if case .container(let id) = mode {
                paths[kind] = "/proc/\(try runningProcess(of: id))/ns/\(name)"
            }
        }
        return paths
    }

    /// hosts, hostname and resolv.conf, which config.json mounts into the container.
    private func writeFiles(
        _ record: ContainerRecord, hostname: String, attachment: NetworkAttachment?
    ) throws(EngineError) {
        let spec = record.spec
        try engineErrors("container \(record.name)") {
            let extra = try spec.extraHosts.map { try HostFiles.Entry(parsing: $0) }
            let requested = ResolverConfiguration(
                nameservers: spec.dns, search: spec.dnsSearch, options: spec.dnsOptions)
            try requested.validate()
            let sharesHost = spec.network == .host
            let resolver = ResolverConfiguration.forContainer(
                host: .host(), sharesHostNetwork: sharesHost, requested: requested)
            let hosts =
                sharesHost
                ? HostFiles.hosts(host: (try? File.readText("/etc/hosts")) ?? "", extra: extra)
                : HostFiles.hosts(
                    address: attachment?.address, gateway: attachment?.gateway,
                    names: [hostname, record.name],
                    extra: extra)
            var files = [
                ("hosts", hosts), ("hostname", HostFiles.hostname(hostname)), ("resolv.conf", resolver.text),
            ]
            // In another's network its names are the container's too.
            if case .container(let id) = spec.network {
                for index in [0, 2] {
                    files[index].1 =
                        (try? File.readText("\(directory(of: id))/\(files[index].0)")) ?? files[index].1
                }
            }
            for (name, text) in files {
                let path = "\(directory(of: record.id))/\(name)"
                try File.replace(path, with: Array(text.utf8), durable: false)
                if let user = spec.uidMappings.host(0), let group = spec.gidMappings.host(0) {
                    try FileMetadata.setOwner(of: path, at: File.currentDirectory, user, group)
                }
            }
        }
    }

    /// Where each named volume's content lies; a new one receives what the image has there.
    func volumePaths(_ spec: ContainerSpec, root: Int32) throws(EngineError) -> [String: String] {
        var paths: [String: String] = [:]
        for mount in spec.mounts where mount.kind == .volume {
            try engineErrors {
                try requireVolume(mount, of: spec)
                var content: SharedDescriptor?
                if !mount.options.contains("nocopy") {
                    let opened = try? File.open(inRoot: mount.destination, at: root, O_RDONLY | O_DIRECTORY)
                    if let opened { content = SharedDescriptor(opened) }
                }
                paths[mount.destination] = try withExtendedLifetime(content) {
                    try store.prepareVolume(mount.source, copyUp: content?.raw)
                }
            }
        }
        return paths
    }

    /// Undoes what a start has set up, and what a run has left. It may be called
    /// again, and for what was never set up.
    func takeDown(_ id: String) {
        try? network.tearDown(containerID: id)
        let shown = userRoot(of: id) + "/rootfs"
        try? OverlayMount.unmount(shown)
        for place in [shown, userRoot(of: id)] { _ = rmdir(place) }
        try? store.unmountSnapshot(id)
        try? File.unlink("\(stateDirectory(of: id))/network.json")
    }

    var network: BridgeNetwork { BridgeNetwork() }
}

enum ByteSize {
    /// `10m`, `1g`, `4096`: powers of 1024, as log options have them.
    static func parse(_ text: String) -> Int64? {
        let units: [Character: Int64] = ["b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30]
        var digits = Substring(text.lowercased())
        var factor: Int64 = 1
        if let last = digits.last, let unit = units[last] {
            factor = unit
            digits = digits.dropLast()
        }
        guard let number = Int64(digits), number > 0 else { return nil }
        return number.multipliedReportingOverflow(by: factor).overflow ? nil : number * factor
    }
}
