public import LayerArchive
import LinuxSystem
import OCISpec

extension Store {
    /// Records an image whose blobs and layers are here, and gives it names
    /// (which other images lose). It is durable on return.
    /// - Parameters:
    ///   - bytes: the manifest, which is kept as it is.
    ///   - mediaType: as its source gave it; nil for what it says itself.
    ///   - names: full names with a tag.
    ///   - repoDigests: a repository, `@` and a digest each.
    /// - Throws: `invalid` for a manifest or config that breaks the rules,
    ///   `notFound` when a blob or layer is missing.
    @discardableResult
    public func putImage(
        manifest bytes: [UInt8], mediaType: String? = nil, names: [String] = [], repoDigests: [String] = []
    ) throws(StorageError) -> ImageRecord {
        try Self.checkSize(ofManifest: bytes, "add image", names.first ?? "")
        let lease = try lease()
        defer { lease.end() }
        let digest = try writeBlob(bytes)
        let image = try NewImage(manifest: bytes, digest: digest, mediaType: mediaType, in: self)
        try snapshotter.prepare(image.diffIDs)
        let sizes = try image.diffIDs.map { diffID throws(StorageError) in
            try LayerRecord.read(snapshotter.layerPath(diffID), at: directory.raw).size
        }
        let session = try sessionOfUnwritten()
        if try !isDurable(image) {
            // The blobs give the layers should the disk not have them. Those that another image
            // has were written out with that.
            if session == nil { try syncFileSystem() } else { try writeOutUnrecorded(Set(image.blobs)) }
        }
        let (record, isUnwritten) = try database.write(durable: true) { connection throws(StorageError) in
            try insert(image, sizes, names, repoDigests, unwrittenIn: session, connection)
            return (try Self.image(image.id, connection)!, try Self.hasUnwritten(connection))
        }
        lease.settle()
        refreshIndex()
        if isUnwritten { leaveWork?() }
        return record
    }

    /// Everything of the image was written out with an earlier one: a pull that found nothing new.
    private func isDurable(_ image: NewImage) throws(StorageError) -> Bool {
        try database.read { connection throws(StorageError) in
            guard try connection.exists("SELECT 1 FROM manifest WHERE digest = ?", image.digest) else {
                return false
            }
            for diffID in image.diffIDs {
                let known = try connection.exists(
                    "SELECT 1 FROM layer WHERE driver = ? AND diff_id = ?", driver, diffID)
                if !known { return false }
            }
            return true
        }
    }

    private func insert(
        _ image: NewImage, _ sizes: [Int64], _ names: [String], _ repoDigests: [String],
        unwrittenIn session: String?, _ connection: Connection
    ) throws(StorageError) {
        var total: Int64 = 0
        for (diffID, size) in zip(image.diffIDs, sizes) {
            total += size
            try record(diffID, size: size, unwrittenIn: session, connection)
        }
        let config = image.config
        try connection.execute(
            """
            INSERT INTO image VALUES(?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT(id) DO UPDATE SET manifest = excluded.manifest
            """, image.id, image.digest, config.created, config.os, config.architecture, config.variant,
            total,
            Now.unixNanoseconds)
        for (position, diffID) in image.diffIDs.enumerated() {
            try connection.execute(
                "INSERT INTO image_layer VALUES(?, ?, ?) ON CONFLICT DO NOTHING", image.id, position, diffID)
        }
        try connection.execute(
            "INSERT INTO manifest VALUES(?, ?, ?, ?) ON CONFLICT DO NOTHING", image.digest, image.id,
            image.mediaType, image.size)
        for blob in Set(image.blobs) {
            try connection.execute(
                "INSERT INTO manifest_blob VALUES(?, ?) ON CONFLICT DO NOTHING", image.digest, blob)
        }
        for name in names { try Self.name(image.id, image.digest, name, connection) }
        for value in repoDigests {
            try connection.execute(
                "INSERT INTO repo_digest VALUES(?, ?) ON CONFLICT DO NOTHING", image.id, value)
        }
        try Self.markIndexStale(connection)
    }

    /// Records a layer that is here.
    /// - Parameter session: nil for one that has been written out.
    func record(
        _ layer: Digest, size: Int64, unwrittenIn session: String?, _ connection: Connection
    ) throws(StorageError) {
        let isNew =
            try connection.execute(
                "INSERT INTO layer VALUES(?, ?, ?) ON CONFLICT DO NOTHING", driver, layer, size) > 0
        if isNew, let session { try Self.markUnwritten(layer, driver, session, connection) }
    }

    private static func name(
        _ image: Digest, _ manifest: Digest, _ name: String, _ connection: Connection
    ) throws(StorageError) {
        try connection.execute(
            """
            INSERT INTO name VALUES(?, ?, ?)
            ON CONFLICT(name) DO UPDATE SET image = excluded.image, manifest = excluded.manifest
            """, name, image, manifest)
    }

    /// Gives an image one more name, which another image loses if it has it.
    /// - Throws: `notFound` when there is no such image.
    public func tag(_ id: Digest, _ name: String) throws(StorageError) {
        try database.write(durable: true) { connection throws(StorageError) in
            guard let image = try Self.image(id, connection) else {
                throw StorageError(.notFound, "tag image", "\(id)", "there is no such image")
            }
            try Self.name(id, image.manifestDigest, name, connection)
            try Self.markIndexStale(connection)
        }
        refreshIndex()
    }

