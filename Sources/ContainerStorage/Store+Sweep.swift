import LinuxSystem

/// What a sweep found.
public struct Swept: Sendable, Equatable {
    /// File systems of containers that are gone.
    public var snapshots: [String] = []
    public var volumes: [String] = []
    /// Somebody was killed while he added content.
    public var content = false

    public var isEmpty: Bool { snapshots.isEmpty && volumes.isEmpty && !content }
}

extension Store {
    /// Removes what killed processes left. With nothing to do it costs a few
    /// directory listings and one query.
    @discardableResult
    public func sweep() throws(StorageError) -> Swept {
        var swept = Swept()
        let at = directory.raw
        func names(_ path: String) throws(StorageError) -> [String] {
            try storing("sweep", path) { () throws(SystemError) in try File.names(in: path, at: at) }
        }
        // The files before the rows: what is made in between has a row already.
        var mounted: Set<String> = []
        for driver in SnapshotterName.allCases {
            mounted.formUnion(try names("\(driver.rawValue)/snapshots"))
        }
        let kept = Set(try names("volumes"))
        let (snapshots, volumes, stale) = try database.read { connection throws(StorageError) in
            (
                Set(try connection.rows("SELECT id FROM snapshot") { $0.text(0) }),
                Set(try connection.rows("SELECT name FROM volume") { $0.text(0) }),
                try connection.exists("SELECT 1 FROM setting WHERE name = 'index_stale'")
            )
        }
        for id in mounted.subtracting(snapshots).sorted() {
            guard let lock = try ObjectLock.attempt("snapshot-\(id)", in: at) else { continue }
            defer { lock.keep() }
            if try snapshot(id) != nil { continue }
            try discardSnapshot(id)
            swept.snapshots.append(id)
        }
        for name in kept.subtracting(volumes).sorted() {
            if try sweepVolume(name) { swept.volumes.append(name) }
        }
        if try !names("ingest").isEmpty, try isContentFree() {
            try collectGarbage()
            swept.content = true
        }
        // A lease does the rest when it is the first of a boot.
        if mayHoldContentOfEarlierBoots, try isContentFree() { _ = try lease() }
        try emptyTrash()
        if stale { refreshIndex() }
        sweepLocks()
        return swept
    }

    /// Whether nobody holds a lease just now.
    private func isContentFree() throws(StorageError) -> Bool {
        let lock = try storing("lock", "the store's content") { () throws(SystemError) in
            try FileLock.attempt("locks/content", at: directory.raw)
        }
        let free = lock != nil
        _ = consume lock
        return free
    }

    /// The files of locks whose holders were killed.
    private func sweepLocks() {
        guard let names = try? File.names(in: "locks", at: directory.raw) else { return }
        for name in names where name != "store" && name != "content" {
            _ = try? ObjectLock.attempt(name, in: directory.raw)
        }
    }
}
