import LinuxSystem
import OCISpec

/// A container that is being restored: everything that CRIU needs beside the images.
struct RestoreWork {
    let id: String
    let bundle: Bundle
    let options: RestoreOptions
    var record: StateRecord
    let cgroups: CgroupMounts
    /// Open, in the order in which CRIU's process has them.
    private var namespaces: [HeldDescriptor] = []
    private var request: CRIURequestOptions
    private var images: CheckpointImages

    static let log = "restore.log"
    /// Where CRIU finds the root file system, in the state directory.
    static let rootName = "criu-root"
    /// The standard streams and the channel come first.
    private static let firstInherited: Int32 = 4

    init(
        _ bundle: Bundle, _ options: RestoreOptions, _ record: StateRecord, cgroups: CgroupMounts,
        images: CheckpointImages
    ) throws(RuntimeError) {
        id = record.id
        self.bundle = bundle
        self.options = options
        self.record = record
        self.cgroups = cgroups
        self.images = images
        request = images.options(options.criu, annotations: bundle.config.annotations, log: Self.log)
        request.evasiveDevices = true
        request.restoresSibling = true
        request.securityProfile = options.securityProfile
        request.securityMountContext = options.securityMountContext
        for (number, name) in try images.readStreams(options.criu.imagePath).enumerated()
        where name.hasPrefix("pipe:") {
            request.inherited.append(.init(key: name, descriptor: Int32(number)))
        }
        try addNamespaces()
    }

    private mutating func addNamespaces() throws(RuntimeError) {
        for namespace in bundle.config.linux?.namespaces ?? [] {
            guard let path = namespace.path else { continue }
            let kind = namespace.type
            if let key = kind.externalKey {
                let file = try during("open the \(kind.rawValue) namespace", code: .invalidConfig) {
                    () throws(SystemError) in try File.open(path, O_RDONLY)
                }
                request.inherited.append(
                    .init(key: key, descriptor: Self.firstInherited + Int32(namespaces.count)))
                namespaces.append(HeldDescriptor(file))
            } else if kind == .cgroup {
                throw RuntimeError(
                    .unsupported, "CRIU cannot restore into the cgroup namespace \(path)")
            } else {
                request.joinedNamespaces.append(.init(key: kind.fileName, value: path))
            }
        }
    }

    /// Restores the container.
    /// - Parameter contain: puts CRIU's process into the container's control group, for what it
    ///   restores is born where it is.
    mutating func perform(
        in directory: borrowing StateDirectory, contain: (pid_t) throws(RuntimeError) -> Void
    ) throws(RuntimeError) -> CreatedContainer {
        let criu = try startService(directory)
        var terminal: Descriptor?
        do throws(RuntimeError) {
            try check(criu)
            try contain(criu.pid)
            request.cgroupRoots = try Self.cgroupRoots(of: criu.pid)
            let pid = try criu.perform(.restore(request)) { (notification) throws(RuntimeError) in
                switch notification.script {
                case "setup-namespaces": try runHooks(notification.pid ?? 0)
                case "post-restore": try write(notification.pid ?? 0, directory)
                case "orphan-pts-master":
                    guard let master = notification.descriptors.takeFirst() else { return }
                    if let path = options.consoleSocket {
                        try ConsoleSocket.send(master.raw, name: "orphan-pts-master", to: path)
                    } else {
                        terminal = consume master
                    }
                default: break
                }
            }
            guard let pid, pid == record.pid else {
                throw RuntimeError(.system, "CRIU does not tell what it has restored")
            }
            let pidfd = try during("open the container's process") { () throws(SystemError) in
                try Pidfd.open(pid)
            }
            try PIDFile.write(pid, to: options.pidFile)
            return CreatedContainer(pid: pid, pidfd: pidfd, terminal: terminal.take(), channel: nil)
        } catch {
            criu.stop()
            throw error
        }
    }

    private func check(_ criu: CRIUService) throws(RuntimeError) {
        let profiles = CRIUVersion(major: 3, minor: 16)
        if options.securityProfile != nil { try criu.require(profiles, for: "--lsm-profile") }
        if options.securityMountContext != nil { try criu.require(profiles, for: "--lsm-mount-context") }
        for namespace in bundle.config.linux?.namespaces ?? []
        where namespace.path != nil && namespace.type.externalKey != nil {
            try criu.require(
                namespace.type.externalSince, for: "a \(namespace.type.rawValue) namespace by path")
        }
    }

