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
        // The files before the rows: what is made in between has a row already.
        var found: [(driver: SnapshotterName, id: String)] = []
        for driver in SnapshotterName.allCases {
            found += try names(in: "\(driver.rawValue)/snapshots").map { (driver, $0) }
        }
        let kept = Set(try names(in: "volumes"))
        let (snapshots, volumes, index) = try database.read { connection throws(StorageError) in
            (
                Dictionary(
                    try connection.rows("SELECT id, driver FROM snapshot") { ($0.text(0), $0.text(1)) },
                    uniquingKeysWith: { $1 }),
                Set(try connection.rows("SELECT name FROM volume") { $0.text(0) }),
                try indexMark(connection)
            )
        }
        for (driver, id) in found where snapshots[id] != driver.rawValue {
            guard let lock = try ObjectLock.attempt("snapshot-\(id)", in: at) else { continue }
            defer { lock.keep() }
            // Also that of another driver than the snapshot's: a migration was cut short.
            if try snapshot(id)?.driver == driver { continue }
            try discardSnapshot(id, of: driver)
            swept.snapshots.append(id)
        }
        for name in kept.subtracting(volumes).sorted() {
            if try sweepVolume(name) { swept.volumes.append(name) }
        }
        if try !names(in: "ingest").isEmpty, try isContentFree() {
            try collectGarbage()
            swept.content = true
        }
        // A lease does the rest when it is the first of a session.
        if mayHoldContentOfEarlierSessions, try isContentFree() { _ = try lease() }
        try sweepPartials()
        try emptyTrash()
        if try index.isStale(in: session()) { refreshIndex() }
        sweepImageMounts()
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
