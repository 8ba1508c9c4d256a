public import LayerArchive

/// An artifact in the store: files under a name that are no image's layers
/// (image-spec, manifest.md, "Guidelines for Artifact Usage").
public struct ArtifactRecord: Sendable, Equatable {
    /// Full, with a tag or a digest: `quay.io/models/small:latest`.
    public var name: String
    /// Of the manifest.
    public var digest: Digest
    public var mediaType: String
    /// Of the manifest, in bytes.
    public var manifestSize: Int64
    /// When it came here, in nanoseconds since 1970.
    public var added: Int64
}

/// What may have an artifact's name before.
public enum ArtifactReplacement: Sendable, Equatable {
    case nothing
    case anything
    /// The artifact that the new one was made from.
    case manifest(Digest)
}