    /// Takes a name away. The image stays.
    /// - Parameter image: as the caller knows it: it has still the same names, or nothing is done.
    /// - Throws: `notFound` when no image has it, `changed`.
    public func untag(_ name: String, of image: ImageRecord? = nil) throws(StorageError) {
        try database.write(durable: true) { connection throws(StorageError) in
            if let image { try Self.requireUnchanged(image, connection) }
            guard try connection.execute("DELETE FROM name WHERE name = ?", name) > 0 else {
                throw StorageError(.notFound, "untag image", name, "no image has this name")
            }
            try Self.markIndexStale(connection)
        }
        refreshIndex()
    }

    /// Who takes a name away, or an image for the names it has, does it of what he has seen.
    private static func requireUnchanged(
        _ image: ImageRecord, _ connection: Connection
    ) throws(StorageError) {
        guard let current = try Self.image(image.id, connection) else {
            throw StorageError(.notFound, "remove image", "\(image.id)", "there is no such image")
        }
        guard Set(current.names) == Set(image.names) else {
            throw StorageError(.changed, "remove image", "\(image.id)", "its names have changed meanwhile")
        }
    }

    /// Removes an image with all its names, and the blobs and layers that
    /// nothing else needs.
    /// - Parameters:
    ///   - seen: the image as the caller knows it: it has still the same names, or nothing is done.
    ///   - keepingSnapshots: remove it though containers were made from it;
    ///     they keep their layers.
    ///   - user: looks, in the same transaction, for one who needs the image;
    ///     its answer names him.
    /// - Throws: `inUse` when there is one, or a snapshot; `notFound`, `changed`.
    @discardableResult
    public func removeImage(
        _ id: Digest, ifStill seen: ImageRecord? = nil, keepingSnapshots: Bool = false,
        unlessUsed user: (Connection) throws(StorageError) -> String? = { _ throws(StorageError) in nil }
    ) throws(StorageError) -> Reclaimed {
        // A mount that is being made waits, and then finds no image.
        let lock = try ObjectLock("image-\(id.fileName)", in: directory.raw)
        if try mountedImages().contains(where: { $0.id == id }) {
            throw StorageError(.inUse, "remove image", "\(id)", "it is mounted")
        }
        // The blobs go, and may be all that a container's layers have.
        if keepingSnapshots { try writeOut() }
        let content = try keepCollectorsAway()
        try database.write(durable: true) { connection throws(StorageError) in
            if let seen { try Self.requireUnchanged(seen, connection) }
            if let user = try user(connection) {
                throw StorageError(.inUse, "remove image", "\(id)", "it is used by \(user)")
            }
            if !keepingSnapshots,
                let snapshot = try connection.first(
                    "SELECT id FROM snapshot WHERE image = ?", id, read: { $0.text(0) })
            {
                throw StorageError(.inUse, "remove image", "\(id)", "it is used by container \(snapshot)")
            }
            // Whoever is killed from here on leaves the work to the next sweep.
            markForCollection()
            // Names refer to manifests without a cascade of their own.
            try connection.execute("DELETE FROM name WHERE image = ?", id)
            guard try connection.execute("DELETE FROM image WHERE id = ?", id) > 0 else {
                throw StorageError(.notFound, "remove image", "\(id)", "there is no such image")
            }
            try Self.markIndexStale(connection)
        }
        _ = consume lock
        _ = consume content
        let reclaimed = try collectGarbage()
        // After the space is free: on a full disk the index has to wait for it.
        refreshIndex()
        return reclaimed
    }
}

/// A manifest that was read, and found to be that of an image which is here whole.
private struct NewImage {
    var id: Digest
    var digest: Digest
    var mediaType: String
    var size: Int64
    var config: ImageConfig
    var layers: [Digest]
    var diffIDs: [Digest]
    var blobs: [Digest] { [digest, id] + layers }

    init(manifest bytes: [UInt8], digest: Digest, mediaType: String?, in store: Store) throws(StorageError) {
        let operation = "add image"
        let object = "\(digest)"
        let manifest: ImageManifest = try Store.parse(bytes, "manifest", object)
        self.digest = digest
        size = Int64(bytes.count)
        self.mediaType =
            mediaType ?? manifest.mediaType
            ?? (manifest.config.mediaType == MediaType.dockerConfig
                ? MediaType.dockerManifest : MediaType.ociManifest)

        func check(_ descriptor: ContentDescriptor) throws(StorageError) -> Digest {
            try store.wholeBlob(descriptor, operation, object)
        }
        id = try check(manifest.config)
        config = try store.document(id, "config")
        layers = try manifest.layers.map(check)
        diffIDs = try config.rootfs.diffIDs.map { text throws(StorageError) in
            do throws(ArchiveError) {
                return try Digest(parsing: text)
            } catch {
                throw StorageError(.invalid, operation, object, "\(error)")
            }
        }
        guard diffIDs.count == layers.count else {
            throw StorageError(
                .invalid, operation, object,
                "its manifest has \(layers.count) layers, its config \(diffIDs.count)")
        }
        for diffID in diffIDs where !store.hasLayer(diffID) {
            throw StorageError(.notFound, operation, object, "its layer \(diffID) is not here")
        }
    }
}
