internal import ContainerStorage
internal import ImageTrust
internal import LayerArchive
internal import OCISpec

/// An artifact of a store of ours, as the source of a copy.
final class ArtifactProvider: ImageProvider {
    let scope: PolicyScope? = nil
    private let store: Store
    private let record: ArtifactRecord
    /// Its content stays as long as somebody reads it.
    private let lease: ContentLease

    /// - Parameter lease: held since before the record was read.
    init(_ store: Store, _ record: ArtifactRecord, _ lease: ContentLease) {
        self.store = store
        self.record = record
        self.lease = lease
    }

    deinit { lease.end() }

    var name: String { record.name }

    func top() throws(ImageError) -> TopDocument {
        TopDocument(bytes: try read(record.digest), mediaType: record.mediaType, digest: record.digest)
    }

    func document(_ descriptor: ContentDescriptor, _ digest: Digest) throws(ImageError) -> [UInt8] {
        try read(digest)
    }

    private func read(_ digest: Digest) throws(ImageError) -> [UInt8] {
        do throws(StorageError) { return try store.readBlob(digest) } catch {
            throw ImageError("read \(name)", error)
        }
    }

    func blob(_ descriptor: ContentDescriptor, _ digest: Digest) throws(ImageError) -> any ByteSource {
        do throws(StorageError) { return DescriptorSource(owning: try store.openBlob(digest)) } catch {
            throw ImageError("read \(name)", error)
        }
    }
}
