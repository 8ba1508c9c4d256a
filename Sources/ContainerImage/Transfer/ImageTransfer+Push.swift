public import ContainerStorage
public import LayerArchive
internal import LinuxSystem
internal import OCISpec
internal import RegistryClient

/// In which form an image is pushed.
public struct PushForm: Sendable {
    /// nil for the manifest's own.
    public var format: ManifestFormat?
    /// nil for the layers' own; what was never compressed is, by gzip.
    public var compression: Compression?
    /// 1 to 9 for gzip, 1 to 20 for zstd; nil for the usual one.
    public var level: Int?
    /// Compress also what is compressed as it should be.
    public var again: Bool
    /// Plain layers do not stay plain in a `dir:` either.
    public var compressesDirectory = false

    public init(
        format: ManifestFormat? = nil, compression: Compression? = nil, level: Int? = nil,
        again: Bool = false
    ) {
        self.format = format
        self.compression = compression
        self.level = level
        self.again = again
    }

    fileprivate var layers: OutgoingLayers {
        if compression == nil, !again { return .compressed(level: level) }
        return .all(compression ?? .gzip, level: level, again: again)
    }
}

extension ImageTransfer {
    /// Copies an image of the store to another place.
    /// - Returns: the digest of the manifest as it is there.
    public func push(
        _ record: ImageRecord, to destination: ImageSource, form: PushForm = PushForm()
    ) throws(ImageError) -> Digest {
        let operation = "push to \(destination)"
        func refuse(_ why: String) -> ImageError { ImageError(.configuration, operation, why) }
        do {
            let lease = try store.lease()
            defer { lease.end() }
            switch destination {
            case .registry(let text):
                let name = try ImageName(parsing: text)
                // As docker has it: what names no registry is Docker Hub's.
                let reference = name.qualified(by: name.domain ?? "docker.io").tagged
                return try push(try outgoing(record, form), to: reference)
            case .layout(let path, let tag):
                guard form.format != .v2s2 else { throw refuse("an OCI layout holds no v2s2 manifest") }
                let image = try outgoing(record, form, format: .oci)
                report(image)
                try saveLayout(at: path) { try $0.add(image, names: [tag].compactMap { $0 }) }
                return image.digest
            case .layoutArchive(let path, let tag):
                guard form.format != .v2s2 else { throw refuse("an OCI archive holds no v2s2 manifest") }
                let image = try outgoing(record, form, format: .oci)
                report(image)
                try saveFile(path) { descriptor throws(ImageError) in
                    do {
                        let writer = TarWriter(DescriptorSink(descriptor))
                        var layout = try LayoutWriter(existing: nil) { try writer.add($1, at: $0) }
                        try layout.add(image, names: [tag].compactMap { $0 })
                        try layout.finish()
                        try writer.finish()
                    } catch {
                        throw ImageError(operation, any: error)
                    }
                }
                return image.digest
            case .dockerArchive(let path, let name):
                guard form.format != .oci, form.compression == nil, !form.again else {
                    throw refuse(
                        "a docker-archive holds plain layers and no OCI manifest: "
                            + "leave --format and compression out")
                }
                if let status = try? File.status(path), status.st_mode & S_IFMT == S_IFREG, status.st_size > 0
                {
                    throw refuse("\(path) is there already, and nothing can be added to a docker-archive")
                }
                let names = try [name].compactMap { $0 }.map { try ImageReference(parsing: $0).tagged }
                try save([SavedImage(record, names: names)], as: .dockerArchive, to: path)
                return record.manifestDigest
            case .directory(let path):
                let asStored = form.compression == nil && !form.again && !form.compressesDirectory
                let image = try OutgoingImage(
                    store, record, format: form.format, layers: asStored ? .asStored : form.layers,
                    threads: options.threads)
                report(image)
                try DirectoryWriter(path).write(image)
                return image.digest
            }
        } catch {
            throw ImageError(operation, any: error)
        }
    }

    private func outgoing(
        _ record: ImageRecord, _ form: PushForm, format: ManifestFormat? = nil
    ) throws -> OutgoingImage {
        try OutgoingImage(
            store, record, format: format ?? form.format,
            layers: form.layers, threads: options.threads)
    }

    /// Files are written one after another: there is little to tell.
    private func report(_ image: OutgoingImage) {
        for layer in image.layers { progress.layer(layer.digest, .done) }
    }

    private func push(_ image: OutgoingImage, to reference: ImageReference) throws -> Digest {
        if let digest = reference.digest, digest != image.digest {
            throw ImageError(
                .configuration, "push to \(reference)",
                "the image has the digest \(image.digest): push it to a tag")
        }
        let stop = StopFlag()
        var registryOptions = try options.registryOptions(stop: stop)
        registryOptions.pushes = true
        let endpoints = try RegistriesConfig.load(explicit: options.registriesConfig).endpoints(
            for: reference)
        let target = PushTarget(
            // Mirrors are for reading.
            repository: endpoints[endpoints.count - 1].repository, client: RegistryClient(registryOptions),
            origins: BlobOrigins(store, image.record, reference), progress: progress, stop: stop)
        for layer in image.layers { progress.layer(layer.digest, .waiting(size: layer.size)) }
        // Two layers may be the same blob. The largest first, as in a pull.
        var seen: Set<Digest> = []
        let order = image.layers.indices.filter { seen.insert(image.layers[$0].digest).inserted }
            .sorted { image.layers[$0].size > image.layers[$1].size }
        try Threads.parallel(limit: max(1, options.threads), order, stop: stop) {
            try target.push(image.layers[$0], diffID: image.record.diffIDs[$0])
        }
        progress.note("Copying config \(image.config.digest.short) done")
        try target.push(config: image.config)
        progress.note("Writing manifest to image destination")
        try target.client.putManifest(
            target.repository, reference: reference.digest.map(\.description) ?? reference.tag ?? "latest",
            image.manifestBytes, mediaType: image.mediaType)
        if image.digest == image.record.manifestDigest {
            // Known there from now on: another repository can take its blobs over.
            try store.putImage(
                manifest: image.manifestBytes, mediaType: image.mediaType,
                repoDigests: ["\(reference.repository)@\(image.digest)"])
        }
        return image.digest
    }
}
