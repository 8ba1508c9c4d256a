import JSONText
import LinuxSystem
import OCISpec

extension Runtime {
    private static let dumpLog = "dump.log"

    /// Saves a running container's processes with CRIU, and removes the container, unless it is to
    /// go on. When that fails, it goes on too.
    /// - Parameter warn: told about failures of poststop hooks, which change nothing.
    /// - Throws: `.wrongState` when it does not run; `.unsupported` without a CRIU that can do it.
    public func checkpoint(
        _ id: String, options: CheckpointOptions, warn: (RuntimeError) -> Void = { _ in }
    ) throws(RuntimeError) {
        let directory = try StateDirectory(opening: id, root: root)
        guard directory.tryLock() else {
            throw RuntimeError(.wrongState, "container \(id) is being changed by another command")
        }
        let record = try directory.record()
        let status = try Self.state(directory, record).status
        guard let record, status == .running || status == .paused, let process = try Self.open(record) else {
            throw RuntimeError(
                .wrongState, "container \(id) cannot be checkpointed in \(status.rawValue) state")
        }
        let config = try Self.config(directory)
        let images = try CheckpointImages(options.criu, log: Self.dumpLog, making: true)
        try Self.checkParent(options.parentPath, images)
        let criu = try CRIUService(options.criu.program)
        do throws(RuntimeError) {
            try criu.require(CRIUFeatures(tracksMemory: options.preDump, lazyPages: options.criu.lazyPages))
            let request = try dumpRequest(options, record, config, images, criu)
            if !options.preDump { try images.write(streams: record.streams) }
            _ = try criu.perform(options.preDump ? .preDump(request) : .dump(request)) {
                (notification) throws(RuntimeError) in
                if notification.script == "status-ready", let descriptor = options.statusDescriptor {
                    _ = try? FD.writeAll(descriptor, [0])
                    close(descriptor)
                }
            }
        } catch {
            criu.stop()
            // A CRIU that was killed could not do it.
            if status == .running, let cgroup = try Self.cgroup(record), Self.isFrozen(cgroup) {
                try? cgroup.thaw()
            }
            throw images.explained(error, log: Self.dumpLog)
        }
        if options.preDump || options.leaveRunning { return }
        // CRIU has killed it, which takes a moment.
        _ = try during("wait for container \(id)") { () throws(SystemError) in
            try Pidfd.waitForEnd(process.raw, milliseconds: 10_000)
        }
        try remove(directory, force: false, warn)
    }

    private func dumpRequest(
        _ options: CheckpointOptions, _ record: StateRecord, _ config: RuntimeConfig,
        _ images: CheckpointImages, _ criu: CRIUService
    ) throws(RuntimeError) -> CRIURequestOptions {
        var request = images.options(
            options.criu, annotations: config.annotations, log: Self.dumpLog)
        request.pid = record.pid
        request.root = record.rootfs
        request.leaveRunning = options.leaveRunning
        request.tcpSkipInFlight = options.tcpSkipInFlight
        request.pageServer = options.pageServer
        if let parent = options.parentPath {
            request.parentImages = parent
            request.tracksMemory = true
        }
        let linux = config.linux ?? LinuxSpec()
        for namespace in linux.namespaces {
            guard let path = namespace.path, let key = namespace.type.externalKey else { continue }
            try criu.require(
                namespace.type.externalSince, for: "a \(namespace.type.rawValue) namespace by path")
            let inode = try during("inspect the \(namespace.type.rawValue) namespace") {
                () throws(SystemError) in try File.status(path).st_ino
            }
            request.external.append("\(namespace.type.fileName)[\(inode)]:\(key)")
        }
        if let cgroup = try Self.cgroup(record) {
            request.freezerGroup = cgroup.freezerPath
            // Before a dump, memory is all that is looked at.
            if !options.preDump {
                let pid = record.pid
                let root = try during("open the container's root") { () throws(SystemError) in
                    try File.open("/proc/\(pid)/root", O_PATH | O_DIRECTORY)
                }
                let hasNamespace = linux.namespaces.contains { $0.type == .cgroup }
                var mounts = try ExternalMounts(
                    config, bundle: record.bundle, rootfs: record.rootfs,
                    cgroups: CgroupMounts(cgroup, hasNamespace: hasNamespace))
                try mounts.findForDump(in: root)
                request.externalMounts = mounts.pairs
            }
        }
        return request
    }

    private static func checkParent(
        _ path: String?, _ images: CheckpointImages
    ) throws(RuntimeError) {
        guard let path else { return }
        guard path.utf8.first != UInt8(ascii: "/") else {
            throw RuntimeError(
                .invalidConfig, "--parent-path must be relative to the image directory: \(path)")
        }
        let directory = images.raw
        try during("invalid --parent-path", code: .invalidConfig) { () throws(SystemError) in
            _ = try File.open(path, at: directory, O_PATH | O_DIRECTORY)
        }
    }
}

extension LinuxNamespace.Kind {
    /// The name by which CRIU is given a namespace of this kind that it does not dump; nil for
    /// kinds where it knows no such thing. (runc's names.)
    var externalKey: String? {
        switch self {
        case .network: "extRootNetNS"
        case .pid: "extRootPidNS"
        default: nil
        }
    }

    var externalSince: CRIUVersion {
        self == .pid ? CRIUVersion(major: 3, minor: 15) : CRIUVersion(major: 3, minor: 11)
    }
}
