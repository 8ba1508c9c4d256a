public import LayerArchive
import LinuxSystem
public import OCISpec

extension Store {
    /// Records an artifact whose blobs are here. It is durable on return.
    /// - Parameters:
    ///   - bytes: the manifest, which is kept as it is.
    ///   - mediaType: as its source gave it; nil for what it says itself.
    ///   - name: full, with a tag or a digest.
    /// - Throws: `invalid` for a manifest that breaks the rules, `notFound` when a blob is missing,
    ///   `exists` or `changed` when the name has another artifact than `replacing` says.
    @discardableResult
    public func putArtifact(
        manifest bytes: [UInt8], mediaType: String? = nil, name: String, replacing: ArtifactReplacement
    ) throws(StorageError) -> ArtifactRecord {
        let operation = "add artifact"
        try Self.checkSize(ofManifest: bytes, operation, name)
        let manifest: ImageManifest = try Self.parse(bytes, "manifest", name)
        let lease = try lease()
        defer { lease.end() }
        let digest = try writeBlob(bytes)
        var blobs: Set = [digest]
        for descriptor in [manifest.config] + manifest.layers {
            blobs.insert(try wholeBlob(descriptor, operation, name))
        }
        let record = ArtifactRecord(
            name: name, digest: digest, mediaType: mediaType ?? manifest.mediaType ?? MediaType.ociManifest,
            manifestSize: Int64(bytes.count), added: Now.unixNanoseconds)
        try writeOutUnrecorded(blobs)
        try database.write(durable: true) { connection throws(StorageError) in
            let present = try connection.first("SELECT digest FROM artifact WHERE name = ?", name) {
                row throws(StorageError) in try row.digest(0)
            }
            switch replacing {
            case .nothing where present != nil:
                throw StorageError(.exists, operation, name, "there is an artifact of this name")
            case .manifest(let expected) where present != expected:
                throw StorageError(.changed, operation, name, "it has changed meanwhile")
            default: break
            }
            if present != nil {
                // What only the old one needed goes when this lease ends, or with the next sweep.
                markForCollection()
                try connection.execute("DELETE FROM artifact WHERE name = ?", name)
            }
            try connection.execute(
                "INSERT INTO artifact VALUES(?, ?, ?, ?, ?)", name, digest, record.mediaType,
                record.manifestSize, record.added)
            for blob in blobs {
                try connection.execute("INSERT INTO artifact_blob VALUES(?, ?)", name, blob)
            }
            try Self.markIndexStale(connection)
        }
        lease.settle()
        refreshIndex()
        return record
    }

    /// Removes an artifact, and the blobs that nothing else needs.
    /// - Parameter digest: its manifest's as the caller knows it: it has still that, or nothing is done.
    /// - Throws: `notFound`, `changed`.
    @discardableResult
    public func removeArtifact(_ name: String, ifStill digest: Digest? = nil) throws(StorageError)
        -> Reclaimed
    {
        let content = try keepCollectorsAway()
        try database.write(durable: true) { connection throws(StorageError) in
            guard let present = try Self.artifact(named: name, connection) else {
                throw StorageError(.notFound, "remove artifact", name, "there is no such artifact")
            }
            guard digest == nil || present.digest == digest else {
                throw StorageError(.changed, "remove artifact", name, "it has changed meanwhile")
            }
            // Whoever is killed from here on leaves the work to the next sweep.
            markForCollection()
            try connection.execute("DELETE FROM artifact WHERE name = ?", name)
            try Self.markIndexStale(connection)
        }
        _ = consume content
        let reclaimed = try collectGarbage()
        // After the space is free: on a full disk the index has to wait for it.
        refreshIndex()
        return reclaimed
    }

    // MARK: Questions

    /// All artifacts, the oldest first.
    public func artifacts() throws(StorageError) -> [ArtifactRecord] {
        try database.read { connection throws(StorageError) in
            try connection.rows("SELECT \(Self.artifactColumns) FROM artifact ORDER BY added, name") {
                row throws(StorageError) in try Self.artifact(row)
            }
        }
    }

    /// - Parameter name: full, as it was given to `putArtifact`.
    public func artifact(named name: String) throws(StorageError) -> ArtifactRecord? {
        try database.read { connection throws(StorageError) in try Self.artifact(named: name, connection) }
    }

    /// The manifest as it came, and its bytes.
    public func manifest(of artifact: ArtifactRecord) throws(StorageError) -> ImageManifest {
        try document(artifact.digest, "manifest")
    }

    private static let artifactColumns = "name, digest, media_type, size, added"

    private static func artifact(_ row: Row) throws(StorageError) -> ArtifactRecord {
        ArtifactRecord(
            name: row.text(0), digest: try row.digest(1), mediaType: row.text(2),
            manifestSize: row.integer(3), added: row.integer(4))
    }

    private static func artifact(
        named name: String, _ connection: Connection
    ) throws(StorageError) -> ArtifactRecord? {
        try connection.first("SELECT \(artifactColumns) FROM artifact WHERE name = ?", name) {
            row throws(StorageError) in try artifact(row)
        }
    }
}
