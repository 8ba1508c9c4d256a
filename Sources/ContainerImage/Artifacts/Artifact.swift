public import ContainerStorage
public import LayerArchive
public import LinuxSystem
public import OCISpec

/// Files under one name, in a store of ours or in a registry: not layers of a file system, but
/// whatever their types say (image-spec, manifest.md, "Guidelines for Artifact Usage").
public struct Artifact: Sendable {
    public let record: ArtifactRecord
    public let manifest: ImageManifest

    public var name: String { record.name }
    /// Of the manifest.
    public var digest: Digest { record.digest }
    /// Of its files, in bytes.
    public var size: Int64 { manifest.layers.reduce(0) { $0 + $1.size } }
    /// When it was first made; nil when it does not say.
    public var created: Timestamp? { manifest.annotations[Self.created].flatMap(Timestamp.init(parsing:)) }

    /// The annotation that has a file's name.
    static let title = "org.opencontainers.image.title"
    static let created = "org.opencontainers.image.created"

    /// What stands for a configuration where there is none (image-spec, "Guidance for an Empty Descriptor").
    static let emptyConfig: [UInt8] = Array("{}".utf8)
}

extension ContentDescriptor {
    /// The name of an artifact's file; nil when it has none.
    var title: String? { annotations[Artifact.title].flatMap { $0.isEmpty ? nil : $0 } }
}
