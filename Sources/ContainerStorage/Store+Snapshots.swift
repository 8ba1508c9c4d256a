public import LayerArchive
public import LinuxSystem

/// A container's file system over an image's layers.
public struct SnapshotRecord: Sendable, Equatable {
    public var id: String
    public var image: Digest?
    public var driver: SnapshotterName
    /// Its changes need not survive a crash of the machine.
    public var volatile: Bool
    public var diffIDs: [Digest]
}

extension Store {
    /// Makes a snapshot of layers. It costs a transaction; files come with the first mount.
    /// - Parameters:
    ///   - id: the container's: letters, digits, `_`, `.` and `-`.
    ///   - image: which from now on cannot be removed.
    ///   - volatile: skip the syncs of the record and of the file system, for a
    ///     container whose changes end with it.
    ///   - recording: what else is to be written with it, or not at all: the
    ///     owner's row.
    /// - Throws: `exists`; `notFound` when a layer is not here.
    public func createSnapshot(
        id: String, image: Digest?, diffIDs: [Digest], volatile: Bool = false,
        recording: (Connection) throws(StorageError) -> Void = { _ throws(StorageError) in }
    ) throws(StorageError) {
        let operation = "create the file system of"
        try Self.check(id, operation)
        try unpack(diffIDs)
        try database.write(durable: !volatile) { connection throws(StorageError) in
            if try connection.exists("SELECT 1 FROM snapshot WHERE id = ?", id) {
                throw StorageError(.exists, operation, id, "it exists")
            }
            if let image, try !connection.exists("SELECT 1 FROM image WHERE id = ?", image) {
                throw StorageError(.notFound, operation, id, "the image \(image) is gone")
            }
            try connection.execute(
                "INSERT INTO snapshot VALUES(?, ?, ?, ?, ?)", id, image, driver, volatile, Now.unixNanoseconds
            )
            for (position, diffID) in diffIDs.enumerated() {
                guard
                    try connection.exists(
                        "SELECT 1 FROM layer WHERE driver = ? AND diff_id = ?", driver, diffID)
                else { throw StorageError(.notFound, operation, id, "the layer \(diffID) is gone") }
                try connection.execute("INSERT INTO snapshot_layer VALUES(?, ?, ?)", id, position, diffID)
            }
            try recording(connection)
        }
    }

    public func createSnapshot(
        id: String, image: ImageRecord, volatile: Bool = false,
        recording: (Connection) throws(StorageError) -> Void = { _ throws(StorageError) in }
    ) throws(StorageError) {
        try createSnapshot(
            id: id, image: image.id, diffIDs: image.diffIDs, volatile: volatile, recording: recording)
    }

    /// An image that came while the store used another driver has its blobs
    /// here, and not its layers.
    func unpack(_ diffIDs: [Digest]) throws(StorageError) {
        let missing = diffIDs.filter { !hasLayer($0) }
        if missing.isEmpty { return }
        let lease = try lease()
        defer { lease.end() }
        let images = try images()
        var sizes: [(Digest, Int64)] = []
        for diffID in missing {
            guard let blob = try sourceBlob(diffID, of: images) else {
                throw StorageError(.notFound, "use layer", "\(diffID)", "it is not here, nor is its blob")
            }
            let info = try ingestLayer(
                blob: blob, size: nil, diffID: diffID,
                from: {
                    throw StorageError(
                        .notFound, "use layer", "\(diffID)", "its blob \(blob) is not here")
                }())
            sizes.append((diffID, info.size))
        }
        let session = try sessionOfUnwritten()
        if session == nil { try syncFileSystem() }
        let isUnwritten = try database.write { connection throws(StorageError) in
            for (diffID, size) in sizes {
                try record(diffID, size: size, unwrittenIn: session, connection)
            }
            return try Self.hasUnwritten(connection)
        }
        lease.settle()
        if isUnwritten { leaveWork?() }
    }

    /// The same for what was made with a driver that need not be the store's.
    func unpack(_ diffIDs: [Digest], by driver: SnapshotterName) throws(StorageError) {
        if diffIDs.allSatisfy({ hasLayer($0, of: driver) }) { return }
        try (driver == snapshotter.name ? self : opened(with: driver)).unpack(diffIDs)
    }

    /// The blob that a layer was unpacked from, by whatever driver.
    func blob(ofLayer diffID: Digest) -> Digest? {
        let records = SnapshotterName.allCases.compactMap {
            try? LayerRecord.read(snapshotter($0).layerPath(diffID), at: directory.raw)
        }
        return records.first { hasBlob($0.blob) }?.blob ?? records.first?.blob
    }

    /// Makes a snapshot's file system visible; one that is stays so.
    /// - Parameter owners: the mapping of its container's user namespace, the same at every mount.
    /// - Returns: the absolute path of its root directory.
    public func mountSnapshot(_ id: String, owners: OwnerMap? = nil) throws(StorageError) -> String {
        try Self.check(id, "mount the file system of")
        let lock = try ObjectLock("snapshot-\(id)", in: directory.raw)
        defer { lock.keep() }
        // Read under the lock: one that is removed meanwhile must not come back.
        let record = try requireSnapshot(id)
        try unpack(record.diffIDs, by: record.driver)
        return try snapshotter(record.driver).mount(
            id, record.diffIDs, volatile: record.volatile, owners: owners)
    }

