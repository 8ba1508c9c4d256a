import LayerArchive
import LinuxSystem

/// What a migration moved.
public struct Migrated: Sendable, Equatable {
    public var layers = 0
    public var snapshots = 0
}

extension Store {
    /// Moves all images and containers to another driver. All is made aside
    /// and takes effect in one transaction: a migration that is killed has
    /// changed nothing, and what it made is swept. Afterwards the old driver's
    /// files are removed.
    ///
    /// The caller keeps the containers from starting.
    /// - Throws: `inUse` when an image or a container's file system is mounted,
    ///   `unsupported` when the driver does not work here.
    public func migrate(to driver: SnapshotterName) throws(StorageError) -> Migrated {
        let operation = "migrate the store to"
        try Self.prepare(driver, root, directory.raw)
        // One at a time.
        let lock = try ObjectLock("migration", in: directory.raw)
        defer { lock.keep() }
        if let mount = try mountedImages().first {
            throw StorageError(.inUse, operation, driver.rawValue, "the image \(mount.id.short) is mounted")
        }
        try writeOut()
        let target = try opened(with: driver)
        let lease = try target.lease()
        defer { lease.end() }

        var migrated = Migrated()
        var layers: [Digest: Int64] = [:]
        let images = try images()
        var records: [SnapshotRecord] = []
        for id in try snapshots() {
            if let record = try snapshot(id) { records.append(record) }
        }
        for chain in Set(images.map(\.diffIDs) + records.map(\.diffIDs)) {
            for diffID in chain where layers[diffID] == nil {
                guard let blob = try sourceBlob(diffID, of: images) else {
                    throw StorageError(
                        .notFound, operation, driver.rawValue, "the blob of layer \(diffID) is not here")
                }
                let info = try target.ingestLayer(
                    blob: blob, size: nil, diffID: diffID,
                    from: {
                        throw StorageError(
                            .notFound, "use layer", "\(diffID)", "its blob \(blob) is not here")
                    }())
                layers[diffID] = info.size
                if !info.reused { migrated.layers += 1 }
            }
            try target.snapshotter.prepare(chain)
        }

        // Held until the new driver is recorded: nobody mounts one, or sweeps its copy.
        var held: [HeldLock] = []
        var moved: [(id: String, partial: String)] = []
        for record in records where record.driver != driver {
            held.append(try HeldLock("snapshot-\(record.id)", in: directory.raw))
            guard try snapshot(record.id) != nil else { continue }
            migrated.snapshots += 1
            let partial = lease.newPartial(content: false)
            if try SnapshotMove(store: self, target: target.snapshotter).copy(record, to: partial) {
                moved.append((record.id, partial))
            }
        }
        for (id, partial) in moved {
            let place = target.snapshotter.snapshotPath(id)
            try storing(operation, driver.rawValue) { () throws(SystemError) in
                // What an earlier one left that was killed here.
                try discard(place, as: "snapshot")
                try File.rename(partial, to: place, at: directory.raw)
            }
        }
        try syncFileSystem()
        try database.write(durable: true) { connection throws(StorageError) in
            for (diffID, size) in layers {
                try connection.execute(
                    "INSERT INTO layer VALUES(?, ?, ?) ON CONFLICT DO NOTHING", driver.rawValue, diffID, size)
            }
            try connection.execute("UPDATE snapshot SET driver = ?", driver.rawValue)
            try connection.execute("DELETE FROM layer WHERE driver != ?", driver.rawValue)
            let set =
                "INSERT INTO setting VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value"
            try connection.execute(set, "driver", driver.rawValue)
            try connection.execute(set, "driver_reason", "it was migrated to")
        }
        lease.settle()
        for record in records where record.driver != driver {
            try discardSnapshot(record.id, of: record.driver)
        }
        _ = consume held
        markForCollection()
        return migrated
    }
}

/// An object's lock in a list.
private final class HeldLock {
    private let lock: ObjectLock
    init(_ name: String, in directory: Int32) throws(StorageError) {
        lock = try ObjectLock(name, in: directory)
    }
}

