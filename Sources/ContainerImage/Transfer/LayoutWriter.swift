internal import ContainerStorage
internal import JSONText
internal import LayerArchive
internal import OCISpec

/// Writes images as an OCI layout. Blobs go as they are; a Docker manifest is
/// rewritten as an OCI one, because layouts' readers know no other.
struct LayoutWriter {
    private let store: Store

    init(_ store: Store) { self.store = store }

    /// - Parameters:
    ///   - existing: the index of a layout that is added to.
    ///   - emit: takes the files, `index.json` last.
    func write(
        _ images: [SavedImage], existing: ImageIndex?, emit: (String, SavedFile) throws -> Void
    ) throws {
        var index = existing ?? ImageIndex(manifests: [])
        var written: Set<Digest> = []
        try emit("oci-layout", SavedFile(Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8)))
        for image in images {
            let manifest = try store.manifest(of: image.record)
            var bytes = try store.readBlob(image.record.manifestDigest)
            var digest = image.record.manifestDigest
            var converted = manifest
            if Self.convert(&converted, type: image.record.manifestMediaType) {
                bytes = converted.json.bytes()
                digest = Digest.sha256(of: bytes)
            }
            for descriptor in manifest.layers + [manifest.config] {
                let blob = try Digest(parsing: descriptor.digest)
                guard written.insert(blob).inserted else { continue }
                try emit(
                    blob.layoutPath,
                    SavedFile(size: descriptor.size) {
                        VerifyingSource(
                            DescriptorSource(owning: try store.openBlob(blob)), expected: blob,
                            size: descriptor.size)
                    })
            }
            if written.insert(digest).inserted { try emit(digest.layoutPath, SavedFile(bytes)) }
            var descriptor = ContentDescriptor(
                mediaType: MediaType.ociManifest, digest: "\(digest)", size: Int64(bytes.count),
                platform: Platform(
                    os: image.record.os, architecture: image.record.architecture,
                    variant: image.record.variant))
            if image.names.isEmpty {
                index.manifests.removeAll { $0.digest == descriptor.digest }
                index.manifests.append(descriptor)
            }
            for name in image.names {
                descriptor.annotations = [
                    ContentDescriptor.referenceName: name.canonical,
                    ContentDescriptor.containerdName: name.canonical,
                ]
                index.manifests.removeAll { LayoutProvider.referenceName($0) == name.canonical }
                index.manifests.append(descriptor)
            }
        }
        try emit("index.json", SavedFile(index.json.bytes()))
    }

    /// - Returns: whether something changed.
    private static func convert(_ manifest: inout ImageManifest, type: String) -> Bool {
        let ociTypes = [
            MediaType.dockerLayer: MediaType.ociLayer, MediaType.dockerLayerGzip: MediaType.ociLayerGzip,
            MediaType.dockerLayerZstd: MediaType.ociLayerZstd,
        ]
        guard
            type == MediaType.dockerManifest || manifest.config.mediaType == MediaType.dockerConfig
                || manifest.layers.contains(where: { ociTypes[$0.mediaType] != nil })
        else { return false }
        manifest.mediaType = MediaType.ociManifest
        manifest.config.mediaType = MediaType.ociConfig
        for position in manifest.layers.indices {
            if let converted = ociTypes[manifest.layers[position].mediaType] {
                manifest.layers[position].mediaType = converted
            }
        }
        return true
    }
}

extension Digest {
    fileprivate var layoutPath: String { "blobs/\(algorithm.rawValue)/\(hex)" }
}
