internal import ContainerStorage
internal import JSONText
internal import LayerArchive
internal import LinuxSystem
internal import OCISpec

/// What becomes of the layers on their way out.
enum OutgoingLayers: Sendable, Equatable {
    /// They go as they are.
    case asStored
    /// Those that were never compressed are, by gzip.
    case compressed(level: Int?)
    /// All are compressed in this way.
    /// - Parameter again: those that are so already, too.
    case all(Compression, level: Int?, again: Bool)
}

/// The manifest's family.
public enum ManifestFormat: String, Sendable, CaseIterable {
    case oci, v2s2
}

/// A blob to write or send: its bytes can be had any number of times.
struct OutgoingBlob: Sendable {
    var digest: Digest
    var size: Int64
    var open: @Sendable () throws -> any ByteSource
}

/// An image of the store in the form in which it leaves. What need not change
/// stays as it is to the byte, the manifest included.
struct OutgoingImage: Sendable {
    let record: ImageRecord
    var layers: [OutgoingBlob] = []
    var config: OutgoingBlob
    var manifestBytes: [UInt8]
    var digest: Digest
    var mediaType: String

    var platform: Platform {
        Platform(os: record.os, architecture: record.architecture, variant: record.variant)
    }

    /// The caller holds a lease as long as it uses the blobs.
    /// - Parameter format: nil for that of the manifest as it is.
    init(
        _ store: Store, _ record: ImageRecord, format: ManifestFormat?, layers wanted: OutgoingLayers,
        threads: Int = 1
    ) throws {
        self.record = record
        let original = try store.manifest(of: record)
        var manifest = original
        var plans: [(ContentDescriptor, Digest)] = []
        for pair in zip(original.layers, record.diffIDs) { plans.append(pair) }
        let outgoing = try Threads.parallel(limit: threads, plans) { descriptor, diffID in
            try Self.layer(store, descriptor, diffID, wanted)
        }
        for (position, layer) in outgoing.enumerated() {
            layers.append(layer.blob)
            guard let compression = layer.compression else { continue }
            manifest.layers[position] = ContentDescriptor(
                mediaType: Self.ociType(compression), digest: "\(layer.blob.digest)", size: layer.blob.size)
        }
        config = try Self.stored(store, original.config)

        let isDocker = record.manifestMediaType == MediaType.dockerManifest
        let changed = manifest.layers != original.layers
        let hasNewZstd = outgoing.contains { $0.compression == .zstd }
        // Docker's schema knows no zstd: such an image becomes an OCI one.
        let target = format ?? (isDocker && !hasNewZstd ? .v2s2 : .oci)
        if changed || format != nil || isDocker != (target == .v2s2) {
            try Self.convert(&manifest, from: record.manifestMediaType, to: target)
        }
        if manifest == original {
            manifestBytes = try store.readBlob(record.manifestDigest)
            digest = record.manifestDigest
            mediaType = record.manifestMediaType
        } else {
            manifestBytes = manifest.json.bytes()
            digest = Digest.sha256(of: manifestBytes)
            mediaType = target == .v2s2 ? MediaType.dockerManifest : MediaType.ociManifest
        }
    }

    private static func stored(_ store: Store, _ descriptor: ContentDescriptor) throws -> OutgoingBlob {
        let digest = try Digest(parsing: descriptor.digest)
        let size = descriptor.size
        return OutgoingBlob(digest: digest, size: size) {
            VerifyingSource(
                DescriptorSource(owning: try store.openBlob(digest)), expected: digest, size: size)
        }
    }

    /// - Returns: with the compression when it is a new one.
    private static func layer(
        _ store: Store, _ descriptor: ContentDescriptor, _ diffID: Digest, _ wanted: OutgoingLayers
    ) throws -> (blob: OutgoingBlob, compression: Compression?) {
        let stored = try stored(store, descriptor)
        if wanted == .asStored { return (stored, nil) }
        let file = try store.openBlob(stored.digest)
        var prefix = [UInt8](repeating: 0, count: Compression.prefixLength)
        let count = try prefix.withUnsafeMutableBytes { try FD.read(file.raw, into: $0) }
        let present = try Compression.detect(Array(prefix[..<count]))
        let compression: Compression
        let level: Int?
        switch wanted {
        case .all(let asked, let given, let again) where again || asked != present:
            (compression, level) = (asked, given)
        case .compressed(let given) where present == .none: (compression, level) = (.gzip, given)
        default: return (stored, nil)
        }
        // The digest must be known before anything is sent, for whether it is there already.
        // So the result is kept, on the disk, where it has room whatever its size.
        let result = CompressedLayer(try store.makeUnnamedFile())
        let sink = HashingSink(DescriptorSink(result.file.raw))
        let compressing = try CompressingSink(compression, to: sink, level: level)
        let tar = DecompressingSource(
            DescriptorSource(owning: try store.openBlob(stored.digest)), compression: present)
        try VerifyingSource(tar, expected: diffID).copy(to: compressing)
        try compressing.finish()
        return (OutgoingBlob(digest: sink.digest, size: sink.count, open: result.open), compression)
    }

    /// A file that several readers read, each from its beginning.
    private final class CompressedLayer: Sendable {
        let file: Descriptor

        init(_ file: consuming Descriptor) { self.file = file }

        func open() throws -> any ByteSource {
            DescriptorSource(owning: try File.open("/proc/self/fd/\(file.raw)", O_RDONLY))
        }
    }

    private static func ociType(_ compression: Compression) -> String {
        switch compression {
        case .none: MediaType.ociLayer
        case .gzip: MediaType.ociLayerGzip
        case .zstd: MediaType.ociLayerZstd
        }
    }

    private static let types = [
        (oci: MediaType.ociLayer, docker: MediaType.dockerLayer),
        (oci: MediaType.ociLayerGzip, docker: MediaType.dockerLayerGzip),
        (oci: MediaType.ociLayerZstd, docker: MediaType.dockerLayerZstd),
        (oci: MediaType.ociConfig, docker: MediaType.dockerConfig),
    ]

    private static func convert(
        _ manifest: inout ImageManifest, from type: String, to format: ManifestFormat
    ) throws(ImageError) {
        func renamed(_ descriptor: ContentDescriptor) -> ContentDescriptor {
            var descriptor = descriptor
            for (oci, docker) in types where [oci, docker].contains(descriptor.mediaType) {
                descriptor.mediaType = format == .oci ? oci : docker
            }
            return descriptor
        }
        manifest.layers = manifest.layers.map(renamed)
        manifest.config = renamed(manifest.config)
        let target = format == .oci ? MediaType.ociManifest : MediaType.dockerManifest
        if type != target { manifest.mediaType = target }
        guard format == .v2s2 else { return }
        guard !manifest.layers.contains(where: { $0.mediaType == MediaType.dockerLayerZstd }) else {
            throw ImageError(
                .configuration, "write the manifest",
                "Docker's schema 2 has no zstd layers: use --format oci, or --compression-format gzip")
        }
        manifest.annotations = [:]
        manifest.artifactType = nil
        manifest.subject = nil
        for position in manifest.layers.indices { manifest.layers[position].annotations = [:] }
        manifest.config.annotations = [:]
    }
}
