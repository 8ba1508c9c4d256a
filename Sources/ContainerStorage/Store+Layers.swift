import JSONText
public import LayerArchive
import LinuxSystem

/// What is here of a layer.
public struct LayerInfo: Sendable, Equatable {
    public var diffID: Digest
    /// Of the layer's files, in bytes.
    public var size: Int64
    /// The blob that holds the layer as it came.
    public var blob: Digest
    public var blobSize: Int64
    public var compression: Compression
    /// It was here before, whole.
    public var reused: Bool
}

extension Store {
    /// Whether a layer is unpacked here. Rely on it only under a lease.
    public func hasLayer(_ diffID: Digest) -> Bool { hasLayer(diffID, of: snapshotter.name) }

    func hasLayer(_ diffID: Digest, of driver: SnapshotterName) -> Bool {
        File.exists(snapshotter(driver).layerPath(diffID) + "/layer.json", at: directory.raw)
    }

    /// Adds a layer in one pass: verifies the blob, keeps it, inflates it,
    /// verifies the diffID, and unpacks. What is here already is not done
    /// again; of two that add the same layer the second waits and finds it.
    ///
    /// It stays when an image that uses it is put under the same lease. Of a download whose line
    /// broke (`ResumableSource`) what came stays for the next who adds the layer.
    /// - Parameters:
    ///   - blob: the digest of the bytes that the source gives; nil when nobody said.
    ///   - size: their number; nil when nobody said.
    ///   - expected: the digest of the plain tar.
    ///   - chain: the diffIDs below, the lowest first.
    ///   - source: asked for only when the blob is not here.
    /// - Throws: `mismatch` when the bytes are not those that were announced,
    ///   `invalid` for an archive that breaks the rules, `source` when reading
    ///   fails. Then nothing else stays.
    public func ingestLayer(
        blob: Digest?, size: Int64?, diffID expected: Digest, chain: [Digest] = [],
        from source: @autoclosure () throws -> any ByteSource
    ) throws(StorageError) -> LayerInfo {
        let lease = try lease()
        defer { lease.end() }
        let lock = try ObjectLock("layer-\(expected.fileName)", in: directory.raw)
        defer { lock.keep() }
        if let blob, let size, let known = blobSize(blob), known != size {
            throw StorageError(
                .mismatch, "add layer", "\(blob)", "it has \(known) bytes, not the announced \(size)")
        }
        let record =
            hasLayer(expected)
            ? try LayerRecord.read(snapshotter.layerPath(expected), at: directory.raw) : nil
        if let record, hasBlob(record.blob), blob == nil || blob == record.blob {
            return try layerInfo(expected, record, reused: true)
        }
        do {
            let local = try blob.flatMap { hasBlob($0) ? $0 : nil }.map { digest throws(StorageError) in
                DescriptorSource(owning: try openBlob(digest))
            }
            func add(_ bytes: any ByteSource) throws -> LayerRecord {
                try self.add(
                    bytes, blob: blob, size: size, expected: expected, keepBlob: local == nil,
                    unpack: record == nil, lease)
            }
            let added: LayerRecord
            do {
                added = try add(local ?? source())
            } catch is ResumptionFailed {
                added = try add(source())
            }
            if let record {
                // The blob that the layer came from may be gone one day; this one is as good.
                if !hasBlob(record.blob) {
                    try rewriteRecord(LayerRecord(size: record.size, blob: added.blob), expected)
                }
                return try layerInfo(
                    expected, LayerRecord(size: record.size, blob: added.blob), reused: false)
            }
            return try layerInfo(expected, added, reused: false)
        } catch {
            throw StorageError("add layer", "\(blob ?? expected)", any: error)
        }
    }

    /// Adds a layer of which only the bytes are known: a root file system's tar,
    /// plain or compressed.
    public func importLayer(from source: @autoclosure () throws -> any ByteSource) throws(StorageError)
        -> LayerInfo
    {
        let lease = try lease()
        defer { lease.end() }
        do {
            var diffID: Digest?
            let record = try add(
                try source(), blob: nil, size: nil, expected: nil, keepBlob: true, unpack: true, lease,
                &diffID)
            return try layerInfo(diffID!, record, reused: false)
        } catch {
            throw StorageError("import", "the archive", any: error)
        }
    }

    private func add(
        _ source: any ByteSource, blob: Digest?, size: Int64?, expected: Digest?, keepBlob: Bool,
        unpack: Bool,
        _ lease: ContentLease
    ) throws -> LayerRecord {
        var diffID: Digest?
        return try add(
            source, blob: blob, size: size, expected: expected, keepBlob: keepBlob, unpack: unpack, lease,
            &diffID)
    }

