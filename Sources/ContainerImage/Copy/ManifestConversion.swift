internal import OCISpec

/// The manifest's family.
public enum ManifestFormat: String, Sendable, CaseIterable {
    case oci, v2s2
}

/// From OCI's manifests to Docker's schema 2 and back: only names change.
enum ManifestConversion {
    private static let types = [
        (oci: MediaType.ociLayer, docker: MediaType.dockerLayer),
        (oci: MediaType.ociLayerGzip, docker: MediaType.dockerLayerGzip),
        (oci: MediaType.ociLayerZstd, docker: MediaType.dockerLayerZstd),
        (oci: MediaType.ociConfig, docker: MediaType.dockerConfig),
    ]

    static let noZstd = ImageError(
        .configuration, "write the manifest",
        "Docker's schema 2 has no zstd layers: use --format oci, or gzip")

    static func convert(
        _ manifest: inout ImageManifest, from own: ManifestFormat, to format: ManifestFormat
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
        if own != format {
            manifest.mediaType = format == .oci ? MediaType.ociManifest : MediaType.dockerManifest
        }
        guard format == .v2s2 else { return }
        guard MediaType.isImageConfig(manifest.config.mediaType) else {
            throw ImageError(
                .configuration, "write the manifest",
                "Docker's schema 2 holds container images alone, and this is an artifact")
        }
        guard !manifest.layers.contains(where: { $0.mediaType == MediaType.dockerLayerZstd }) else {
            throw noZstd
        }
        manifest.annotations = [:]
        manifest.artifactType = nil
        manifest.subject = nil
        for position in manifest.layers.indices { manifest.layers[position].annotations = [:] }
        manifest.config.annotations = [:]
    }
}
