public import ContainerStorage
public import LayerArchive

/// A layer as a part of an image.
public struct ImageLayer: Sendable {
    public var diffID: Digest
    /// Of its files, in bytes.
    public var size: Int64
    /// The names of images whose topmost layer it is.
    public var topOf: [String]
    /// How many other images have it.
    public var sharedBy: Int
}

extension Engine {
    /// Mounts images, all or none.
    public func mount(_ images: [ImageRecord]) throws(EngineError) -> [(image: ImageRecord, path: String)] {
        var mounted: [(image: ImageRecord, path: String)] = []
        do throws(StorageError) {
            for image in images { mounted.append((image, try store.mountImage(image))) }
        } catch {
            for mount in mounted { _ = try? store.unmountImage(mount.image.id) }
            throw EngineError(error)
        }
        return mounted
    }

    public func mountedImages() throws(EngineError) -> [(image: ImageRecord, path: String)] {
        try engineErrors {
            var result: [(image: ImageRecord, path: String)] = []
            for mount in try store.mountedImages() {
                if let image = try store.image(id: mount.id) { result.append((image, mount.path)) }
            }
            return result
        }
    }

    /// An image's layers, the lowest first.
    public func layers(of image: ImageRecord) throws(EngineError) -> [ImageLayer] {
        try engineErrors {
            let images = try store.images()
            let sizes = try store.layerSizes()
            return image.diffIDs.map { diffID in
                let users = images.filter { $0.diffIDs.contains(diffID) }
                return ImageLayer(
                    diffID: diffID, size: sizes[diffID] ?? 0,
                    topOf: users.filter { $0.diffIDs.last == diffID }.flatMap(\.names).sorted(),
                    sharedBy: users.count { $0.id != image.id })
            }
        }
    }
}
