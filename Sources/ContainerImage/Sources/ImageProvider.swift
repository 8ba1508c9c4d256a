internal import ImageTrust
internal import LayerArchive
internal import OCISpec

/// One image, or the images of one name for several platforms, in some place.
///
/// Vocabulary: the *top* is the document that the name leads to, a manifest or
/// an index; *documents* are manifests and indexes below it, *blobs* the rest.
/// A provider finds bytes; it is the transfer that verifies them.
protocol ImageProvider: Sendable {
    /// As messages name it: `docker.io/library/debian:12`, `oci:/srv/debian:12`.
    var name: String { get }
    /// Bytes are here, so that to read them again costs little.
    var isLocal: Bool { get }
    func top() throws(ImageError) -> TopDocument
    /// A document, read up to the limit of documents.
    func document(_ descriptor: ContentDescriptor, _ digest: Digest) throws(ImageError) -> [UInt8]
    func blob(_ descriptor: ContentDescriptor, _ digest: Digest) throws(ImageError) -> any ByteSource
    /// Where a policy looks for it; nil for what is in a store of ours and so was let in before.
    var scope: PolicyScope? { get }
    /// What a signature may call it; nil where images have no such names.
    var signedReference: DockerReference? { get }
    /// The signatures of the image or of an image of its index, not verified.
    func signatures(
        of manifest: Digest, isTop: Bool, _ trust: TrustOptions
    ) throws(ImageError) -> [ImageSignature]
    /// Where an image of an index is to be had.
    func member(_ descriptor: ContentDescriptor) throws -> any ImageProvider
    /// A repository of a registry, other than one, that has a layer.
    func origin(
        of layer: Digest, diffID: Digest?, in registry: String, besides repository: String
    ) throws -> String?
}

extension ImageProvider {
    func member(_ descriptor: ContentDescriptor) -> any ImageProvider { self }

    var isLocal: Bool { true }

    var signedReference: DockerReference? { nil }

    func signatures(of manifest: Digest, isTop: Bool, _ trust: TrustOptions) -> [ImageSignature] { [] }

    func origin(
        of layer: Digest, diffID: Digest?, in registry: String, besides repository: String
    ) throws -> String? { nil }

    /// How a layer is compressed: what is here says it itself, for the rest its type does.
    func compression(of layer: ContentDescriptor, _ digest: Digest) throws -> Compression {
        if isLocal {
            var prefix = [UInt8](repeating: 0, count: Compression.prefixLength)
            let source = try blob(layer, digest)
            let count = try prefix.withUnsafeMutableBytes { try source.readFully(into: $0) }
            return try Compression.detect(Array(prefix[..<count]))
        }
        if layer.mediaType.hasSuffix("gzip") { return .gzip }
        if layer.mediaType.hasSuffix("zstd") { return .zstd }
        return .none
    }
}

struct TopDocument: Sendable {
    var bytes: [UInt8]
    /// What the place says of it; empty when it says nothing.
    var mediaType: String
    /// What the bytes must hash to, where the way there said so.
    var digest: Digest?
}

enum DocumentLimit {
    /// Manifests and indexes: what registries accept (distribution-spec, "Pushing Manifests").
    static let manifest = 4 << 20
    /// Configs.
    static let config = 8 << 20
}
