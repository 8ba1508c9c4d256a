internal import ImageTrust
internal import JSONText
internal import LayerArchive
internal import OCISpec

/// One image of a docker archive. Such an archive has no manifest: one is made
/// in which the layers are plain tars, which is what the archive holds.
final class DockerArchiveProvider: ImageProvider {
    let name: String
    let scope: PolicyScope?
    private let archive: DockerArchive
    private let manifest: [UInt8]
    private let config: (digest: Digest, bytes: [UInt8])
    private let paths: [Digest: String]
    /// Old programs wrote compressed layers, whose digests nobody knows.
    private let compressed: Set<Digest>

    init(
        _ archive: DockerArchive, _ entry: DockerArchive.Entry, name: String,
        scope: PolicyScope = PolicyScope(transport: "docker-archive")
    ) throws(ImageError) {
        self.archive = archive
        self.scope = scope
        self.name = name
        let contents = try archive.contents(of: entry, label: name)
        config = (contents.configDigest, contents.configBytes)
        var paths: [Digest: String] = [:]
        var compressed: Set<Digest> = []
        var layers: [ContentDescriptor] = []
        for (path, diffID) in zip(entry.layers, contents.diffIDs) {
            guard let file = try archive.files.open(path) else {
                throw ImageError(.malformed, "read \(name)", "the layer \(path) is missing")
            }
            var size = file.size
            do {
                let tar = DecompressingSource(file)
                if try tar.compression() != .none {
                    compressed.insert(diffID)
                    size = try tar.drain()
                }
            } catch {
                throw ImageError("read the layer \(path) of \(name)", any: error)
            }
            paths[diffID] = path
            layers.append(
                ContentDescriptor(mediaType: MediaType.dockerLayer, digest: "\(diffID)", size: size))
        }
        self.paths = paths
        self.compressed = compressed
        let document = ImageManifest(
            mediaType: MediaType.dockerManifest,
            config: ContentDescriptor(
                mediaType: MediaType.dockerConfig, digest: "\(config.digest)",
                size: Int64(config.bytes.count)),
            layers: layers)
        manifest = document.json.bytes()
    }

    func top() throws(ImageError) -> TopDocument {
        TopDocument(bytes: manifest, mediaType: MediaType.dockerManifest, digest: nil)
    }

    func document(_ descriptor: ContentDescriptor, _ digest: Digest) throws(ImageError) -> [UInt8] {
        throw ImageError(.notFound, "read \(name)", "the manifest \(digest) is missing")
    }

    func blob(_ descriptor: ContentDescriptor, _ digest: Digest) throws(ImageError) -> any ByteSource {
        if digest == config.digest { return BytesSource(config.bytes) }
        guard let path = paths[digest], let file = try archive.files.open(path) else {
            throw ImageError(.notFound, "read \(name)", "the blob \(digest) is missing")
        }
        return compressed.contains(digest) ? DecompressingSource(file) : file
    }
}
