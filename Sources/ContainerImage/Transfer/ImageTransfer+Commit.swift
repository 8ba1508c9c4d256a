public import ContainerStorage
internal import JSONText
public import LayerArchive
internal import LinuxSystem
public import OCISpec

/// What is new of an image that is made from another.
public struct ImageChange: Sendable {
    /// The whole of what containers of it get.
    public var config: ContainerDefaults
    public var author: String?
    /// RFC 3339; nil for now.
    public var created: String?
    /// The step that made it, whose time is the image's; nil for none.
    public var history: HistoryEntry? = HistoryEntry()
    /// The manifest is Docker's, and not OCI's.
    public var isDocker = false

    public init(config: ContainerDefaults) { self.config = config }
}

extension ImageTransfer {
    /// Makes an image of another's layers and one more; an archive without an
    /// entry is no layer.
    /// - Parameters:
    ///   - tar: the layer, plain.
    ///   - base: the image below; nil for none.
    ///   - platform: whose the image is.
    ///   - name: the image's; nil for none.
    ///   - source: as messages name it.
    public func commit(
        _ tar: any ByteSource, over base: ImageRecord?, platform: Platform, change: ImageChange,
        name: String?, source: String
    ) throws(ImageError) -> ImageRecord {
        let operation = "commit \(source)"
        let names = try [name].compactMap { $0 }.map { name throws(ImageError) in try Self.localName(name) }
        guard names.allSatisfy({ $0.digest == nil }) else {
            throw ImageError(.invalidReference, operation, "an image cannot be given a digest for a name")
        }
        let lease = try storing(source) { () throws(StorageError) in try store.lease() }
        defer { lease.end() }
        let layer: LayerInfo
        var config: ImageConfig
        var layers: [ContentDescriptor] = []
        do {
            layer = try store.importLayer(from: tar)
            if let base {
                config = try ImageConfig(json: JSON(parsing: store.readBlob(base.id)))
                layers = try ImageManifest(json: JSON(parsing: store.readBlob(base.manifestDigest))).layers
            } else {
                config = ImageConfig(platform: platform, diffIDs: [])
            }
        } catch {
            throw ImageError(operation, any: error)
        }
        let created = change.created ?? Self.now()
        // An archive's end alone; without any other layer the image needs it.
        let isEmpty = layer.diffID == Self.emptyArchive && !layers.isEmpty
        config.created = created
        config.author = change.author
        config.config = change.config
        if !isEmpty {
            config.rootfs.diffIDs.append("\(layer.diffID)")
            layers.append(try ContentDescriptor(layer, of: source))
        }
        if var history = change.history {
            history.created = created
            history.emptyLayer = isEmpty
            config.history.append(history)
        }
        for index in layers.indices {
            layers[index].mediaType = try Self.layerType(layers[index].mediaType, isDocker: change.isDocker)
        }
        return try record(config, layers: layers, isDocker: change.isDocker, names: names, of: source)
    }

    private func record(
        _ config: ImageConfig, layers: [ContentDescriptor], isDocker: Bool, names: [ImageReference],
        of source: String
    ) throws(ImageError) -> ImageRecord {
        let configBytes = config.json.bytes()
        let digest = try storing(source) { () throws(StorageError) in try store.writeBlob(configBytes) }
        let type = isDocker ? MediaType.dockerManifest : MediaType.ociManifest
        let manifest = ImageManifest(
            mediaType: type,
            config: ContentDescriptor(
                mediaType: isDocker ? MediaType.dockerConfig : MediaType.ociConfig, digest: "\(digest)",
                size: Int64(configBytes.count)),
            layers: layers
        ).json.bytes()
        let manifestDigest = Digest.sha256(of: manifest)
        return try put(
            manifest, mediaType: type, digest: manifestDigest, topDigest: manifestDigest, names: names,
            of: source)
    }

    /// Two blocks of zeros.
    private static let emptyArchive = Digest.sha256(of: [UInt8](repeating: 0, count: 1024))

    /// A layer's media type by the other specification.
    private static func layerType(_ type: String, isDocker: Bool) throws(ImageError) -> String {
        let pairs = [
            (MediaType.ociLayer, MediaType.dockerLayer), (MediaType.ociLayerGzip, MediaType.dockerLayerGzip),
            (MediaType.ociLayerZstd, MediaType.dockerLayerZstd),
        ]
        guard let pair = pairs.first(where: { $0.0 == type || $0.1 == type }) else {
            // Foreign layers and the like mean the same to both.
            return type
        }
        if isDocker, pair.1 == MediaType.dockerLayerZstd {
            throw ImageError(
                .unsupported, "write a docker manifest",
                "the image has a zstd layer, which docker's format lacks")
        }
        return isDocker ? pair.1 : pair.0
    }
}