    private func add(
        _ source: any ByteSource, blob: Digest?, size: Int64?, expected: Digest?, keepBlob: Bool,
        unpack: Bool,
        _ lease: ContentLease, _ found: inout Digest?
    ) throws -> LayerRecord {
        let incoming = keepBlob ? try IncomingBlob(source, blob, size: size, self, lease) : nil
        let layerPartial = lease.newPartial()
        do {
            let bytes = incoming?.source ?? source
            let counted = blob == nil ? HashingSource(bytes) : nil
            let verified: any ByteSource =
                if let blob { VerifyingSource(bytes, expected: blob, size: size) } else { counted! }
            // Each of the three stages has a thread: download, digest and file of the blob;
            // inflating; digest and unpacking of the tar. A small layer is not worth it.
            let isLarge = size ?? .max > Self.smallLayer
            let arriving = isLarge ? ReadAheadSource(verified) : verified
            let inflated: any ByteSource = DecompressingSource(arriving)
            let tar = HashingSource(isLarge ? ReadAheadSource(inflated) : inflated)

            var layerSize: Int64 = 0
            if unpack {
                try File.makeDirectory(layerPartial, at: directory.raw, mode: 0o711)
                let partial = try File.open(layerPartial, at: directory.raw, O_RDONLY | O_DIRECTORY)
                layerSize = try snapshotter.unpack(tar, into: partial)
            }
            // What follows the archive's end belongs to the digests too.
            try tar.drain()
            try arriving.drain()
            let diffID = tar.digest
            if let expected, diffID != expected {
                throw StorageError(
                    .mismatch, "add layer", "\(blob ?? expected)",
                    "its tar has the digest \(diffID), not \(expected)")
            }
            let digest = blob ?? counted!.digest
            if let counted, let size, counted.count != size {
                throw StorageError(
                    .mismatch, "add layer", "\(diffID)",
                    "it has \(counted.count) bytes, not the announced \(size)")
            }
            let record = LayerRecord(size: layerSize, blob: digest)
            // The blob first: a layer's record names it.
            try incoming?.publish(as: digest)
            if unpack {
                try File.replace(
                    layerPartial + "/layer.json", at: directory.raw, with: record.json.bytes(), durable: false
                )
                if expected == nil {
                    let lock = try ObjectLock("layer-\(diffID.fileName)", in: directory.raw)
                    defer { lock.keep() }
                    try publishLayer(layerPartial, diffID)
                } else {
                    try publishLayer(layerPartial, diffID)
                }
            }
            found = diffID
            return record
        } catch {
            try? discard(layerPartial, as: "layer")
            let isOutdated = incoming?.abandon(after: error) == true
            try? emptyTrash()
            throw isOutdated ? ResumptionFailed() : error
        }
    }

    /// In bytes, of the blob.
    private static let smallLayer: Int64 = 256 << 10

    /// With the layer's lock held.
    private func publishLayer(_ partial: String, _ diffID: Digest) throws {
        if hasLayer(diffID) {
            // Of two imports of the same the other was faster.
            return try discard(partial, as: "layer")
        }
        let place = snapshotter.layerPath(diffID)
        // Without its record it is none.
        if File.exists(place, at: directory.raw) { try discard(place, as: "layer") }
        let isRecorded = try database.read { connection throws(StorageError) in
            try connection.exists("SELECT 1 FROM layer WHERE driver = ? AND diff_id = ?", driver, diffID)
        }
        guard isRecorded else { return try File.rename(partial, to: place, at: directory.raw) }
        // It was lost, and images count on it.
        if let session = try sessionOfUnwritten() {
            try database.write(durable: true) { connection throws(StorageError) in
                try Self.markUnwritten(diffID, driver, session, connection)
            }
            try File.rename(partial, to: place, at: directory.raw)
        } else {
            try syncFileSystem()
            try File.rename(partial, to: place, at: directory.raw)
            _ = try database.write { connection throws(StorageError) in
                try Self.forgetUnwritten(diffID, driver, connection)
            }
        }
    }

    private func rewriteRecord(_ record: LayerRecord, _ diffID: Digest) throws(SystemError) {
        try File.replace(
            snapshotter.layerPath(diffID) + "/layer.json", at: directory.raw, with: record.json.bytes())
    }

    private func layerInfo(_ diffID: Digest, _ record: LayerRecord, reused: Bool) throws(StorageError)
        -> LayerInfo
    {
        let file = try openBlob(record.blob)
        do throws(SystemError) {
            var prefix = [UInt8](repeating: 0, count: Compression.prefixLength)
            let count = try retrying("read", "\(record.blob)") {
                prefix.withUnsafeMutableBytes { pread(file.raw, $0.baseAddress, $0.count, 0) }
            }
            return LayerInfo(
                diffID: diffID, size: record.size, blob: record.blob,
                blobSize: Int64(try FD.stat(file.raw).st_size),
                compression: (try? Compression.detect(Array(prefix[..<count]))) ?? .none, reused: reused)
        } catch {
            throw StorageError("read blob", "\(record.blob)", error)
        }
    }
}
