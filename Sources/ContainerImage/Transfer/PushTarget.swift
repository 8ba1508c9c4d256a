internal import ContainerStorage
internal import LayerArchive
internal import LinuxSystem
internal import OCISpec
internal import RegistryClient
internal import Synchronization

/// The repository that an image is pushed to.
struct PushTarget: Sendable {
    let repository: Repository
    let client: RegistryClient
    let origins: BlobOrigins
    let progress: any TransferProgress
    let stop: StopFlag

    /// Sees to it that a layer is there, and tells of it.
    func push(_ layer: OutgoingBlob, diffID: Digest) throws {
        do {
            var sent = false
            if try !client.hasBlob(repository, digest: layer.digest, size: layer.size) {
                let origin = try origins.repository(having: diffID)
                sent = try client.uploadBlob(
                    repository, digest: layer.digest, size: layer.size, mounting: origin
                ) {
                    ProgressSource(try layer.open(), layer.digest, layer.size, progress, stop)
                }
            }
            progress.layer(layer.digest, sent ? .done : .reused)
        } catch {
            progress.layer(layer.digest, .failed)
            throw error
        }
    }

    func push(config: OutgoingBlob) throws {
        if try client.hasBlob(repository, digest: config.digest, size: config.size) { return }
        _ = try client.uploadBlob(
            repository, digest: config.digest, size: config.size, open: config.open)
    }
}

/// Which other repositories of a registry may have a layer, as the names of
/// the store's images tell. They are looked up once, and only when something is missing.
final class BlobOrigins: Sendable {
    private let store: Store
    private let record: ImageRecord
    private let reference: ImageReference
    private let known = Mutex<[Digest: String]?>(nil)

    init(_ store: Store, _ record: ImageRecord, _ reference: ImageReference) {
        self.store = store
        self.record = record
        self.reference = reference
    }

    func repository(having diffID: Digest) throws -> String? {
        try known.withLock { known in
            if known == nil { known = try find() }
            return known![diffID]
        }
    }

    private func find() throws -> [Digest: String] {
        let wanted = Set(record.diffIDs)
        var found: [Digest: String] = [:]
        for image in try store.images() {
            let shared = image.diffIDs.filter { wanted.contains($0) && found[$0] == nil }
            guard !shared.isEmpty else { continue }
            // What came from a registry or went there is surer than what is only called so.
            let names = (image.repoDigests + image.names).compactMap { try? ImageReference(parsing: $0) }
            let other = names.first { $0.domain == reference.domain && $0.path != reference.path }
            for diffID in shared { found[diffID] = other?.path }
        }
        return found
    }
}
