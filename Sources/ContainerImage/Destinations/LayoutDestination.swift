internal import JSONText
internal import LayerArchive
internal import LinuxSystem
internal import OCISpec
internal import Synchronization

/// An OCI layout in a directory, which is made or added to. Any number of programs may add to one.
final class LayoutDestination: ImageDestination {
    let name: String
    let traits: DestinationTraits
    private let staging: StagingDirectory
    /// Where the blobs are, when they are not in the layout.
    private let shared: StagingDirectory?
    private let added = Mutex<[LayoutIndexEntry]>([])

    init(path: String, options: TransferOptions, keepsPlainLayers: Bool) throws {
        name = "oci:\(path)"
        var traits = DestinationTraits()
        traits.formats = [.oci]
        traits.layers = keepsPlainLayers ? .any : .compressed
        self.traits = traits
        staging = try StagingDirectory(in: path)
        shared = try options.sharedBlobs.map { directory in try StagingDirectory(in: directory) }
        _ = try Self.index(in: path)
    }

    /// nil for a directory that is to become a layout.
    private static func index(in path: String) throws -> ImageIndex? {
        let files = try DirectoryFiles(path)
        guard try files.open("oci-layout") == nil, try files.open("index.json") == nil else {
            return try LayoutProvider.index(files)
        }
        return nil
    }

    private func add(_ digest: Digest, size: Int64, _ open: () throws -> any ByteSource) throws -> Bool {
        if let shared { return try shared.add(digest.blobName, size: size, open) }
        return try staging.add("blobs/\(digest.blobName)", size: size, open)
    }

    func put(layer: OutgoingBlob) throws -> Bool { try add(layer.digest, size: layer.size, layer.open) }

    func put(config: OutgoingBlob) throws { _ = try put(layer: config) }

    func put(instance: OutgoingManifest) throws {
        _ = try add(instance.digest, size: Int64(instance.bytes.count)) { BytesSource(instance.bytes) }
    }

    func put(top: OutgoingManifest, names: [String]) throws {
        try put(instance: top)
        added.withLock { $0.append(LayoutIndexEntry(descriptor: top.descriptor, names: names)) }
    }

    func commit() throws {
        try shared?.publish {}
        let path = staging.target
        try staging.publish {
            // Read under the lock, so that nobody's entry is lost.
            var index = try Self.index(in: path) ?? ImageIndex(manifests: [])
            for entry in added.withLock({ $0 }) { entry.add(to: &index) }
            try File.makeDirectories("\(path)/blobs")
            if !File.exists("\(path)/oci-layout") { try staging.replace("oci-layout", with: Self.version) }
            try staging.replace("index.json", with: index.json.bytes())
        }
    }

    static let version = Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8)
}

/// An image in a layout's index.
struct LayoutIndexEntry: Sendable {
    var descriptor: ContentDescriptor
    var names: [String]

    func add(to index: inout ImageIndex) {
        if names.isEmpty {
            index.manifests.removeAll { $0.digest == descriptor.digest }
            index.manifests.append(descriptor)
        }
        for name in names {
            var descriptor = descriptor
            descriptor.annotations = [ContentDescriptor.referenceName: name]
            // containerd takes whole names alone.
            if (try? ImageName(parsing: name))?.domain != nil {
                descriptor.annotations[ContentDescriptor.containerdName] = name
            }
            index.manifests.removeAll { LayoutProvider.referenceName($0) == name }
            index.manifests.append(descriptor)
        }
    }
}
