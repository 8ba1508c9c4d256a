import LayerArchive
import LinuxSystem

/// Layers that are recorded and may not be on the disk yet.
///
/// Nobody who adds an image waits until its layers are written out. Its blobs are, and in the
/// transaction that records the image each new layer gets a row in `unwritten`, with the disk's
/// session. Another process has the layers written out, and then removes the rows. A row of another
/// session tells of a layer that may be there by name only: it is thrown away when the store is
/// opened next, and unpacked again from its blob when it is needed, or by that process.
extension Store {
    struct UnwrittenLayer: Sendable {
        /// One that was added again has another.
        var number: Int64
        var driver: SnapshotterName
        var diffID: Digest
        var session: String
    }

    /// The session for rows; nil where layers have to be written out before they are recorded.
    func sessionOfUnwritten() throws(StorageError) -> String? {
        // The files of other drivers are not each for itself what a blob gives.
        guard leaveWork != nil, snapshotter.name == .overlay else { return nil }
        let session = try session()
        return session.tellsDisks ? session.name : nil
    }

    static func markUnwritten(
        _ diffID: Digest, _ driver: String, _ session: String, _ connection: Connection
    ) throws(StorageError) {
        try connection.execute(
            "INSERT OR REPLACE INTO unwritten(driver, diff_id, session) VALUES(?, ?, ?)", driver, diffID,
            session)
    }

    static func forgetUnwritten(
        _ diffID: Digest, _ driver: String, _ connection: Connection
    ) throws(StorageError) {
        try connection.execute("DELETE FROM unwritten WHERE driver = ? AND diff_id = ?", driver, diffID)
    }

    static func hasUnwritten(_ connection: Connection) throws(StorageError) -> Bool {
        try connection.exists("SELECT 1 FROM unwritten")
    }

    private func unwritten() throws(StorageError) -> [UnwrittenLayer] {
        try database.read { connection throws(StorageError) in
            try connection.rows("SELECT id, driver, diff_id, session FROM unwritten ORDER BY id") {
                row throws(StorageError) in
                guard let driver = SnapshotterName(rawValue: row.text(1)) else {
                    throw StorageError(
                        .unsupported, "use layer", row.text(2), "there is no driver \(row.text(1))")
                }
                return UnwrittenLayer(
                    number: row.integer(0), driver: driver, diffID: try row.digest(2), session: row.text(3))
            }
        }
    }

    /// Throws away the layers of other sessions, before anybody looks at them, and has those of this
    /// one written out when nobody is at it.
    func meetUnwritten() throws(StorageError) {
        let session = try session().name
        var isLeft = false
        for layer in try unwritten() {
            if layer.session == session {
                isLeft = isLeft || hasLayer(layer.diffID, of: layer.driver)
            } else {
                isLeft = try discard(layer) || isLeft
            }
        }
        guard isLeft, let leaveWork else { return }
        if try ObjectLock.attempt("unwritten", in: directory.raw) != nil { leaveWork() }
    }

    /// - Returns: whether it was there.
    private func discard(_ layer: UnwrittenLayer) throws(StorageError) -> Bool {
        let path = snapshotter(layer.driver).layerPath(layer.diffID)
        if !File.exists(path, at: directory.raw) { return false }
        let lock = try ObjectLock("layer-\(layer.diffID.fileName)", in: directory.raw)
        defer { lock.keep() }
        // Unpacked again meanwhile, it has another row.
        let isOutdated = try database.read { connection throws(StorageError) in
            try connection.exists("SELECT 1 FROM unwritten WHERE id = ?", layer.number)
        }
        guard isOutdated, File.exists(path, at: directory.raw) else { return false }
        try storing("remove layer", "\(layer.diffID)") { () throws(SystemError) in
            try discard(path, as: "layer")
        }
        return true
    }

    /// Unpacks again what another session lost.
    /// - Returns: what could not be, and why.
    func unpackLost() throws(StorageError) -> [(layer: UnwrittenLayer, error: StorageError)] {
        var failures: [(UnwrittenLayer, StorageError)] = []
        for layer in try unwritten() where !hasLayer(layer.diffID, of: layer.driver) {
            do throws(StorageError) {
                try unpack([layer.diffID], by: layer.driver)
            } catch {
                failures.append((layer, error))
            }
        }
        return failures
    }

    /// Writes out all layers that are recorded, and unpacks those again that were lost.
    /// - Throws: when one of them could not be unpacked; the others are written out.
    func writeOut() throws(StorageError) {
        if try unwritten().isEmpty { return }
        let lock = try ObjectLock("unwritten", in: directory.raw)
        defer { lock.keep() }
        let failures = try unpackLost()
        // A row is there before its layer is, or after: so first the rows, then the layers, and then the disk.
        let session = try session().name
        let here = try unwritten().filter { $0.session == session && hasLayer($0.diffID, of: $0.driver) }
        if !here.isEmpty {
            try syncFileSystem()
            try database.write { connection throws(StorageError) in
                for layer in here {
                    try connection.execute("DELETE FROM unwritten WHERE id = ?", layer.number)
                }
            }
        }
        if let failure = failures.first { throw failure.error }
    }
}
