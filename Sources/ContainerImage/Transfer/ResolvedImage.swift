internal import JSONText
internal import LayerArchive
internal import OCISpec

/// An image of one platform whose documents are read and found in order; its
/// layers are still where they were.
struct ResolvedImage {
    var manifest: ImageManifest
    var manifestBytes: [UInt8]
    var manifestDigest: Digest
    var mediaType: String
    /// Of what the name leads to: the index, if there is one, or the manifest.
    var topDigest: Digest
    var config: ImageConfig
    var configBytes: [UInt8]
    var configDigest: Digest
    var layers: [Layer]

    struct Layer {
        var descriptor: ContentDescriptor
        var digest: Digest
        var diffID: Digest
    }

    /// The kernel's overlay takes 500 layers (OVL_MAX_STACK).
    static let maximumLayers = 500

    init(
        _ provider: some ImageProvider, platform: Platform, isPlatformGiven: Bool, trust: TrustOptions
    ) throws(ImageError) {
        let name = provider.name
        let top = try SourceDocument(topOf: provider)
        let chosen = try SourceDocument(choosing: platform, below: top, of: provider)
        try trust.admit(chosen, of: provider)
        guard case .manifest(let manifest, let type) = chosen.content else { preconditionFailure() }
        self.manifest = manifest
        mediaType = type
        manifestBytes = chosen.bytes
        manifestDigest = chosen.digest
        topDigest = top.digest

        try Self.check(manifest, name: name)
        let config: SourceConfig
        do {
            config = try SourceConfig(manifest, of: provider)
        } catch {
            throw ImageError("read the config of \(name)", any: error)
        }
        guard let image = config.image, let bytes = config.bytes else { preconditionFailure() }
        configDigest = config.digest
        configBytes = bytes
        self.config = image
        layers = try Self.pair(manifest, config, name: name)
        try Self.check(image.platform, against: platform, isGiven: isPlatformGiven, name: name)
    }

    private static func check(_ manifest: ImageManifest, name: String) throws(ImageError) {
        let type = manifest.config.mediaType
        guard type.isEmpty || MediaType.isImageConfig(type) else {
            throw ImageError(
                .unsupported, "pull \(name)",
                "it is no container image but an artifact with a config of type \(type.prefix(100))")
        }
        guard manifest.layers.count <= maximumLayers else {
            throw ImageError(
                .limit, "pull \(name)",
                "it has \(manifest.layers.count) layers; more than \(maximumLayers) are not accepted")
        }
        for layer in manifest.layers {
            if layer.mediaType.hasSuffix("+encrypted") {
                throw ImageError(.unsupported, "pull \(name)", "the layer \(layer.digest) is encrypted")
            }
            guard layer.mediaType.isEmpty || MediaType.isLayer(layer.mediaType) else {
                throw ImageError(
                    .unsupported, "pull \(name)",
                    "the layer \(layer.digest) has the unknown type \(layer.mediaType.prefix(100))")
            }
        }
    }

    static func readConfig(_ bytes: [UInt8], name: String) throws(ImageError) -> ImageConfig {
        do throws(JSONError) {
            let config = try ImageConfig(json: JSON(parsing: bytes))
            guard config.rootfs.type == "layers" else {
                throw JSONError(path: "rootfs.type", "is \"\(config.rootfs.type)\", not \"layers\"")
            }
            return config
        } catch {
            throw ImageError(.malformed, "read the config of \(name)", error.description)
        }
    }

    private static func pair(
        _ manifest: ImageManifest, _ config: SourceConfig, name: String
    ) throws(ImageError) -> [Layer] {
        let diffIDs = try config.requireDiffIDs(manifest, name: name)
        var layers: [Layer] = []
        for (descriptor, diffID) in zip(manifest.layers, diffIDs) {
            layers.append(
                Layer(descriptor: descriptor, digest: try Digest(descriptor, in: name), diffID: diffID))
        }
        return layers
    }

    static func check(
        _ offered: Platform, against wanted: Platform, isGiven: Bool, name: String
    ) throws(ImageError) {
        guard offered.os.isEmpty || offered.os == "linux" else {
            throw ImageError(.unknownPlatform, "pull \(name)", "the image is for \(offered), not for linux")
        }
        guard isGiven, !offered.architecture.isEmpty, wanted.distance(to: offered) == nil else { return }
        throw ImageError(
            .unknownPlatform, "pull \(name)", "the image is not there for \(wanted); it is for \(offered)")
    }
}
