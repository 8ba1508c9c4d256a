internal import ContainerStorage
internal import ImageTrust
internal import LayerArchive
internal import OCISpec
internal import Synchronization

/// An image of a store of ours.
final class StoreProvider: ImageProvider {
    let name: String
    let store: Store
    let record: ImageRecord
    let scope: PolicyScope? = nil
    /// Its content stays as long as somebody reads it.
    private let lease: ContentLease
    private let origins = Mutex<[Digest: String]?>(nil)

    init(_ store: Store, _ record: ImageRecord) throws {
        self.store = store
        self.record = record
        name = record.names.first ?? "\(record.id)"
        lease = try store.lease()
    }

    deinit { lease.end() }

    func top() throws(ImageError) -> TopDocument {
        TopDocument(
            bytes: try read(record.manifestDigest), mediaType: record.manifestMediaType,
            digest: record.manifestDigest)
    }

    func document(_ descriptor: ContentDescriptor, _ digest: Digest) throws(ImageError) -> [UInt8] {
        try read(digest)
    }

    func blob(_ descriptor: ContentDescriptor, _ digest: Digest) throws(ImageError) -> any ByteSource {
        do throws(StorageError) {
            return DescriptorSource(owning: try store.openBlob(digest))
        } catch {
            throw ImageError("read \(name)", error)
        }
    }

    private func read(_ digest: Digest) throws(ImageError) -> [UInt8] {
        do throws(StorageError) {
            return try store.readBlob(digest)
        } catch {
            throw ImageError("read \(name)", error)
        }
    }

    /// As the names of the store's images tell. They are looked up once, and only when something
    /// is missing where the image goes.
    func origin(
        of layer: Digest, diffID: Digest?, in registry: String, besides repository: String
    ) throws -> String? {
        guard let diffID else { return nil }
        return try origins.withLock { known in
            if known == nil { known = try find(registry, besides: repository) }
            return known![diffID]
        }
    }

    private func find(_ registry: String, besides repository: String) throws -> [Digest: String] {
        let wanted = Set(record.diffIDs)
        var found: [Digest: String] = [:]
        for image in try store.images() {
            let shared = image.diffIDs.filter { wanted.contains($0) && found[$0] == nil }
            guard !shared.isEmpty else { continue }
            // What came from a registry or went there is surer than what is only called so.
            let names = (image.repoDigests + image.names).compactMap { try? ImageReference(parsing: $0) }
            let other = names.first { $0.domain == registry && $0.path != repository }
            for diffID in shared { found[diffID] = other?.path }
        }
        return found
    }
}
