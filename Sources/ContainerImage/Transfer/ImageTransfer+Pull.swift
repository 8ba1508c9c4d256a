public import ContainerStorage
internal import LayerArchive
internal import LinuxSystem
internal import OCISpec
internal import RegistryClient

extension ImageTransfer {
    /// Brings one image into the store.
    /// - Returns: the image as the store now has it.
    public func pull(_ source: ImageSource) throws(ImageError) -> ImageRecord {
        switch source {
        case .registry(let text):
            return try pull(named: try ImageName(parsing: text))
        case .store(_, let name):
            return try fetch(try opened(source), names: localNames(name.hasPrefix("sha256:") ? [] : [name]))
        case .daemon(let name):
            return try fetch(
                try opened(source), names: localNames(name.hasPrefix("sha256:") ? [] : [Self.hubName(name)]))
        case .layout(let path, let reference):
            let files = try DirectoryFiles(path)
            let descriptor = try LayoutProvider.choose(
                reference, in: LayoutProvider.index(files), name: "\(source)")
            // Without a reference a full name of its own will do; a mere tag says too little.
            let own = LayoutProvider.referenceName(descriptor).flatMap { try? ImageName(parsing: $0) }?.domain
            let name = reference ?? (own == nil ? nil : LayoutProvider.referenceName(descriptor))
            return try fetch(
                LayoutProvider(files, descriptor, asked: reference, name: "\(source)"),
                names: localNames([name].compactMap { $0 }))
        case .layoutArchive(let path, let reference):
            let files = try openArchive(path)
            let descriptor = try LayoutProvider.choose(
                reference, in: LayoutProvider.index(files), name: "\(source)")
            let name = reference ?? LayoutProvider.referenceName(descriptor)
            return try fetch(
                LayoutProvider(files, descriptor, asked: reference, name: "\(source)"),
                names: localNames([name].compactMap { $0 }))
        case .dockerArchive(let path, let reference):
            let archive = try DockerArchive(try openArchive(path))
            return try load(archive.choose(reference), of: archive).record
        case .directory(let path):
            return try fetch(try DirectoryProvider(path: path), names: [])
        }
    }

    private func opened(_ source: ImageSource) throws(ImageError) -> any ImageProvider {
        do {
            return try source.provider(options, progress: progress, stop: StopFlag())
        } catch {
            throw ImageError("pull \(source)", any: error)
        }
    }

    /// Docker's short names are Docker Hub's.
    private static func hubName(_ name: String) throws(ImageError) -> String {
        try ImageReference(parsing: name).tagged.canonical
    }

    private func pull(named name: ImageName) throws(ImageError) -> ImageRecord {
        let config = try RegistriesConfig.load(explicit: options.registriesConfig)
        let candidates = try config.candidates(for: name)
        var failures: [ImageError] = []
        for reference in candidates {
            progress.resolving(reference.canonical)
            do throws(ImageError) {
                let stop = StopFlag()
                let client = RegistryClient(try options.registryOptions(for: reference.domain, stop: stop))
                let provider = try RegistryProvider(
                    reference, config: config, client: client, progress: progress, verb: "pull")
                return try fetch(provider, names: [reference], stop: stop)
            } catch {
                // What is found and faulty is not looked for elsewhere.
                guard [.notFound, .unauthorized, .registry, .blocked].contains(error.code) else {
                    throw error
                }
                failures.append(error)
            }
        }
        if failures.count == 1 { throw failures[0] }
        throw ImageError(
            failures.allSatisfy { $0.code == .notFound } ? .notFound : failures[0].code,
            "pull \(name.path)",
            "none of its registries has it: " + failures.map(\.description).joined(separator: "; "))
    }

    /// Reads an image's documents, brings its layers, and records it.
    func fetch(
        _ provider: some ImageProvider, names: [ImageReference], stop: StopFlag = StopFlag()
    ) throws(ImageError) -> ImageRecord {
        let image = try ResolvedImage(
            provider, platform: (options.platform ?? .host).normalized,
            isPlatformGiven: options.platform != nil, trust: options.trust)
        let host = Platform.host
        if options.platform == nil, !image.config.architecture.isEmpty,
            host.distance(to: image.config.platform) == nil
        {
            progress.warning(
                "image platform (\(image.config.platform)) does not match this machine's (\(host.normalized))"
            )
        }
        let lease = try storing(provider.name) { () throws(StorageError) in try store.lease() }
        defer { lease.end() }
        try storing(provider.name) { () throws(StorageError) in
            try store.ingestBlob(
                digest: image.configDigest, size: Int64(image.configBytes.count),
                from: BytesSource(image.configBytes))
        }
        let pull = (provider as? any RangedProvider).map {
            DeltaPull($0, LocalFrames(store, repository: names.first?.repository), assuming: assumedRate)
        }
        let plans = image.layers.map { layer in
            LayerPlan(
                label: layer.digest, diffID: layer.diffID, blob: layer.digest, size: layer.descriptor.size,
                delta: pull?.layer(layer.descriptor, layer.digest),
                open: { try provider.blob(layer.descriptor, layer.digest) })
        }
        _ = try ingest(plans, name: provider.name, stop: stop)
        return try put(
            image.manifestBytes, mediaType: image.mediaType, digest: image.manifestDigest,
            topDigest: image.topDigest, names: names, of: provider.name)
    }

    func storing<Value>(_ name: String, _ body: () throws(StorageError) -> Value) throws(ImageError) -> Value
    {
        do throws(StorageError) { return try body() } catch { throw ImageError("pull \(name)", error) }
    }

    /// What images from places without registries are called: what has no
    /// domain is `localhost/`'s, as podman has it. A layout may call its images
    /// anything: what is no name is left out.
    func localNames(_ texts: [String]) -> [ImageReference] {
        var names: [ImageReference] = []
        for text in texts {
            do throws(ImageError) {
                let reference = try Self.localName(text)
                if !names.contains(reference) { names.append(reference) }
            } catch {
                progress.warning("\(error): the image comes without this name")
            }
        }
        return names
    }

    static func localName(_ text: String) throws(ImageError) -> ImageReference {
        let name = try ImageName(parsing: text)
        return name.qualified(by: name.domain ?? "localhost").tagged
    }
}
