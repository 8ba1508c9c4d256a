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
