import ContainerMonitor
import ContainerStorage
import LayerArchive
import LinuxSystem

extension Engine {
    /// Copies files between a container and this machine, two containers, or a
    /// container and a stream, by the rules of `docker cp`. Every path of a
    /// container is found within its root, by descriptors.
    public func copy(_ request: CopyRequest) throws(EngineError) {
        switch (request.source, request.target) {
        case (.local, .local), (.local, .stream), (.stream, .local), (.stream, .stream):
            throw EngineError(.invalid, "must specify at least one container source: CONTAINER:PATH")
        default: break
        }
        try withRoot(request.source) { source in
            try self.withRoot(request.target) { target in
                let copy = FileCopy(request: request, source: source, target: target)
                try copy.run()
            }
        }
    }

    /// Calls with the root in which an end's path is to be found: -1 for a stream.
    private func withRoot(
        _ end: CopyEnd, _ body: @escaping @Sendable (Int32) throws -> Void
    ) throws(EngineError) {
        switch end {
        case .stream: try engineErrors { try body(-1) }
        case .local:
            try engineErrors {
                let root = try File.open("/", O_PATH | O_DIRECTORY)
                try body(root.raw)
            }
        case .container(let name, _):
            let record = try find(name)
            if let root = try runningRoot(of: record) {
                return try engineErrors { try body(root.raw) }
            }
            try withRootfs(of: record) { rootfs in
                // What the container would see: its volumes too, in mounts of our own.
                try PrivateMounts.run {
                    if record.spec.readOnlyRootfs { try PrivateMounts.makeReadOnly(rootfs) }
                    let root = try File.open(rootfs, O_RDONLY | O_DIRECTORY)
                    for mount in try self.mountSources(record.spec, root: root.raw) {
                        guard let target = try? File.open(inRoot: mount.place, at: root.raw, O_PATH) else {
                            continue
                        }
                        let source = try File.open(mount.source, O_PATH)
                        try PrivateMounts.bind(source.raw, on: target.raw)
                        if mount.isReadOnly {
                            let mounted = try File.open(inRoot: mount.place, at: root.raw, O_PATH)
                            try PrivateMounts.remountReadOnly("/proc/self/fd/\(mounted.raw)")
                        }
                    }
                    try body(root.raw)
                }
            }
        }
    }

    /// The root of a running container with all that is mounted there.
    private func runningRoot(of record: ContainerRecord) throws(EngineError) -> Descriptor? {
        guard let process = try status(of: record.id)?.process else { return nil }
        guard let root = try? File.open("/proc/\(process.pid)/root", O_PATH | O_DIRECTORY) else { return nil }
        // Checked after it is open: from here on it is this container's.
        if ProcessHandle(process) == nil { return nil }
        return root
    }

    private func mountSources(
        _ spec: ContainerSpec, root: Int32
    ) throws -> [(place: String, source: String, isReadOnly: Bool)] {
        let volumes = try volumePaths(spec, root: root)
        return spec.mounts.compactMap { mount in
            let source = mount.kind == .bind ? mount.source : volumes[mount.destination]
            return source.map { (PathText.normalized(mount.destination), $0, mount.readOnly) }
        }.sorted { $0.place < $1.place }
    }
}

/// One copy, between two roots.
private struct FileCopy: Sendable {
    let request: CopyRequest
    let source: Int32
    let target: Int32

    func run() throws {
        if case .stream = request.target { return try writeStream() }
        if case .stream = request.source { return try readStream() }
        let from = try place(request.source, in: source, follows: request.followsLink)
        guard from.status != nil else { throw noSuch(request.source) }
        try refuseKernelFiles(from.parent.raw, request.source)
        if Self.path(request.source).hasSuffix("/"), !from.isDirectory {
            throw EngineError(.invalid, "\(text(request.source)): not a directory")
        }
        let to = try place(request.target, in: target, follows: true)
        // The contents of `DIR/.`, and of a root, which has no name.
        let contentsOnly = from.name == nil
        let asksForDirectory = Self.path(request.target).hasSuffix("/")
        if to.isDirectory {
            let directory = try to.openDirectory()
            // A directory's own entry changes nothing that is there already.
            return try transfer(
                from, contentsOnly ? nil : from.name, into: directory.raw, withTop: !contentsOnly)
        }
        if to.status != nil {
            guard !from.isDirectory else {
                throw EngineError(.conflict, "cannot copy a directory to \(text(request.target)), a file")
            }
            guard !asksForDirectory else {
                throw EngineError(.invalid, "\(text(request.target)): not a directory")
            }
        } else if asksForDirectory, !from.isDirectory {
            throw EngineError(.notFound, "\(text(request.target)): no such directory")
        }
        try transfer(from, to.name, into: to.parent.raw, withTop: true)
    }