/// A container's own files on their way from one driver to another.
private struct SnapshotMove {
    let store: Store
    let target: any Snapshotter
    private var at: Int32 { store.directory.raw }

    init(store: Store, target: any Snapshotter) {
        self.store = store
        self.target = target
    }

    /// Makes the snapshot's directory for the target, with its lock held.
    /// - Returns: false for one that was never mounted: then there is nothing.
    func copy(_ record: SnapshotRecord, to partial: String) throws(StorageError) -> Bool {
        let source = store.snapshotter(record.driver)
        let place = source.snapshotPath(record.id)
        guard File.exists(place, at: at) else { return false }
        if Mount.isMountRoot("\(store.root)/\(place)/merged") {
            throw StorageError(.inUse, "move the file system of", record.id, "it is mounted")
        }
        if OwnerShift.isDone(place, at: at) || OwnerShift.wasCutShort(place, at: at) {
            throw StorageError(
                .unsupported, "move the file system of", record.id,
                "its files have been given to the users of its user namespace")
        }
        let changes = source.changesPath(record.id)
        do {
            try File.makeDirectory(partial, at: at, mode: 0o711)
            switch (changes, target.changesPath("")) {
            case (let changes?, .some):
                // Mounted for the first time just now, it has none.
                guard File.exists(changes, at: at) else { return true }
                try File.makeDirectory(partial + "/upper", at: at, mode: 0o700)
                try TreeCopy.copy(
                    contentsOf: open(changes), to: open(partial + "/upper"), keepingNotes: true)
            case (nil, nil):
                try makeRoot(partial)
                try TreeCopy.copy(contentsOf: open(place + "/rootfs"), to: open(partial + "/rootfs"))
            case (.some, nil):
                try makeRoot(partial)
                // Whoever is killed leaves no mount.
                try PrivateMounts.run {
                    let merged = try source.mount(record.id, record.diffIDs, volatile: false, owners: nil)
                    defer { try? source.unmount(record.id) }
                    try TreeCopy.copy(
                        contentsOf: File.open(merged, O_RDONLY | O_DIRECTORY), to: open(partial + "/rootfs"))
                }
            case (nil, .some):
                try File.makeDirectory(partial + "/upper", at: at, mode: 0o700)
                try copyHiding(record.diffIDs, from: place + "/rootfs", to: partial + "/upper")
            }
        } catch {
            throw StorageError("move the file system of", record.id, any: error)
        }
        return true
    }

    private func open(_ path: String) throws(SystemError) -> Descriptor {
        try File.open(path, at: at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    }

    private func makeRoot(_ partial: String) throws(SystemError) {
        guard target.name == .btrfs else {
            return try File.makeDirectory(partial + "/rootfs", at: at, mode: 0o700)
        }
        let folder = try open(partial)
        try BtrfsSubvolume.create("rootfs", at: folder.raw)
    }

    /// An upper that shows a whole tree, and nothing of the layers below.
    private func copyHiding(_ chain: [Digest], from tree: String, to upper: String) throws {
        let target = try open(upper)
        try TreeCopy.copy(contentsOf: open(tree), to: target)
        let status = try FD.stat(target.raw)
        var names: Set<[CChar]> = []
        for entry in try DirectoryListing(target.raw).entries {
            names.insert(entry.name)
            guard
                let directory = try? File.openRaw(
                    entry.name, beneath: target.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            else { continue }
            try ExtendedAttributes.set(directory.raw, .init("trusted.overlay.opaque", [UInt8(ascii: "y")]))
        }
        let view = try self.target.view(chain)
        let below = try File.open(".", at: view.raw, O_RDONLY | O_DIRECTORY)
        for entry in try DirectoryListing(below.raw).entries where !names.contains(entry.name) {
            _ = try retrying("mknod", entry.text) { mknodat(target.raw, entry.name, S_IFCHR, 0) }
        }
        // Whiteouts are new names in it.
        try FileMetadata.setTimes(
            target.raw, accessed: Timestamp(status.st_atim), modified: Timestamp(status.st_mtim))
    }
}
