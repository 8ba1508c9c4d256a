public import LayerArchive

/// An image in the store.
public struct ImageRecord: Sendable, Equatable {
    /// The digest of its config.
    public var id: Digest
    /// Of the manifest that was put last; the same config can come with
    /// several, which compress its layers differently.
    public var manifestDigest: Digest
    public var manifestMediaType: String
    public var manifestSize: Int64
    /// Full names (`docker.io/library/nginx:latest`), sorted.
    public var names: [String]
    /// `docker.io/library/nginx@sha256:…`, sorted: where it is known under which digest.
    public var repoDigests: [String]
    /// RFC 3339, as the config has it.
    public var created: String?
    public var os: String
    public var architecture: String
    public var variant: String?
    /// Of the unpacked files of all layers, in bytes.
    public var size: Int64
    /// When it came here, in nanoseconds since 1970.
    public var added: Int64
    /// The layers, the lowest first.
    public var diffIDs: [Digest]
}