    /// - Parameter name: what the top is called in the target; nil for its contents alone.
    private func transfer(
        _ from: borrowing CopyPlace, _ name: [UInt8]?, into directory: Int32, withTop: Bool
    ) throws {
        try refuseKernelFiles(directory, request.target)
        let tar: WrittenSource
        let old = from.name
        if from.isDirectory {
            let tree = SharedDescriptor(try from.openDirectory())
            try refuseKernelFiles(tree.raw, request.source)
            tar = try WrittenSource { sink in
                try LayerDiff.write(tree: tree.descriptor, to: sink, includesRoot: withTop)
            }
        } else {
            let parent = SharedDescriptor(try from.parent.duplicate())
            tar = try WrittenSource { sink in try LayerDiff.write(old!, in: parent.raw, to: sink) }
        }
        let isDirectory = from.isDirectory
        try apply(tar, to: directory) { entry in
            guard let name else { return }
            if isDirectory {
                entry.name = name + [UInt8(ascii: "/")] + Self.below(entry.name)
                if entry.kind == .hardLink {
                    entry.linkTarget = name + [UInt8(ascii: "/")] + entry.linkTarget
                }
            } else {
                entry.name = name
            }
        }
    }

    /// The root's own entry is `./`.
    private static func below(_ name: [UInt8]) -> [UInt8] { name == Array("./".utf8) ? [] : name }

    private func apply(
        _ tar: any ByteSource, to directory: Int32, keepsOwners: Bool? = nil,
        _ rename: @escaping @Sendable (inout TarEntry) -> Void
    ) throws {
        var options = LayerApplier.Options(whiteouts: .none)
        options.keepsDirectories = !request.overwrites
        let owner = keepsOwners ?? request.keepsOwners ? nil : newOwner
        options.adjust = { entry in
            rename(&entry)
            guard let owner, (entry.user, entry.group) != owner else { return }
            (entry.user, entry.group) = owner
            // What gave its owner's rights to others must not give them the new one's (chown(2)).
            if entry.kind == .regular { entry.mode &= ~0o6000 }
        }
        let root = try File.open(".", at: directory, O_RDONLY | O_DIRECTORY)
        try LayerApplier.apply(tar, to: root, options: options)
    }

    private var newOwner: (UInt32, UInt32) {
        if case .local = request.target { return (getuid(), getgid()) }
        return (0, 0)
    }

    // MARK: Streams

    private func writeStream() throws {
        guard isatty(STDOUT_FILENO) == 0 else {
            throw EngineError(
                .invalid, "refusing to write an archive to a terminal: redirect standard output")
        }
        let from = try place(request.source, in: source, follows: request.followsLink)
        guard from.status != nil else { throw noSuch(request.source) }
        try refuseKernelFiles(from.parent.raw, request.source)
        let sink = DescriptorSink(STDOUT_FILENO)
        if let name = from.name {
            try LayerDiff.write(name, in: from.parent.raw, to: sink)
        } else {
            try LayerDiff.write(tree: from.openDirectory(), to: sink)
        }
    }

    private func readStream() throws {
        let to = try place(request.target, in: target, follows: true)
        guard to.status != nil else { throw noSuch(request.target) }
        guard to.isDirectory else {
            throw EngineError(.invalid, "\(text(request.target)): not a directory, which an archive needs")
        }
        let directory = try to.openDirectory()
        try refuseKernelFiles(directory.raw, request.target)
        let input = XZSource(DescriptorSource(STDIN_FILENO))
        try apply(DecompressingSource(input), to: directory.raw, keepsOwners: true) { _ in }
    }

    // MARK: Paths

    private func place(_ end: CopyEnd, in root: Int32, follows: Bool) throws -> CopyPlace {
        var path = Self.path(end)
        if case .local = end, !path.hasPrefix("/") {
            guard let directory = getcwd(nil, 0) else {
                throw EngineError(.failed, "working directory: \(Errno.current)")
            }
            defer { free(directory) }
            path = String(cString: directory) + "/" + path
        }
        if !path.hasPrefix("/") { path = "/" + path }
        do throws(SystemError) {
            return try CopyPlace(path, in: root, follows: follows)
        } catch  where error.errno == .noEntry {
            throw noSuch(end)
        } catch {
            throw EngineError(.failed, "\(text(end)): \(error.errno)")
        }
    }

    private func refuseKernelFiles(_ file: Int32, _ end: CopyEnd) throws {
        guard case .container = end, KernelFiles.are(on: file) else { return }
        throw EngineError(.invalid, "\(text(end)): files of the kernel (/proc, /sys) cannot be copied")
    }

    private func noSuch(_ end: CopyEnd) -> EngineError {
        EngineError(.notFound, "\(text(end)): no such file or directory")
    }

    private static func path(_ end: CopyEnd) -> String {
        switch end {
        case .container(_, let path): path.isEmpty ? "/" : path
        case .local(let path): path
        case .stream: "-"
        }
    }

    private func text(_ end: CopyEnd) -> String {
        if case .container(let name, let path) = end { return "\(name):\(path)" }
        return Self.path(end)
    }
}
