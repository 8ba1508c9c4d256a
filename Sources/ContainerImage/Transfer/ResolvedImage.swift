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

    /// An index may lead to an index, but hardly deeper.
    private static let maximumDepth = 4
    /// The kernel's overlay takes 500 layers (OVL_MAX_STACK).
    static let maximumLayers = 500

    init(_ provider: some ImageProvider, platform: Platform, isPlatformGiven: Bool) throws(ImageError) {
        let name = provider.name
        let top = try provider.top()
        if let expected = top.digest { try Self.verify(top.bytes, expected, name: name) }
        topDigest = top.digest ?? Digest.sha256(of: top.bytes)

        var bytes = top.bytes
        var mediaType = top.mediaType
        var digest = topDigest
        var seen: Set<Digest> = [digest]
        while true {
            let document = try ImageDocument(bytes, mediaType: mediaType, name: name)
            guard case .index(let index, _) = document else {
                guard case .manifest(let manifest, let type) = document else { preconditionFailure() }
                self.manifest = manifest
                self.mediaType = type
                manifestBytes = bytes
                manifestDigest = digest
                break
            }
            let next = try PlatformChoice.choose(platform, from: index, name: name)
            digest = try Digest(next, in: name)
            guard seen.insert(digest).inserted else {
                throw ImageError(.malformed, "pull \(name)", "the index \(digest) leads back to itself")
            }
            guard seen.count <= Self.maximumDepth else {
                throw ImageError(
                    .limit, "pull \(name)", "indexes within indexes, deeper than \(Self.maximumDepth)")
            }
            bytes = try provider.document(next, digest)
            try Self.verify(bytes, digest, size: next.size, name: name)
            mediaType = next.mediaType
        }

        try Self.check(manifest, name: name)
        configDigest = try Digest(manifest.config, in: name)
        guard manifest.config.size <= DocumentLimit.config else {
            throw ImageError(
                .limit, "pull \(name)",
                "the config has \(manifest.config.size) bytes; more than \(DocumentLimit.config) are not accepted"
            )
        }
        do {
            configBytes = try provider.blob(manifest.config, configDigest).readAll(
                limit: DocumentLimit.config)
        } catch {
            throw ImageError("read the config \(configDigest) of \(name)", any: error)
        }
        try Self.verify(configBytes, configDigest, size: manifest.config.size, name: name)
        config = try Self.readConfig(configBytes, name: name)
        layers = try Self.pair(manifest, config, name: name)
        try Self.check(config.platform, against: platform, isGiven: isPlatformGiven, name: name)
    }

    private static func verify(
        _ bytes: [UInt8], _ expected: Digest, size: Int64? = nil, name: String
    ) throws(ImageError) {
        let actual = Digest.of(bytes, like: expected)
        guard actual == expected else {
            throw ImageError(
                .corrupt, "pull \(name)", "the bytes of \(expected) have the digest \(actual)")
        }
        if let size, size != bytes.count {
            throw ImageError(
                .corrupt, "pull \(name)", "\(expected) has \(bytes.count) bytes, not the announced \(size)")
        }
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
        _ manifest: ImageManifest, _ config: ImageConfig, name: String
    ) throws(ImageError) -> [Layer] {
        let diffIDs = config.rootfs.diffIDs
        guard manifest.layers.count == diffIDs.count else {
            throw ImageError(
                .malformed, "pull \(name)",
                "the manifest has \(manifest.layers.count) layers and the config \(diffIDs.count) diff_ids")
        }
        var layers: [Layer] = []
        for (descriptor, diffID) in zip(manifest.layers, diffIDs) {
            layers.append(
                Layer(
                    descriptor: descriptor, digest: try Digest(descriptor, in: name),
                    diffID: try Digest(text: diffID, in: name)))
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
