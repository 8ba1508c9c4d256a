public import LayerArchive
import LinuxSystem

/// What a collection of garbage removed.
public struct Reclaimed: Sendable, Equatable {
    public var layers: [Digest] = []
    public var blobs: [Digest] = []
    /// Of the blobs.
    public var bytes: Int64 = 0
}

extension Store {
    /// Removes blobs and layers that no image, no artifact and no container needs.
    ///
    /// While a lease holds (someone pulls), nothing is removed: the lease's end does it.
    @discardableResult
    public func collectGarbage() throws(StorageError) -> Reclaimed {
        markForCollection()
        let lock = try storing("lock", "the store's content") { () throws(SystemError) in
            try FileLock.attempt("locks/content", at: directory.raw)
        }
        guard let lock else { return Reclaimed() }
        let reclaimed = try collectGarbageLocked()
        _ = consume lock
        try emptyTrash()
        return reclaimed
    }

    static let collectionMark = "collect"

    /// Tells the end of a lease, or the next sweep, that something is left to do.
    func markForCollection() {
        _ = try? File.open(
            "ingest/\(Self.collectionMark)", at: directory.raw, O_WRONLY | O_CREAT, mode: 0o600)
    }

    /// For a write that leaves something to collect, from before its mark to its end: a collector in
    /// between would find nothing to do yet, and take the mark with it.
    func keepCollectorsAway() throws(StorageError) -> FileLock {
        try storing("lock", "the store's content") { () throws(SystemError) in
            try FileLock("locks/content", at: directory.raw, shared: true)
        }
    }

    /// With the content's lock held alone: so nobody is adding, and what is in
    /// `ingest/` was left by the dead.
    func collectGarbageLocked() throws(StorageError) -> Reclaimed {
        var reclaimed = Reclaimed()
        let left = try takeLeftovers()
        let unneeded =
            "FROM layer WHERE diff_id NOT IN (SELECT diff_id FROM image_layer)"
            + " AND diff_id NOT IN (SELECT diff_id FROM snapshot_layer)"
        // A pull that failed for want of space left no rows, and a write might find no space.
        let stale = try database.read { connection throws(StorageError) in
            try connection.exists("SELECT 1 \(unneeded)")
        }
        if stale {
            // Durable before anything is removed: after a power failure no row
            // refers to what is gone.
            _ = try database.write(durable: true) { connection throws(StorageError) in
                try connection.execute("DELETE \(unneeded)")
            }
        }
        // Snapshots can only have been added to needed layers meanwhile, and images not at all.
        let needed = try database.read { connection throws(StorageError) in try Needed(connection) }
        let at = directory.raw
        for driver in SnapshotterName.allCases {
            let snapshotter = snapshotter(driver)
            let folder = "\(driver.rawValue)/layers"
            let layers = try names(in: folder)
            try storing("collect", folder) { () throws(SystemError) in
                for name in layers {
                    guard let diffID = Digest(fileName: name),
                        !needed.layers[driver, default: []].contains(diffID)
                    else { continue }
                    if driver == .erofs { FileObjects(store: self).markForCollection() }
                    try discard("\(folder)/\(name)", as: "layer")
                    reclaimed.layers.append(diffID)
                }
            }
            // Those of another driver's layers were made by a migration that was cut short.
            let own = needed.layers[driver, default: []]
            let chains = needed.chains.filter { $0.allSatisfy(own.contains) }
            for path in try snapshotter.unneeded(besides: chains) {
                try storing("collect", path) { () throws(SystemError) in try discard(path, as: "tree") }
            }
        }
        try storing("collect", "blobs") { () throws(SystemError) in
            for algorithm in try File.names(in: "blobs", at: at) {
                for name in try File.names(in: "blobs/\(algorithm)", at: at) {
                    let digest = Digest.Algorithm(rawValue: algorithm).flatMap { try? Digest($0, hex: name) }
                    guard let digest, !needed.blobs.contains(digest) else { continue }
                    let size = try File.status(digest.blobPath, at: at, followLinks: false).st_size
                    try discard(digest.blobPath, as: "blob")
                    reclaimed.blobs.append(digest)
                    reclaimed.bytes += Int64(size)
                }
            }
            if left.contains(where: { !$0.hasPrefix(Self.collectionMark) }),
                File.exists(FileObjects.folder, at: at)
            {
                FileObjects(store: self).markForCollection()
            }
            for name in left { try discard("ingest/\(name)", as: "ingest") }
        }
        return reclaimed
    }

    /// What is in `ingest/`. Who asks for a collection from now on, and finds that one is going on, has
    /// its mark stay for the next: this one may have looked already.
    private func takeLeftovers() throws(StorageError) -> [String] {
        let at = directory.raw
        var isTaken = true
        do throws(SystemError) {
            let mark = "ingest/\(Self.collectionMark)"
            try File.rename(mark, to: "\(mark)-\(getpid())-\(gettid())", at: at)
        } catch {
            // A full disk may have no room for another name.
            isTaken = error.errno == .noEntry
        }
        return try names(in: "ingest").filter { !isTaken || $0 != Self.collectionMark }
    }

    /// What the database refers to.
    private struct Needed: Sendable {
        var layers: [SnapshotterName: Set<Digest>] = [:]
        var blobs: Set<Digest>
        var chains: [[Digest]]

        init(_ connection: Connection) throws(StorageError) {
            let layers = try connection.rows("SELECT driver, diff_id FROM layer") {
                row throws(StorageError) in
                (row.text(0), try row.digest(1))
            }
            for (driver, diffID) in layers {
                if let driver = SnapshotterName(rawValue: driver) {
                    self.layers[driver, default: []].insert(diffID)
                }
            }
            blobs = Set(
                try connection.rows(
                    "SELECT digest FROM manifest_blob UNION SELECT digest FROM artifact_blob"
                ) { row throws(StorageError) in
                    try row.digest(0)
                })
            var chains: [String: [Digest]] = [:]
            let links = try connection.rows("SELECT image, diff_id FROM image_layer ORDER BY image, position")
            {
                row throws(StorageError) in (row.text(0), try row.digest(1))
            }
            for (image, diffID) in links { chains[image, default: []].append(diffID) }
            // A snapshot that was never mounted still needs its image's tree.
            let snapshots = try connection.rows(
                "SELECT snapshot, diff_id FROM snapshot_layer ORDER BY snapshot, position"
            ) {
                row throws(StorageError) in ("snapshot " + row.text(0), try row.digest(1))
            }
            for (snapshot, diffID) in snapshots { chains[snapshot, default: []].append(diffID) }
            self.chains = Array(chains.values)
        }
    }
}