    /// Starts CRIU in a mount namespace that no one else sees: it wants the root file system as a
    /// mount whose parent is not covered, which must not stay when one of us is killed.
    private mutating func startService(
        _ directory: borrowing StateDirectory
    ) throws(RuntimeError) -> CRIUService {
        let raw = directory.raw
        let inherited = namespaces.map { $0.descriptor.raw }
        let (program, rootfs) = (options.criu.program, bundle.rootfs)
        var mounts = try ExternalMounts(
            bundle.config, bundle: bundle.path, rootfs: rootfs, cgroups: cgroups)
        // By names from here on: what was opened before lies in the mount namespace that we leave.
        let place = try during("make the place of the root file system") { () throws(SystemError) in
            try File.makeDirectory(Self.rootName, at: raw, mode: 0o700)
            return "\(try File.readLink("/proc/self/fd/\(raw)"))/\(Self.rootName)"
        }
        let criu = try MountNamespace.apart { () throws(RuntimeError) in
            let tree = try Self.mount(rootfs, at: place)
            try mounts.prepareForRestore(in: Rootfs(root: tree), at: place)
            try during("unmount the root file system") { () throws(SystemError) in try Mount.detach(place) }
            _ = try Self.mount(rootfs, at: place)
            // CRIU mounts in them, which it can only where it is.
            images = try CheckpointImages(options.criu, log: Self.log, making: false)
            request.imagesDirectory = images.raw
            request.workDirectory = images.workRaw
            return try CRIUService(program, streams: [0, 1, 2], inherited: inherited)
        }
        request.root = place
        request.externalMounts = mounts.pairs
        return criu
    }

    private static func mount(_ rootfs: String, at place: String) throws(RuntimeError) -> Descriptor {
        try during("mount the root file system") { () throws(SystemError) in
            let tree = try Mount.clone(rootfs, recursive: true)
            let directory = try File.open(place, O_PATH | O_DIRECTORY | O_NOFOLLOW)
            try Mount.attach(tree.raw, onto: directory.raw)
            return tree
        }
    }

    /// `4:cpu,cpuacct:/a/b`: each controller's own (cgroups(7)).
    private static func cgroupRoots(of pid: pid_t) throws(RuntimeError) -> [CRIURequestOptions.Pair] {
        let text = try during("find the cgroup of CRIU") { () throws(SystemError) in
            try File.readText("/proc/\(pid)/cgroup")
        }
        var roots: [CRIURequestOptions.Pair] = []
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            for controller in fields[1].split(separator: ",", omittingEmptySubsequences: false) {
                roots.append(.init(key: String(controller), value: String(fields[2])))
            }
        }
        return roots
    }

    private func runHooks(_ pid: pid_t) throws(RuntimeError) {
        guard let hooks = bundle.config.hooks else { return }
        let state = RuntimeState(
            ociVersion: bundle.config.ociVersion, id: id, status: .creating, pid: pid, bundle: bundle.path,
            annotations: bundle.config.annotations)
        try HookRunner.run(hooks.prestart, "prestart", state: state)
        try HookRunner.run(hooks.createRuntime, "createRuntime", state: state)
    }

    /// The processes are complete, and stopped until CRIU hears that this is done: from now on the
    /// container can be found.
    private mutating func write(
        _ pid: pid_t, _ directory: borrowing StateDirectory
    ) throws(RuntimeError) {
        let status = try during("inspect process \(pid)") { () throws(SystemError) in
            try ProcessStatus.read(pid)
        }
        guard let status else {
            throw RuntimeError(.system, "the container's process \(pid) is gone")
        }
        record.pid = pid
        record.startTime = status.startTime
        record.created = "\(Timestamp.now)"
        // CRIU keeps the clocks going by a time namespace.
        let isListed = bundle.config.linux?.namespaces.contains { $0.type == .time } ?? false
        record.hasTimeNamespace =
            !isListed
            && (try? File.readLink("/proc/\(pid)/ns/time")) != (try? File.readLink("/proc/self/ns/time"))
        try directory.write(record)
    }
}
