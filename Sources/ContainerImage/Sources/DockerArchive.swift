internal import JSONText
internal import LayerArchive
internal import OCISpec

/// What `docker save` and `podman save` write: `manifest.json` names a config,
/// the layers' tars and the tags of each image (moby's image specification
/// v1.2, "Combined Image JSON + Filesystem Changeset Format").
struct DockerArchive: Sendable {
    struct Entry: JSONDocument {
        var config: String
        var repoTags: [String]
        var layers: [String]

        init(config: String, repoTags: [String], layers: [String]) {
            self.config = config
            self.repoTags = repoTags
            self.layers = layers
        }

        init(json: JSON) throws(JSONError) {
            var reader = try ObjectReader(json)
            config = try reader.required("Config")
            repoTags = try reader.optional("RepoTags") ?? []
            layers = try reader.optional("Layers") ?? []
        }

        var json: JSON {
            [
                "Config": .string(config), "RepoTags": repoTags.isEmpty ? .null : repoTags.json,
                "Layers": layers.json,
            ]
        }
    }

    let files: ArchiveFiles
    let entries: [Entry]
    private static let maximumImages = 4096

    init(_ files: ArchiveFiles) throws(ImageError) {
        self.files = files
        guard let bytes = try files.read("manifest.json", limit: DocumentLimit.manifest) else {
            throw ImageError(
                .malformed, "read \(files.name)", "it is no docker archive: it has no manifest.json")
        }
        do throws(JSONError) {
            entries = try [Entry](json: JSON(parsing: bytes))
        } catch {
            throw ImageError(.malformed, "read \(files.name)", "manifest.json: \(error)")
        }
        guard entries.count <= Self.maximumImages else {
            throw ImageError(.limit, "read \(files.name)", "it has \(entries.count) images")
        }
    }

    /// What an entry of `manifest.json` leads to, read and found in order.
    struct Contents {
        var configBytes: [UInt8]
        var configDigest: Digest
        var config: ImageConfig
        var diffIDs: [Digest]
    }

    func contents(of entry: Entry, label: String) throws(ImageError) -> Contents {
        let operation = "load \(label)"
        guard let bytes = try files.read(entry.config, limit: DocumentLimit.config) else {
            throw ImageError(.malformed, operation, "the config \(entry.config) is missing")
        }
        let digest = Digest.sha256(of: bytes)
        // The config's name is its digest, in the archives of all current programs.
        let hex =
            entry.config.split(separator: "/").last.map { $0.hasSuffix(".json") ? $0.dropLast(5) : $0 } ?? ""
        if let named = try? Digest(.sha256, hex: String(hex)), named != digest {
            throw ImageError(.corrupt, operation, "the config \(entry.config) has the digest \(digest)")
        }
        let config = try ResolvedImage.readConfig(bytes, name: label)
        guard config.rootfs.diffIDs.count == entry.layers.count else {
            throw ImageError(
                .malformed, operation,
                "manifest.json has \(entry.layers.count) layers and the config \(config.rootfs.diffIDs.count) diff_ids"
            )
        }
        guard entry.layers.count <= ResolvedImage.maximumLayers else {
            throw ImageError(
                .limit, operation,
                "it has \(entry.layers.count) layers; more than \(ResolvedImage.maximumLayers) are not accepted"
            )
        }
        var diffIDs: [Digest] = []
        for text in config.rootfs.diffIDs { diffIDs.append(try Digest(text: text, in: label)) }
        return Contents(configBytes: bytes, configDigest: digest, config: config, diffIDs: diffIDs)
    }

    /// The image that has a name; without one, the only image.
    func choose(_ reference: String?) throws(ImageError) -> Entry {
        let tags = entries.flatMap(\.repoTags)
        let listed =
            tags.isEmpty ? "its images have no names" : "it has \(tags.prefix(20).joined(separator: ", "))"
        guard let reference else {
            guard entries.count == 1 else {
                throw ImageError(
                    .notFound, "read \(files.name)",
                    entries.isEmpty
                        ? "the archive has no image"
                        : "the archive has \(entries.count) images, say which (\(listed))")
            }
            return entries[0]
        }
        // `@2` is the third image.
        if reference.hasPrefix("@"), let position = Int(reference.dropFirst()),
            entries.indices.contains(position)
        {
            return entries[position]
        }
        let wanted = try ImageReference(parsing: reference).tagged
        for entry in entries {
            for tag in entry.repoTags where (try? ImageReference(parsing: tag).tagged) == wanted {
                return entry
            }
        }
        throw ImageError(
            .notFound, "read \(files.name)", "the archive has no image \"\(reference)\"; \(listed)")
    }
}
