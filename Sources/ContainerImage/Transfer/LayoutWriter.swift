internal import JSONText
internal import LayerArchive
internal import OCISpec

/// Writes images as an OCI layout.
struct LayoutWriter {
    private let emit: (String, SavedFile) throws -> Void
    private var index: ImageIndex
    private var written: Set<Digest> = []

    /// - Parameters:
    ///   - existing: the index of a layout that is added to.
    ///   - emit: takes the files, `index.json` last.
    init(existing: ImageIndex?, emit: @escaping (String, SavedFile) throws -> Void) throws {
        self.emit = emit
        index = existing ?? ImageIndex(manifests: [])
        try emit("oci-layout", SavedFile(Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8)))
    }

    /// - Parameter names: what the image is called in the layout.
    mutating func add(_ image: OutgoingImage, names: [String]) throws {
        for blob in image.layers + [image.config] where written.insert(blob.digest).inserted {
            try emit(blob.digest.layoutPath, SavedFile(size: blob.size, source: blob.open))
        }
        if written.insert(image.digest).inserted {
            try emit(image.digest.layoutPath, SavedFile(image.manifestBytes))
        }
        var descriptor = ContentDescriptor(
            mediaType: MediaType.ociManifest, digest: "\(image.digest)",
            size: Int64(image.manifestBytes.count), platform: image.platform)
        if names.isEmpty {
            index.manifests.removeAll { $0.digest == descriptor.digest }
            index.manifests.append(descriptor)
        }
        for name in names {
            descriptor.annotations = [ContentDescriptor.referenceName: name]
            // containerd takes whole names alone.
            if (try? ImageName(parsing: name))?.domain != nil {
                descriptor.annotations[ContentDescriptor.containerdName] = name
            }
            index.manifests.removeAll { LayoutProvider.referenceName($0) == name }
            index.manifests.append(descriptor)
        }
    }

    func finish() throws { try emit("index.json", SavedFile(index.json.bytes())) }
}

extension Digest {
    fileprivate var layoutPath: String { "blobs/\(algorithm.rawValue)/\(hex)" }
}
