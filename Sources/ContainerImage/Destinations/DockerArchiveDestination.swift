internal import JSONText
internal import LayerArchive
internal import LinuxSystem
internal import OCISpec

/// What `docker load` reads: `manifest.json` with configs and plain layer tars, and for programs
/// older than 2016 `repositories` with a directory for each layer, whose tar is a link.
final class DockerArchiveDestination: ImageDestination, @unchecked Sendable {  // isParallel is false
    let name: String
    let traits: DestinationTraits
    private let file: ReplacedFile?
    private let writer: TarWriter
    private var entries: [DockerArchive.Entry] = []
    private var repositories = JSONObject()
    private var written: Set<String> = []

    convenience init(path: String) throws {
        if let status = try? File.status(path), status.st_mode & S_IFMT == S_IFREG, status.st_size > 0 {
            throw ImageError(
                .configuration, "write docker-archive:\(path)",
                "\(path) is there already, and nothing can be added to a docker-archive")
        }
        let file = try ReplacedFile(path)
        self.init("docker-archive:\(path)", file, file.file.raw)
    }

    /// - Parameter descriptor: a file or a pipe, which stays open.
    convenience init(descriptor: Int32, name: String) { self.init(name, nil, descriptor) }

    private init(_ name: String, _ file: ReplacedFile?, _ descriptor: Int32) {
        self.name = name
        self.file = file
        var traits = DestinationTraits()
        traits.formats = [.v2s2]
        traits.layers = .plain
        traits.holdsIndexes = false
        traits.isParallel = false
        traits.leavesForeignLayers = false
        self.traits = traits
        writer = TarWriter(DescriptorSink(descriptor))
    }

    private func add(_ content: SavedFile, at path: String) throws -> Bool {
        guard written.insert(path).inserted else { return false }
        try writer.add(content, at: path)
        return true
    }

    func put(layer: OutgoingBlob) throws -> Bool {
        try add(SavedFile(size: layer.size, source: layer.open), at: "\(layer.digest.hex).tar")
    }

    func put(config: OutgoingBlob) throws {
        _ = try add(SavedFile(size: config.size, source: config.open), at: "\(config.digest.hex).json")
    }

    func put(instance: OutgoingManifest) throws {
        throw ImageError(.unsupported, "write \(name)", "a docker-archive holds no image lists")
    }

    func put(top: OutgoingManifest, names: [String]) throws {
        guard let image = top.image else {
            throw ImageError(.unsupported, "write \(name)", "a docker-archive holds container images alone")
        }
        var parent = ""
        for layer in image.layers {
            parent = try legacyLayer(layer.digest, parent: parent, created: image.config.created)
        }
        let tags = try names.map { try ImageReference(parsing: $0).tagged }.compactMap { name in
            name.tag.map { (ImageReference(domain: name.domain, path: name.path).familiar, $0) }
        }
        for (repository, tag) in tags where !parent.isEmpty {
            var known = repositories[repository]?.object ?? JSONObject()
            known[tag] = .string(parent)
            repositories[repository] = .object(known)
        }
        let tagged = tags.map { "\($0.0):\($0.1)" }
        let config = "\(image.configDigest.hex).json"
        if let position = entries.firstIndex(where: { $0.config == config }) {
            entries[position].repoTags += tagged.filter { !entries[position].repoTags.contains($0) }
        } else {
            entries.append(
                .init(config: config, repoTags: tagged, layers: image.layers.map { "\($0.digest.hex).tar" }))
        }
    }

    /// The layer in the form of image specification v1.0.
    /// - Returns: its name, which stands for all layers below it too.
    private func legacyLayer(_ digest: Digest, parent: String, created: String?) throws -> String {
        let id = Digest.sha256(of: Array("\(parent) \(digest)".utf8)).hex
        guard written.insert(id).inserted else { return id }
        var json: JSONObject = [
            "id": .string(id), "created": .string(created ?? "1970-01-01T00:00:00Z"), "os": "linux",
        ]
        if !parent.isEmpty { json["parent"] = .string(parent) }
        try writer.add(directory: "\(id)/")
        try writer.add(SavedFile(Array("1.0".utf8)), at: "\(id)/VERSION")
        try writer.add(SavedFile(JSON.object(json).bytes()), at: "\(id)/json")
        try writer.add(link: "\(id)/layer.tar", to: "../\(digest.hex).tar")
        return id
    }

    func commit() throws {
        try writer.add(SavedFile(JSON.object(repositories).bytes()), at: "repositories")
        try writer.add(SavedFile(entries.json.bytes()), at: "manifest.json")
        try writer.finish()
        try file?.publish()
    }
}
