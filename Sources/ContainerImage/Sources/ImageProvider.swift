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
    func top() throws(ImageError) -> TopDocument
    /// A document, read up to the limit of documents.
    func document(_ descriptor: ContentDescriptor, _ digest: Digest) throws(ImageError) -> [UInt8]
    func blob(_ descriptor: ContentDescriptor, _ digest: Digest) throws(ImageError) -> any ByteSource
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
