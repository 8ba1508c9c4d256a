public import ContainerStorage
internal import ImageTrust
internal import JSONText
internal import LayerArchive
public import LinuxSystem
internal import OCISpec

/// An image that came from an archive.
public struct LoadedImage: Sendable {
    /// As the store has it: it may have had names before.
    public var record: ImageRecord
    /// Those that the archive gave it.
    public var names: [String]

    init(_ record: ImageRecord, _ names: [ImageReference]) {
        self.record = record
        self.names = names.filter { $0.digest == nil }.map(\.canonical)
    }

    /// One that came by its transport.
    public init(pulled record: ImageRecord) {
        self.record = record
        names = record.names
    }
}

extension ImageTransfer {
    /// Brings all images of an archive into the store: a docker archive or an
    /// OCI one, plain or compressed, from a file or a stream.
    /// - Parameters:
    ///   - descriptor: open for reading.
    ///   - name: as messages name the archive.
    /// - Returns: the images, in the archive's order.
    public func load(_ descriptor: consuming Descriptor, name: String) throws(ImageError) -> [LoadedImage] {
        let files = try ArchiveFiles(SharedFile(descriptor, path: name), scratch: scratch)
        if try files.open("manifest.json") != nil {
            let archive = try DockerArchive(files)
            guard !archive.entries.isEmpty else {
                throw ImageError(.malformed, "load \(name)", "the archive has no image")
            }
            var images: [LoadedImage] = []
            for entry in archive.entries { images.append(try load(entry, of: archive)) }
            return images
        }
        if try files.open("index.json") != nil { return try loadLayout(files) }
        throw ImageError(
            .malformed, "load \(name)",
            "it is no image archive: it has neither a manifest.json nor an index.json (a root file system's tar "
                + "is for import)")
    }

    /// Brings what is in a directory into the store: an OCI layout's images or that of a `dir:`.
    public func load(directory: String) throws(ImageError) -> [LoadedImage] {
        let files = try DirectoryFiles(directory)
        guard try files.open("oci-layout") == nil, try files.open("manifest.json") != nil else {
            return try loadLayout(files)
        }
        return [LoadedImage(try pull(.directory(path: directory)), [])]
    }

    /// Brings all images of an OCI layout in a directory into the store.
    public func loadLayout(directory: String) throws(ImageError) -> [LoadedImage] {
        try loadLayout(try DirectoryFiles(directory))
    }

    private func loadLayout(_ files: some FileSet) throws(ImageError) -> [LoadedImage] {
        let index = try LayoutProvider.index(files)
        guard !index.manifests.isEmpty else {
            throw ImageError(.malformed, "load \(files.name)", "the layout has no image")
        }
        // One image under several names is one image.
        var order: [String] = []
        var names: [String: [String]] = [:]
        var first: [String: ContentDescriptor] = [:]
        for descriptor in index.manifests {
            if first[descriptor.digest] == nil {
                first[descriptor.digest] = descriptor
                order.append(descriptor.digest)
            }
            if let name = LayoutProvider.referenceName(descriptor) {
                names[descriptor.digest, default: []].append(name)
            }
        }
        var images: [LoadedImage] = []
        for digest in order {
            let label = names[digest]?.first ?? String(digest.prefix(19))
            let names = localNames(names[digest] ?? [])
            let record = try fetch(
                LayoutProvider(files, first[digest]!, name: "\(files.name):\(label)"), names: names)
            images.append(LoadedImage(record, names))
        }
        return images
    }

