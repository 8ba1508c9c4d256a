import JSONText
public import LayerArchive
public import OCISpec

extension Store {
    /// All images, the newest first.
    public func images() throws(StorageError) -> [ImageRecord] {
        try database.read { connection throws(StorageError) in
            // One query a table, not four an image.
            func texts(_ table: String, _ column: String, _ order: String) throws(StorageError)
                -> [String: [String]]
            {
                var result: [String: [String]] = [:]
                let rows = try connection.rows("SELECT image, \(column) FROM \(table) ORDER BY \(order)") {
                    ($0.text(0), $0.text(1))
                }
                for (image, text) in rows { result[image, default: []].append(text) }
                return result
            }
            let names = try texts("name", "name", "name")
            let repoDigests = try texts("repo_digest", "value", "value")
            var layers: [String: [Digest]] = [:]
            let links = try connection.rows("SELECT image, diff_id FROM image_layer ORDER BY image, position")
            {
                row throws(StorageError) in (row.text(0), try row.digest(1))
            }
            for (image, diffID) in links { layers[image, default: []].append(diffID) }
            return try connection.rows(
                """
                SELECT \(Self.imageColumns), id FROM image JOIN manifest ON manifest.digest = image.manifest
                ORDER BY added DESC, id
                """
            ) { row throws(StorageError) in
                let id = row.text(9)
                var record = try Self.record(try row.digest(9), row)
                record.names = names[id] ?? []
                record.repoDigests = repoDigests[id] ?? []
                record.diffIDs = layers[id] ?? []
                return record
            }
        }
    }

    private static let imageColumns =
        "image.manifest, manifest.media_type, manifest.size, created, os, architecture, variant, image.size, added"

    /// From `imageColumns`; without what other tables have.
    private static func record(_ id: Digest, _ row: Row) throws(StorageError) -> ImageRecord {
        ImageRecord(
            id: id, manifestDigest: try row.digest(0), manifestMediaType: row.text(1),
            manifestSize: row.integer(2), names: [], repoDigests: [], created: row.optionalText(3),
            os: row.text(4), architecture: row.text(5), variant: row.optionalText(6), size: row.integer(7),
            added: row.integer(8), diffIDs: [])
    }

    public func image(id: Digest) throws(StorageError) -> ImageRecord? {
        try database.read { connection throws(StorageError) in try Self.image(id, connection) }
    }

    /// - Parameter name: full, as it was given to `putImage` or `tag`.
    public func image(named name: String) throws(StorageError) -> ImageRecord? {
        try image(by: "SELECT image FROM name WHERE name = ?", name)
    }

    /// - Parameter value: a repository, `@` and a manifest's or index's digest.
    public func image(repoDigest value: String) throws(StorageError) -> ImageRecord? {
        try image(by: "SELECT image FROM repo_digest WHERE value = ?", value)
    }

    private func image(by query: String, _ value: String) throws(StorageError) -> ImageRecord? {
        try database.read { connection throws(StorageError) in
            let id = try connection.first(query, value) { row throws(StorageError) in try row.digest(0) }
            return try id.map { id throws(StorageError) in try Self.image(id, connection) } ?? nil
        }
    }

    /// The image whose id begins with these hexadecimal digits, `sha256:` before them or not.
    /// - Throws: `ambiguous` when there are several.
    public func image(idPrefix prefix: String) throws(StorageError) -> ImageRecord? {
        let digits = prefix.hasPrefix("sha256:") ? String(prefix.dropFirst(7)) : prefix
        guard !digits.isEmpty, digits.count <= 64, digits.utf8.allSatisfy({ isHexadecimal($0) }) else {
            return nil
        }
        return try database.read { connection throws(StorageError) in
            let ids = try connection.rows(
                "SELECT id FROM image WHERE id >= ? AND id < ? LIMIT 2", "sha256:\(digits)",
                "sha256:\(digits)g"
            ) { row throws(StorageError) in try row.digest(0) }
            if ids.count > 1 {
                throw StorageError(.ambiguous, "find image", prefix, "several images' ids begin like this")
            }
            return try ids.first.map { id throws(StorageError) in try Self.image(id, connection) } ?? nil
        }
    }

    private func isHexadecimal(_ byte: UInt8) -> Bool {
        (byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9"))
            || (byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "f"))
    }

    /// How many images there are.
    public func imageCount() throws(StorageError) -> Int {
        try database.read { connection throws(StorageError) in
            try connection.first("SELECT count(*) FROM image") { $0.int(0) } ?? 0
        }
    }

    static func image(_ id: Digest, _ connection: Connection) throws(StorageError) -> ImageRecord? {
        let record = try connection.first(
            """
            SELECT \(imageColumns) FROM image JOIN manifest ON manifest.digest = image.manifest WHERE id = ?
            """, id
        ) { row throws(StorageError) in try Self.record(id, row) }
        guard var record else { return nil }
        record.names = try connection.rows("SELECT name FROM name WHERE image = ? ORDER BY name", id) {
            $0.text(0)
        }
        record.repoDigests = try connection.rows(
            "SELECT value FROM repo_digest WHERE image = ? ORDER BY value", id
        ) { $0.text(0) }
        record.diffIDs = try connection.rows(
            "SELECT diff_id FROM image_layer WHERE image = ? ORDER BY position", id
        ) { row throws(StorageError) in try row.digest(0) }
        return record
    }

    /// The manifest as it came.
    public func manifest(of image: ImageRecord) throws(StorageError) -> ImageManifest {
        try document(image.manifestDigest, "manifest")
    }

    public func config(of image: ImageRecord) throws(StorageError) -> ImageConfig {
        try document(image.id, "config")
    }

    func document<Document: JSONDocument>(_ digest: Digest, _ kind: String) throws(StorageError) -> Document {
        try Self.parse(try readBlob(digest), kind, "\(digest)")
    }

    static func parse<Document: JSONDocument>(
        _ bytes: [UInt8], _ kind: String, _ object: String
    ) throws(StorageError) -> Document {
        do throws(JSONError) {
            return try Document(json: JSON(parsing: bytes))
        } catch {
            throw StorageError(.invalid, "read \(kind)", object, "\(error)", cause: error)
        }
    }
}