    /// Ends what `mountSnapshot` began; one that is not mounted is no error.
    public func unmountSnapshot(_ id: String) throws(StorageError) {
        try Self.check(id, "unmount the file system of")
        guard let record = try snapshot(id) else { return }
        let lock = try ObjectLock("snapshot-\(id)", in: directory.raw)
        defer { lock.keep() }
        try snapshotter(record.driver).unmount(id)
    }

    /// Removes a snapshot with its changes; one that is not there is no error.
    /// - Parameter recording: what is to be written with it: the owner's row goes too.
    public func removeSnapshot(
        _ id: String,
        recording: (Connection) throws(StorageError) -> Void = { _ throws(StorageError) in }
    ) throws(StorageError) {
        try Self.check(id, "remove the file system of")
        let lock = try ObjectLock("snapshot-\(id)", in: directory.raw)
        let outlivesBoots = try snapshot(id)?.volatile == false
        try database.write(durable: outlivesBoots) { connection throws(StorageError) in
            try connection.execute("DELETE FROM snapshot WHERE id = ?", id)
            try recording(connection)
        }
        try discardSnapshot(id)
        _ = consume lock
        try emptyTrash()
    }

    /// With the snapshot's lock held.
    func discardSnapshot(_ id: String) throws(StorageError) {
        for driver in SnapshotterName.allCases { try discardSnapshot(id, of: driver) }
    }

    func discardSnapshot(_ id: String, of driver: SnapshotterName) throws(StorageError) {
        let snapshotter = snapshotter(driver)
        guard File.exists(snapshotter.snapshotPath(id), at: directory.raw) else { return }
        try snapshotter.unmount(id)
        try storing("remove the file system of", id) { () throws(SystemError) in
            try discard(snapshotter.snapshotPath(id), as: "snapshot")
        }
    }

    /// The root directory of an image's files, to read only. It goes with the
    /// descriptor. Open what is in it by `File.open(inRoot:)`.
    public func openView(_ diffIDs: [Digest]) throws(StorageError) -> Descriptor {
        try unpack(diffIDs)
        return try snapshotter.view(diffIDs)
    }

    /// The directory in which overlay and erofs keep a container's changes.
    /// - Throws: `unsupported` for a snapshot of another driver.
    public func openChanges(_ id: String) throws(StorageError) -> Descriptor {
        let record = try requireSnapshot(id)
        guard let path = snapshotter(record.driver).changesPath(id) else {
            throw StorageError(
                .unsupported, "find the changes of", id,
                "the driver \(record.driver.rawValue) does not keep them apart")
        }
        return try storing("find the changes of", id) { () throws(SystemError) in
            try File.open(path, at: directory.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        }
    }

    func requireSnapshot(_ id: String) throws(StorageError) -> SnapshotRecord {
        guard let record = try snapshot(id) else {
            throw StorageError(.notFound, "use the file system of", id, "there is none")
        }
        return record
    }

    public func snapshot(_ id: String) throws(StorageError) -> SnapshotRecord? {
        try database.read { connection throws(StorageError) in
            let record = try connection.first("SELECT image, driver, volatile FROM snapshot WHERE id = ?", id)
            {
                row throws(StorageError) in
                guard let driver = SnapshotterName(rawValue: row.text(1)) else {
                    throw StorageError(
                        .unsupported, "use the file system of", id, "there is no driver \(row.text(1))")
                }
                return SnapshotRecord(
                    id: id, image: row.isNull(0) ? nil : try row.digest(0), driver: driver,
                    volatile: row.bool(2),
                    diffIDs: [])
            }
            guard var record else { return nil }
            record.diffIDs = try connection.rows(
                "SELECT diff_id FROM snapshot_layer WHERE snapshot = ? ORDER BY position", id
            ) { row throws(StorageError) in try row.digest(0) }
            return record
        }
    }

    /// The ids of all snapshots.
    public func snapshots() throws(StorageError) -> [String] {
        try database.read { connection throws(StorageError) in
            try connection.rows("SELECT id FROM snapshot ORDER BY id") { $0.text(0) }
        }
    }

    /// Ids and volumes' names become names of directories and locks.
    static func check(_ name: String, _ operation: String) throws(StorageError) {
        let allowed = name.utf8.allSatisfy { byte in
            (byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z"))
                || (byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z"))
                || (byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9"))
                || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
        }
        let first = name.utf8.first ?? UInt8(ascii: ".")
        guard allowed, name.utf8.count <= 200, first != UInt8(ascii: "."), first != UInt8(ascii: "-") else {
            throw StorageError(
                .invalid, operation, name,
                "a name has letters, digits, `_`, `.` and `-`, and begins with none of the last two")
        }
    }
}
