public import LayerArchive
import LinuxSystem

/// Large blobs that are no layers: an artifact's files.
extension Store {
    /// Adds a blob that comes from elsewhere, as `ingestBlob` does. Of a download whose line broke
    /// (`ResumableSource`) what came stays for the next who adds it.
    /// - Parameter source: asked for only when the blob is not here.
    /// - Returns: false when it was here.
    public func fetchBlob(
        digest: Digest, size: Int64, from source: @autoclosure () throws -> any ByteSource
    ) throws(StorageError) -> Bool {
        let lease = try lease()
        defer { lease.end() }
        // The second of two that fetch it waits, and finds it.
        let lock = try ObjectLock("fetch-\(digest.fileName)", in: directory.raw)
        defer { lock.keep() }
        if let known = blobSize(digest) {
            guard known == size else {
                throw StorageError(
                    .mismatch, "add blob", "\(digest)",
                    "it has \(known) bytes, not the announced \(size)")
            }
            return false
        }
        do {
            do {
                try fetch(digest, size, try source(), lease)
            } catch is ResumptionFailed {
                try fetch(digest, size, try source(), lease)
            }
            return true
        } catch {
            throw StorageError("add blob", "\(digest)", any: error)
        }
    }

    private func fetch(
        _ digest: Digest, _ size: Int64, _ source: any ByteSource, _ lease: ContentLease
    ) throws {
        let incoming = try IncomingBlob(source, digest, size: size, self, lease)
        do {
            try ParallelVerifyingSource(incoming.source, expected: digest, size: size).drain()
            try incoming.publish(as: digest)
        } catch {
            throw incoming.abandon(after: error) ? ResumptionFailed() : error
        }
    }

    /// Adds a blob of which only the bytes are known: a file.
    public func ingestBlob(from source: any ByteSource) throws(StorageError) -> (digest: Digest, size: Int64)
    {
        let lease = try lease()
        defer { lease.end() }
        let partial = lease.newPartial()
        do {
            let file = try createPartial(partial)
            let hashed = HashingSource(source)
            try hashed.copy(to: DescriptorSink(file.raw))
            let digest = hashed.digest
            // The same bytes again do no harm.
            try publishBlob(partial, digest)
            return (digest, hashed.count)
        } catch {
            try? File.unlink(partial, at: directory.raw)
            throw StorageError("add", "a file", any: error)
        }
    }
}