    /// Brings one image of a docker archive into the store. Such an archive
    /// has no manifest: one is made for what is then in the store.
    func load(_ entry: DockerArchive.Entry, of archive: DockerArchive) throws(ImageError) -> LoadedImage {
        let files = archive.files
        let label = "\(files.name):\(entry.repoTags.first ?? String(entry.config.prefix(40)))"
        let contents = try archive.contents(of: entry, label: label)
        // It has no manifest that could be signed, and no signatures.
        let image = PolicyImage(
            scope: PolicyScope(transport: "docker-archive"), reference: nil, manifest: contents.configBytes)
        try options.trust.admit(image, name: label) { () throws(ImageError) in [] }
        try ResolvedImage.check(
            contents.config.platform, against: (options.platform ?? .host).normalized,
            isGiven: options.platform != nil,
            name: label)
        var plans: [LayerPlan] = []
        for (path, diffID) in zip(entry.layers, contents.diffIDs) {
            let open = { @Sendable () throws(ImageError) in
                guard let file = try files.open(path) else {
                    throw ImageError(.malformed, "load \(label)", "the layer \(path) is missing")
                }
                return file
            }
            let file = try? open()
            var plan = LayerPlan(label: diffID, diffID: diffID, blob: nil, size: file?.size, open: open)
            if let file, (try? DecompressingSource(file).compression()) == .bzip2 {
                // No manifest has a type for it: what is kept is plain.
                plan.size = nil
                plan.open = { DecompressingSource(try open()) }
            }
            plans.append(plan)
        }
        // Docker writes its short names; they were Docker Hub's.
        let names = localNames(
            entry.repoTags.map { (try? ImageReference(parsing: $0).tagged.canonical) ?? $0 })
        let lease = try storing(label) { () throws(StorageError) in try store.lease() }
        defer { lease.end() }
        let layers = try ingest(plans, name: label, stop: StopFlag())
        return LoadedImage(try record(contents.configBytes, layers: layers, names: names, of: label), names)
    }

    /// Records an image that has a config and layers in the store, and no
    /// manifest yet. The caller holds a lease.
    func record(
        _ configBytes: [UInt8], layers: [LayerInfo], names: [ImageReference], of name: String
    ) throws(ImageError) -> ImageRecord {
        let config = try storing(name) { () throws(StorageError) in try store.writeBlob(configBytes) }
        var descriptors: [ContentDescriptor] = []
        for layer in layers { descriptors.append(try ContentDescriptor(layer, of: name)) }
        let manifest = ImageManifest(
            config: ContentDescriptor(
                mediaType: MediaType.ociConfig, digest: "\(config)", size: Int64(configBytes.count)),
            layers: descriptors)
        let bytes = manifest.json.bytes()
        let digest = Digest.sha256(of: bytes)
        return try put(
            bytes, mediaType: MediaType.ociManifest, digest: digest, topDigest: digest, names: names, of: name
        )
    }

    /// Records an image all of whose parts are in the store.
    func put(
        _ manifest: [UInt8], mediaType: String, digest: Digest, topDigest: Digest, names: [ImageReference],
        of name: String
    ) throws(ImageError) -> ImageRecord {
        var tags: [String] = []
        var repoDigests: Set<String> = []
        for reference in names {
            for digest in [digest, topDigest] { repoDigests.insert("\(reference.repository)@\(digest)") }
            // A name with a digest names just that content; a tag beside it says nothing.
            guard reference.digest == nil, let tag = reference.tag else { continue }
            tags.append("\(reference.repository):\(tag)")
        }
        return try storing(name) { [tags, repoDigests] () throws(StorageError) in
            try store.putImage(
                manifest: manifest, mediaType: mediaType, names: tags, repoDigests: repoDigests.sorted())
        }
    }

    /// Where copies of streams go: the store's own file system has, or lacks,
    /// the room for the image anyway.
    var scratch: String { "\(store.root)/ingest" }

    func openArchive(_ path: String) throws(ImageError) -> ArchiveFiles {
        try ArchiveFiles(opening: path, scratch: scratch)
    }
}

extension ContentDescriptor {
    /// A layer of the store, by its type in OCI's manifests.
    init(_ layer: LayerInfo, of name: String) throws(ImageError) {
        guard let type = layer.compression.layerType else {
            throw ImageError(
                .unsupported, "add \(name)",
                "its layer \(layer.diffID) is here from another image, compressed by "
                    + "\(layer.compression.rawValue), for which manifests have no type: remove that image first"
            )
        }
        self.init(mediaType: type, digest: "\(layer.blob)", size: layer.blobSize)
    }
}

extension Compression {
    /// The media type of a layer that is compressed so; nil where there is none.
    var layerType: String? {
        switch self {
        case .none: MediaType.ociLayer
        case .gzip: MediaType.ociLayerGzip
        case .zstd: MediaType.ociLayerZstd
        case .bzip2: nil
        }
    }
}
