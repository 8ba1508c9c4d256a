internal import JSONText
internal import LayerArchive
internal import OCISpec

/// A manifest or an index as it was found, verified and read.
struct SourceDocument {
    let bytes: [UInt8]
    let digest: Digest
    let content: ImageDocument
    /// The documents that led here, itself the last.
    private let way: [Digest]

    /// The image's name leads to it, and not just an index.
    var isTop: Bool { way.count == 1 }

    /// An index may lead to an index, but hardly deeper.
    private static let maximumDepth = 4

    /// What a name leads to.
    init(topOf source: some ImageProvider) throws(ImageError) {
        let top = try source.top()
        if let expected = top.digest { try Self.verify(top.bytes, expected, name: source.name) }
        bytes = top.bytes
        digest = top.digest ?? Digest.sha256(of: top.bytes)
        content = try ImageDocument(top.bytes, mediaType: top.mediaType, name: source.name)
        way = [digest]
    }

    /// A member of an index.
    init(
        _ descriptor: ContentDescriptor, above index: SourceDocument, of source: some ImageProvider
    ) throws(ImageError) {
        let name = source.name
        digest = try Digest(descriptor, in: name)
        guard !index.way.contains(digest) else {
            throw ImageError(.malformed, "read \(name)", "the index \(digest) leads back to itself")
        }
        guard index.way.count < Self.maximumDepth else {
            throw ImageError(
                .limit, "read \(name)", "indexes within indexes, deeper than \(Self.maximumDepth)")
        }
        bytes = try source.document(descriptor, digest)
        try Self.verify(bytes, digest, size: descriptor.size, name: name)
        content = try ImageDocument(bytes, mediaType: descriptor.mediaType, name: name)
        way = index.way + [digest]
    }

    /// The manifest for a platform, or the one that there is.
    init(
        choosing platform: Platform, below top: SourceDocument, of source: some ImageProvider
    ) throws(ImageError) {
        var document = top
        while case .index(let index, _) = document.content {
            let next = try PlatformChoice.choose(platform.normalized, from: index, name: source.name)
            document = try SourceDocument(next, above: document, of: source)
        }
        self = document
    }

    private static func verify(
        _ bytes: [UInt8], _ expected: Digest, size: Int64? = nil, name: String
    ) throws(ImageError) {
        let actual = Digest.of(bytes, like: expected)
        guard actual == expected else {
            throw ImageError(
                .corrupt, "read \(name)", "the bytes of \(expected) have the digest \(actual)")
        }
        if let size, size != bytes.count {
            throw ImageError(
                .corrupt, "read \(name)", "\(expected) has \(bytes.count) bytes, not the announced \(size)")
        }
    }
}

/// An image's config, or what an artifact has in its place.
struct SourceConfig: Sendable {
    let digest: Digest
    let blob: OutgoingBlob
    /// nil for what is no image.
    var image: ImageConfig?
    /// The config of an image.
    var bytes: [UInt8]?

    init(_ manifest: ImageManifest, of source: any ImageProvider) throws {
        let name = source.name
        let descriptor = manifest.config
        let digest = try Digest(descriptor, in: name)
        self.digest = digest
        let size = descriptor.size
        let type = descriptor.mediaType
        guard type.isEmpty || MediaType.isImageConfig(type) else {
            blob = OutgoingBlob(digest: digest, size: size) {
                VerifyingSource(try source.blob(descriptor, digest), expected: digest, size: size)
            }
            return
        }
        guard size <= DocumentLimit.config else {
            throw ImageError(
                .limit, "read \(name)",
                "the config has \(size) bytes; more than \(DocumentLimit.config) are not accepted")
        }
        let bytes: [UInt8]
        do {
            let verified = VerifyingSource(
                try source.blob(descriptor, digest), expected: digest, size: size)
            bytes = try verified.readAll(limit: DocumentLimit.config)
        } catch {
            throw ImageError("read the config \(digest) of \(name)", any: error)
        }
        self.bytes = bytes
        image = try ResolvedImage.readConfig(bytes, name: name)
        blob = OutgoingBlob(digest: digest, size: size) { BytesSource(bytes) }
    }

    /// Of each layer; nil when the config does not tell.
    func diffIDs(_ manifest: ImageManifest) -> [Digest]? {
        guard let image, image.rootfs.diffIDs.count == manifest.layers.count else { return nil }
        let found = image.rootfs.diffIDs.compactMap { try? Digest(parsing: $0) }
        return found.count == manifest.layers.count ? found : nil
    }

    func requireDiffIDs(_ manifest: ImageManifest, name: String) throws(ImageError) -> [Digest] {
        guard let image else {
            throw ImageError(
                .unsupported, "read \(name)",
                "it is no container image but an artifact with a config of type "
                    + "\(manifest.config.mediaType.prefix(100)): its layers stay as they are")
        }
        guard let found = diffIDs(manifest) else {
            throw ImageError(
                .malformed, "read \(name)",
                "the manifest has \(manifest.layers.count) layers and the config \(image.rootfs.diffIDs.count) diff_ids"
            )
        }
        return found
    }
}
