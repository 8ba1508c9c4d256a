public import LayerArchive
public import LinuxSystem
import OCISpec

extension Store {
    /// Whether a blob is here. Rely on it only under a lease.
    public func hasBlob(_ digest: Digest) -> Bool { File.exists(digest.blobPath, at: directory.raw) }

    /// - Returns: the size in bytes; nil when the blob is not here.
    public func blobSize(_ digest: Digest) -> Int64? {
        guard let status = try? File.status(digest.blobPath, at: directory.raw) else { return nil }
        return Int64(status.st_size)
    }

    /// Opens a blob to read. Its digest was verified when it came in.
    public func openBlob(_ digest: Digest) throws(StorageError) -> Descriptor {
        try storing("read blob", "\(digest)") { () throws(SystemError) in
            try File.open(digest.blobPath, at: directory.raw)
        }
    }

    /// The whole of a small blob: a manifest, a config. Verified.
    /// - Parameter limit: in bytes.
    public func readBlob(_ digest: Digest, limit: Int = documentLimit) throws(StorageError) -> [UInt8] {
        let file = try openBlob(digest)
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try FD.readAll(file.raw, limit: limit)
        } catch  where error.errno.rawValue == EFBIG {
            throw StorageError(.invalid, "read blob", "\(digest)", "it has more than \(limit) bytes")
        } catch {
            throw StorageError("read blob", "\(digest)", error)
        }
        var hasher = DigestHasher(digest.algorithm)
        bytes.withUnsafeBytes { hasher.update($0) }
        let actual = hasher.finalize()
        guard actual == digest else {
            throw StorageError(.damaged, "read blob", "\(digest)", "its content has the digest \(actual)")
        }
        return bytes
    }

    /// What a manifest, an index or a config may have at most, in bytes.
    public static var documentLimit: Int { 8 << 20 }

    /// - Throws: `invalid`.
    static func checkSize(
        ofManifest bytes: [UInt8], _ operation: String, _ object: String
    ) throws(StorageError) {
        if bytes.count <= documentLimit { return }
        throw StorageError(
            .invalid, operation, object, "its manifest has more than \(documentLimit) bytes")
    }

    /// Adds a small blob.
    /// - Returns: its digest.
    @discardableResult
    public func writeBlob(_ bytes: [UInt8]) throws(StorageError) -> Digest {
        let digest = Digest.sha256(of: bytes)
        try ingestBlob(digest: digest, size: Int64(bytes.count), from: BytesSource(bytes))
        return digest
    }

    /// Adds a blob, unless it is here. Others see it whole or not at all; it
    /// stays when an image that uses it is put (`putImage`) under the same lease.
    /// - Parameter source: asked for only when the blob is not here.
    /// - Throws: `mismatch` unless the bytes have that digest and size;
    ///   `source` when reading them fails.
    public func ingestBlob(
        digest: Digest, size: Int64?, from source: @autoclosure () throws -> any ByteSource
    ) throws(StorageError) {
        let operation = "add blob"
        let lease = try lease()
        defer { lease.end() }
        let lock = try ObjectLock("blob-\(digest.fileName)", in: directory.raw)
        defer { lock.keep() }
        if let known = blobSize(digest) {
            if let size, size != known {
                throw StorageError(
                    .mismatch, operation, "\(digest)", "it has \(known) bytes, not the announced \(size)")
            }
            return
        }
        let partial = lease.newPartial()
        do {
            let file = try createPartial(partial)
            try VerifyingSource(try source(), expected: digest, size: size).copy(to: DescriptorSink(file.raw))
            try publishBlob(partial, digest)
        } catch {
            try? File.unlink(partial, at: directory.raw)
            throw StorageError(operation, "\(digest)", any: error)
        }
    }

    /// A file without a name, for what is made on the way out: it is gone when it is closed.
    public func makeUnnamedFile() throws(StorageError) -> Descriptor {
        let lease = try lease()
        defer { lease.end() }
        let partial = lease.newPartial(content: false)
        do {
            let file = try createPartial(partial)
            try File.unlink(partial, at: directory.raw)
            return file
        } catch {
            throw StorageError("make a file in", root, any: error)
        }
    }

    func createPartial(_ partial: String) throws(SystemError) -> Descriptor {
        try File.open(partial, at: directory.raw, O_RDWR | O_CREAT | O_EXCL, mode: 0o644)
    }

    func publishBlob(_ partial: String, _ digest: Digest) throws(StorageError) {
        try storing("add blob", "\(digest)") { () throws(SystemError) in try name(partial, digest) }
        // One that was lost, and that images count on.
        if try isRecorded(blob: digest) { try writeOut([digest]) }
    }

    private func name(_ partial: String, _ digest: Digest) throws(SystemError) {
        do throws(SystemError) {
            try File.rename(partial, to: digest.blobPath, at: directory.raw)
        } catch  where error.errno == .noEntry && digest.algorithm != .sha256 {
            try? File.makeDirectory(digest.blobFolder, at: directory.raw, mode: 0o711)
            try File.rename(partial, to: digest.blobPath, at: directory.raw)
        }
    }

    /// The blob of a descriptor, which must be here with the announced length.
    func wholeBlob(
        _ descriptor: ContentDescriptor, _ operation: String, _ name: String
    ) throws(StorageError) -> Digest {
        let digest: Digest
        do throws(ArchiveError) {
            digest = try Digest(parsing: descriptor.digest)
        } catch {
            throw StorageError(.invalid, operation, name, "\(error)")
        }
        guard let size = blobSize(digest) else {
            throw StorageError(.notFound, operation, name, "its blob \(digest) is not here")
        }
        guard size == descriptor.size else {
            throw StorageError(
                .mismatch, operation, name,
                "its blob \(digest) has \(size) bytes, not the announced \(descriptor.size)")
        }
        return digest
    }

    func isRecorded(blob: Digest) throws(StorageError) -> Bool {
        try database.read { connection throws(StorageError) in
            if try connection.exists("SELECT 1 FROM manifest_blob WHERE digest = ?", blob) { return true }
            return try connection.exists("SELECT 1 FROM artifact_blob WHERE digest = ?", blob)
        }
    }

    /// Returns once those of the blobs that no image or artifact has yet are on the disk.
    func writeOutUnrecorded(_ blobs: Set<Digest>) throws(StorageError) {
        var new: [Digest] = []
        for blob in blobs where try !isRecorded(blob: blob) { new.append(blob) }
        try writeOut(new)
    }

    /// Returns once blobs, and their names, are on the disk.
    func writeOut(_ blobs: [Digest]) throws(StorageError) {
        let files = try blobs.map { digest throws(StorageError) in HeldDescriptor(try openBlob(digest)) }
        try storing("write out", "blobs") { () throws(SystemError) in
            for file in files { FD.startWriteback(file.raw, from: 0, count: 0) }
            for file in files { try FD.syncData(file.raw) }
            for folder in Set(blobs.map(\.blobFolder)) {
                try File.syncDirectory(of: folder + "/", at: directory.raw)
            }
            // The folder of another algorithm may be new.
            if blobs.contains(where: { $0.algorithm != .sha256 }) {
                try File.syncDirectory(of: "blobs/", at: directory.raw)
            }
        }
    }
}
