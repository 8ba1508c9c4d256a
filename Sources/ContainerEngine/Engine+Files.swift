import ContainerMonitor
import ContainerStorage
public import LayerArchive
import LinuxSystem

extension Engine {
    /// Calls with a container's root file system in place: that of the running
    /// container, or one that is mounted meanwhile, where only the caller sees it, and keeps the
    /// container from being started. Whoever is killed leaves no mount.
    func withRootfs<Value>(
        of record: ContainerRecord, _ body: (String) throws -> Value
    ) throws(EngineError) -> Value {
        guard let lock = try lockAfterLastRun(record) else { throw .noContainer(record.name) }
        if try status(of: record.id)?.process != nil {
            let rootfs = try engineErrors { try store.mountSnapshot(record.id) }
            _ = consume lock
            return try engineErrors { try body(rootfs) }
        }
        let result = Result { () throws(EngineError) in
            try engineErrors {
                try PrivateMounts.run {
                    let rootfs = try store.mountSnapshot(record.id)
                    defer { try? store.unmountSnapshot(record.id) }
                    return try body(rootfs)
                }
            }
        }
        _ = consume lock
        return try result.get()
    }

    /// Writes all files of a container as a tar archive, without those of its volumes.
    public func export(_ record: ContainerRecord, to sink: any ByteSink) throws(EngineError) {
        try withRootfs(of: record) { rootfs in
            let root = try File.open(rootfs, O_RDONLY | O_DIRECTORY)
            try LayerDiff.write(tree: root, to: sink, includesRoot: false)
        }
    }

    /// What a container has changed of its image.
    public func changes(of record: ContainerRecord) throws(EngineError) -> TreeChanges {
        try snapshotChanges(of: record).changes
    }

    /// What an image's topmost layer changed.
    public func changes(ofImage text: String) throws(EngineError) -> TreeChanges {
        let image = try requireImage(text)
        return try engineErrors { try store.changes(ofTopLayerOf: image.diffIDs) }
    }

    /// Without what is there only for mounts to stand on.
    func snapshotChanges(of record: ContainerRecord) throws(EngineError) -> SnapshotChanges {
        var found = try engineErrors { try store.changes(ofSnapshot: record.id) }
        let places = mountPoints(of: record)
        let taken = Set(found.changes.list.filter { $0.kind == .added }.map(\.path))
        let tree = found.tree.raw
        // The deepest first: a directory that holds nothing else goes with it.
        var gone: Set<[UInt8]> = []
        for path in taken.sorted(by: { $0.count > $1.count }) where places.contains(path) {
            if MountPoint.isBare(path, in: tree, besides: gone) { gone.insert(path) }
        }
        found.changes.remove { gone.contains($0.path) }
        return found
    }

    private func mountPoints(of record: ContainerRecord) -> Set<[UInt8]> {
        var places: Set<[UInt8]> = []
        let standard = [
            "/dev", "/dev/console", "/dev/mqueue", "/dev/pts", "/dev/shm", "/etc/hostname", "/etc/hosts",
            "/etc/resolv.conf", "/proc", "/sbin/apus-init", "/sys",
        ]
        for path in standard + record.spec.mounts.map(\.destination) {
            var path = Array(PathText.normalized(path).utf8.dropFirst())
            while !path.isEmpty, places.insert(path).inserted {
                path = path.lastIndex(of: UInt8(ascii: "/")).map { Array(path[..<$0]) } ?? []
            }
        }
        return places
    }
}

/// What the runtime makes where an image has nothing for a mount to stand on.
private enum MountPoint {
    /// An empty file, or a directory with nothing in it but what is gone already.
    static func isBare(_ path: [UInt8], in tree: Int32, besides gone: Set<[UInt8]>) -> Bool {
        let name = path.map { CChar(bitPattern: $0) } + [0]
        guard let file = try? File.openRaw(name, beneath: tree, O_RDONLY | O_NOFOLLOW | O_NONBLOCK),
            let status = try? FD.stat(file.raw)
        else { return false }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return status.st_size == 0
        case S_IFDIR:
            guard let entries = try? DirectoryListing(file.raw).entries else { return false }
            return entries.allSatisfy { gone.contains(path + [UInt8(ascii: "/")] + $0.bytes) }
        default: return false
        }
    }
}
