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
    func push(_ layer: OutgoingBlob) throws {
        do {
            progress.layer(layer.digest, try send(layer, isLayer: true) ? .done : .reused)
        } catch {
            progress.layer(layer.digest, .failed)
            throw error
        }
    }

    /// - Returns: false when the blob need not be sent.
    @discardableResult
    func send(_ blob: OutgoingBlob, isLayer: Bool) throws -> Bool {
        if try client.hasBlob(repository, digest: blob.digest) { return false }
        if isLayer {
            for name in try origins.repositories(of: blob.digest)
            where client.mountBlob(repository, digest: blob.digest, from: name) {
                return false
            }
        }
        try client.uploadBlob(repository, digest: blob.digest, size: blob.size) {
            let source = try blob.open()
            return isLayer ? ProgressSource(source, blob.digest, blob.size, progress, stop) : source
        }
        return true
    }
}

/// Which other repositories of a registry have a blob, as far as the store's
/// images tell. It is looked up once, and only when something is missing.
final class BlobOrigins: Sendable {
    private let store: Store
    private let record: ImageRecord
    private let reference: ImageReference
    private let known = Mutex<[Digest: [String]]?>(nil)
    /// More attempts to mount take longer than they save.
    private static let maximum = 3

    init(_ store: Store, _ record: ImageRecord, _ reference: ImageReference) {
        self.store = store
        self.record = record
        self.reference = reference
    }

    func repositories(of blob: Digest) throws -> [String] {
        try known.withLock { known in
            if known == nil { known = try find() }
            return known![blob] ?? []
        }
    }

    private func find() throws -> [Digest: [String]] {
        let wanted = Set(record.diffIDs)
        var found: [Digest: [String]] = [:]
        for image in try store.images() where image.diffIDs.contains(where: wanted.contains) {
            let names = image.repoDigests.compactMap { try? ImageReference(parsing: $0) }
                .filter { $0.domain == reference.domain && $0.path != reference.path }.map(\.path)
            guard !names.isEmpty else { continue }
            for layer in try store.manifest(of: image).layers {
                guard let digest = try? Digest(parsing: layer.digest) else { continue }
                for name in names where found[digest, default: []].count < Self.maximum {
                    if !found[digest, default: []].contains(name) { found[digest, default: []].append(name) }
                }
            }
        }
        return found
    }
}
