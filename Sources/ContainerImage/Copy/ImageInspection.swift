public import JSONText
internal import LayerArchive
internal import LinuxSystem
internal import OCISpec

/// An image looked at where it is: its documents, and nothing of its layers.
public struct ImageInspection: Sendable {
    private let source: ImageSource
    private let options: TransferOptions
    private let provider: any ImageProvider
    private let top: SourceDocument

    public init(
        _ source: ImageSource, options: TransferOptions, progress: any TransferProgress = SilentProgress()
    ) throws(ImageError) {
        self.source = source
        self.options = options
        do {
            provider = try source.provider(options, progress: progress, stop: StopFlag())
        } catch {
            throw ImageError("inspect \(source)", any: error)
        }
        top = try SourceDocument(topOf: provider)
    }

    /// What the name leads to, to the byte: a manifest or an index.
    public var rawManifest: [UInt8] { top.bytes }

    private func image() throws(ImageError) -> (manifest: ImageManifest, config: SourceConfig) {
        let chosen = try SourceDocument(choosing: options.platform ?? .host, below: top, of: provider)
        guard case .manifest(let manifest, _) = chosen.content else { preconditionFailure() }
        do {
            return (manifest, try SourceConfig(manifest, of: provider))
        } catch {
            throw ImageError("inspect \(source)", any: error)
        }
    }

    /// The config of the platform's image, to the byte.
    public func rawConfig() throws(ImageError) -> [UInt8] {
        let image = try image()
        if let bytes = image.config.bytes { return bytes }
        do {
            return try image.config.blob.open().readAll(limit: DocumentLimit.config)
        } catch {
            throw ImageError("inspect \(source)", any: error)
        }
    }

    /// The config in OCI's form.
    public func config() throws(ImageError) -> JSON {
        guard var config = try image().config.image else {
            throw ImageError(.unsupported, "inspect \(source)", "it is no container image: see it with --raw")
        }
        config.unknown = [:]
        return config.json
    }

    /// As `skopeo inspect` shows it.
    /// - Parameter listsTags: the registry is asked for all tags of the repository too.
    public func summary(listsTags: Bool) throws(ImageError) -> JSON {
        let (manifest, config) = try image()
        var json = JSONObject()
        var tags: [String] = []
        if case .registry(let text) = source {
            let place = try RegistryPlace(text, options: options)
            json["Name"] = .string(place.reference.repository)
            if listsTags { tags = try place.tags() }
        }
        json["Digest"] = .string("\(top.digest)")
        json["RepoTags"] = tags.json
        let image = config.image
        json["Created"] = image?.created.map { .string($0) } ?? .null
        json["DockerVersion"] = .string(image?.unknown["docker_version"]?.string ?? "")
        let labels = image?.config.labels ?? [:]
        json["Labels"] = labels.isEmpty ? .null : labels.json
        json["Architecture"] = .string(image?.architecture ?? "")
        json["Os"] = .string(image?.os ?? "")
        json["Layers"] = .array(manifest.layers.map { .string($0.digest) })
        json["LayersData"] = .array(
            manifest.layers.map { layer in
                [
                    "MIMEType": .string(layer.mediaType), "Digest": .string(layer.digest),
                    "Size": .integer(layer.size),
                    "Annotations": layer.annotations.isEmpty ? .null : layer.annotations.json,
                ]
            })
        let environment = image?.config.env ?? []
        json["Env"] = environment.isEmpty ? .null : environment.json
        return .object(json)
    }
}

extension ImageSource {
    /// Whether a text names a place, and not only an image.
    public static func namesTransport(_ text: String) -> Bool {
        guard let source = try? ImageSource(parsing: text) else { return false }
        if case .registry = source { return text.hasPrefix("docker://") }
        return true
    }

    /// The names of all images in a docker archive; `@2` for one without a name.
    public func archiveTags() throws(ImageError) -> [String] {
        guard case .dockerArchive(let path, _) = self else {
            throw ImageError(
                .unsupported, "list the tags of \(self)",
                "only docker:// and docker-archive: have tags to list")
        }
        let archive = try DockerArchive(ArchiveFiles(opening: path, scratch: ScratchFile.directory))
        return archive.entries.enumerated().flatMap { position, entry in
            entry.repoTags.isEmpty ? ["@\(position)"] : entry.repoTags
        }
    }
}
