internal import ContainerStorage
internal import LayerArchive
internal import LinuxSystem
internal import OCISpec
internal import Synchronization

/// The frames of chunked layers that are in the store.
///
/// Read from the blobs' own tables when the first layer asks, and kept nowhere: what a pull has of
/// it goes with the pull.
final class LocalFrames: Sendable {
    private struct Index {
        var files: [SharedFile] = []
        var places: [ChunkedFrame.Key: FramePlan.Place] = [:]
    }

    private let store: Store
    private let repository: String?
    private let index = Mutex<Index?>(nil)
    /// Images whose manifests are read, blobs whose tables are, and frames of these: a pull is
    /// to be quick, and the newest images of the same repository know most of it.
    private static let imageLimit = 32
    private static let blobLimit = 16
    private static let frameLimit = 1 << 18

    /// - Parameter repository: `docker.io/library/debian`; its images are looked at first.
    init(_ store: Store, repository: String?) {
        self.store = store
        self.repository = repository
    }

    var isEmpty: Bool { withIndex { $0.places.isEmpty } }

    func plan(_ frames: [ChunkedFrame], bridge: Int64) -> (FramePlan, [SharedFile]) {
        withIndex { index in
            (FramePlan(frames, bridge: bridge) { index.places[$0] }, index.files)
        }
    }

    private func withIndex<Value: Sendable>(_ body: (borrowing Index) -> Value) -> Value {
        index.withLock { known in
            if known == nil { known = read() }
            return body(known!)
        }
    }

    private func read() -> Index {
        var index = Index()
        for (digest, layer) in candidates() {
            guard index.places.count < Self.frameLimit, let file = try? store.openBlob(digest) else {
                continue
            }
            let shared = SharedFile(file, path: "\(digest)")
            // A blob whose table cannot be read gives nothing.
            guard
                let table = try? layer.table({ offset, count in
                    try FileRange(shared, offset: offset, size: Int64(count)).readAll(limit: count)
                })
            else { continue }
            let source = index.files.count
            index.files.append(shared)
            for frame in table.frames.prefix(Self.frameLimit - index.places.count)
            where index.places[frame.key] == nil {
                index.places[frame.key] = FramePlan.Place(source: source, offset: frame.offset)
            }
        }
        return index
    }

    private func candidates() -> [(Digest, ChunkedLayer)] {
        guard let images = try? store.images() else { return [] }
        let isOfRepository = { [repository] (image: ImageRecord) in
            guard let repository else { return false }
            return (image.names + image.repoDigests).contains {
                $0.hasPrefix(repository + ":") || $0.hasPrefix(repository + "@")
            }
        }
        let ordered = images.filter(isOfRepository) + images.filter { !isOfRepository($0) }
        var found: [(Digest, ChunkedLayer)] = []
        var seen: Set<Digest> = []
        for image in ordered.prefix(Self.imageLimit) {
            guard let manifest = try? store.manifest(of: image) else { continue }
            for descriptor in manifest.layers {
                guard let layer = ChunkedLayer(annotations: descriptor.annotations, size: descriptor.size),
                    let digest = try? Digest(parsing: descriptor.digest), seen.insert(digest).inserted,
                    store.blobSize(digest) == descriptor.size
                else { continue }
                found.append((digest, layer))
                if found.count == Self.blobLimit { return found }
            }
        }
        return found
    }
}
