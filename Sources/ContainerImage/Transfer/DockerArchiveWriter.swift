internal import ContainerStorage
internal import JSONText
internal import LayerArchive
internal import OCISpec

/// Writes what `docker load` reads: `manifest.json` with configs and plain
/// layer tars, and for programs older than 2016 `repositories` with a
/// directory for each layer, whose tar is a link.
final class DockerArchiveWriter {
    private let store: Store
    private let writer: TarWriter
    private var written: Set<String> = []

    init(_ store: Store, _ writer: TarWriter) {
        self.store = store
        self.writer = writer
    }

    func write(_ images: [SavedImage]) throws {
        var entries: [DockerArchive.Entry] = []
        var repositories = JSONObject()
        for image in images {
            let manifest = try store.manifest(of: image.record)
            let configBytes = try store.readBlob(image.record.id)
            var layers: [String] = []
            var parent = ""
            for (descriptor, diffID) in zip(manifest.layers, image.record.diffIDs) {
                let blob = try Digest(parsing: descriptor.digest)
                let path = "\(diffID.hex).tar"
                if written.insert(path).inserted { try writer.add(try layer(blob, diffID), at: path) }
                layers.append(path)
                parent = try legacyLayer(path, diffID, parent: parent, created: image.record.created)
            }
            let configPath = "\(image.record.id.hex).json"
            if written.insert(configPath).inserted { try writer.add(SavedFile(configBytes), at: configPath) }
            let tags = image.names.compactMap { name in name.tag.map { (name, $0) } }
            for (name, tag) in tags where !parent.isEmpty {
                var known = repositories[name.familiarRepository]?.object ?? JSONObject()
                known[tag] = .string(parent)
                repositories[name.familiarRepository] = .object(known)
            }
            let tagged = tags.map { "\($0.0.familiarRepository):\($0.1)" }
            if let position = entries.firstIndex(where: { $0.config == configPath }) {
                entries[position].repoTags += tagged.filter { !entries[position].repoTags.contains($0) }
            } else {
                entries.append(.init(config: configPath, repoTags: tagged, layers: layers))
            }
        }
        try writer.add(SavedFile(JSON.object(repositories).bytes()), at: "repositories")
        try writer.add(SavedFile(entries.json.bytes()), at: "manifest.json")
    }

    /// A layer as a plain tar. A tar's header comes before the contents and
    /// says how long they are, so a compressed layer is inflated twice.
    private func layer(_ blob: Digest, _ diffID: Digest) throws -> SavedFile {
        let store = store
        func plain() throws -> any ByteSource {
            DecompressingSource(DescriptorSource(owning: try store.openBlob(blob)))
        }
        let size = try blob == diffID ? store.blobSize(blob) ?? 0 : plain().drain()
        return SavedFile(size: size) { VerifyingSource(try plain(), expected: diffID, size: size) }
    }

    /// The layer in the form of image specification v1.0.
    /// - Returns: its name, which stands for all layers below it too.
    private func legacyLayer(
        _ path: String, _ diffID: Digest, parent: String, created: String?
    ) throws -> String {
        let id = Digest.sha256(of: Array("\(parent) \(diffID)".utf8)).hex
        guard written.insert(id).inserted else { return id }
        var json: JSONObject = [
            "id": .string(id), "created": .string(created ?? "1970-01-01T00:00:00Z"), "os": "linux",
        ]
        if !parent.isEmpty { json["parent"] = .string(parent) }
        try writer.add(directory: "\(id)/")
        try writer.add(SavedFile(Array("1.0".utf8)), at: "\(id)/VERSION")
        try writer.add(SavedFile(JSON.object(json).bytes()), at: "\(id)/json")
        try writer.add(link: "\(id)/layer.tar", to: "../\(path)")
        return id
    }
}

extension ImageReference {
    /// The repository as docker shows it.
    fileprivate var familiarRepository: String {
        ImageReference(domain: domain, path: path).familiar
    }
}
