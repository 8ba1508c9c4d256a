import JSONText
import LinuxSystem
import OCISpec

/// `index.json`, by which other tools find the images and artifacts in the store.
/// It is written anew from the database after each change of them or of names.
enum LayoutIndex {
    static let empty = ImageIndex(manifests: []).json.bytes()

    static func document(_ connection: Connection) throws(StorageError) -> ImageIndex {
        let manifests = try connection.rows(
            """
            SELECT media_type, digest, manifest.size, name, os, architecture, variant
            FROM manifest JOIN image ON image.id = manifest.image LEFT JOIN name ON name.manifest = digest
            ORDER BY name IS NULL, name, digest
            """
        ) { row in
            var descriptor = ContentDescriptor(
                mediaType: row.text(0), digest: row.text(1), size: row.integer(2),
                platform: Platform(os: row.text(4), architecture: row.text(5), variant: row.optionalText(6)))
            if let name = row.optionalText(3) {
                descriptor.annotations[ContentDescriptor.referenceName] = name
            }
            return descriptor
        }
        // A name is one thing's to those who read the index: an image's before an artifact's.
        let artifacts = try connection.rows(
            """
            SELECT media_type, digest, size, CASE WHEN name IN (SELECT name FROM name) THEN NULL ELSE name END
            FROM artifact ORDER BY name
            """
        ) { row in
            ContentDescriptor(
                mediaType: row.text(0), digest: row.text(1), size: row.integer(2),
                annotations: row.optionalText(3).map { [ContentDescriptor.referenceName: $0] } ?? [:])
        }
        return ImageIndex(manifests: manifests + artifacts)
    }
}

extension Store {
    /// Part of each transaction that changes what the index tells.
    static func markIndexStale(_ connection: Connection) throws(StorageError) {
        try connection.execute(
            "INSERT INTO setting VALUES('index_stale', '1') ON CONFLICT(name) DO UPDATE SET value = value + 1"
        )
    }

    /// Writes the index. Where that fails (a full disk) the change itself has
    /// succeeded all the same: the index stays marked, and the next sweep or
    /// change writes it.
    func refreshIndex() { try? rewriteIndex() }

    /// Nobody waits for the disk: the database says in which session of it the index was written, and
    /// in another it is written anew.
    func rewriteIndex() throws(StorageError) {
        let lock = try ObjectLock("index", in: directory.raw)
        defer { lock.keep() }
        // Read under the lock: the last to write has read the latest.
        let (index, mark) = try database.read { connection throws(StorageError) in
            (try LayoutIndex.document(connection), try indexMark(connection))
        }
        let session = try session()
        guard mark.isStale(in: session) else { return }
        try removeTemporaries(of: "index.json")
        try storing("write", "index.json") { () throws(SystemError) in
            try File.replace(
                "index.json", at: directory.raw, with: index.json.bytes(), durable: !session.tellsDisks)
        }
        _ = try database.write { connection throws(StorageError) in
            try connection.execute(
                "DELETE FROM setting WHERE name = 'index_stale' AND value = ?", mark.changes)
            try connection.execute("INSERT OR REPLACE INTO setting VALUES('index_session', ?)", session.name)
        }
    }

    func indexMark(_ connection: Connection) throws(StorageError) -> IndexMark {
        var mark = IndexMark()
        let rows = try connection.rows(
            "SELECT name, value FROM setting WHERE name IN ('index_stale', 'index_session')"
        ) { ($0.text(0), $0.text(1)) }
        for (name, value) in rows {
            if name == "index_stale" { mark.changes = value } else { mark.session = value }
        }
        return mark
    }
}

/// What the database says of the index.
struct IndexMark {
    /// Counts what it does not tell yet; nil for nothing.
    var changes: String?
    /// When it was written.
    var session: String?

    func isStale(in current: DiskSession) -> Bool {
        changes != nil || (current.tellsDisks && session != nil && session != current.name)
    }
}
