internal import ContainerStorage
public import LayerArchive
internal import LinuxSystem
internal import OCISpec
internal import RegistryClient

extension Artifacts {
    /// Copies an artifact to the registry that its name says.
    /// - Returns: the digest of its manifest there.
    @discardableResult
    public func push(_ text: String, signing: ImageSigning = ImageSigning()) throws(ImageError) -> Digest {
        do {
            let lease = try store.lease()
            let source = ArtifactProvider(store, try record(text), lease)
            var form = PushForm()
            form.signing = signing
            let transfer = ImageTransfer(store: store, options: options, progress: progress)
            return try transfer.carry(source, to: .registry(source.name), names: [], form: form).digest
        } catch {
            throw ImageError("push \(text)", any: error)
        }
    }

    /// Brings an artifact from a registry; one of this name that is here goes.
    /// - Returns: the digest of its manifest.
    @discardableResult
    public func pull(_ text: String) throws(ImageError) -> Digest {
        let reference = try Self.reference(text)
        let name = reference.canonical
        do {
            let stop = StopFlag()
            progress.resolving(name)
            let provider = try RegistryProvider(
                reference, config: RegistriesConfig.load(explicit: options.registriesConfig),
                client: RegistryClient(options.registryOptions(for: reference.domain, stop: stop)),
                progress: progress, verb: "pull")
            progress.note("Getting image source signatures")
            let top = try SourceDocument(topOf: provider)
            let document = try SourceDocument(
                choosing: options.platform ?? .host, below: top, of: provider)
            guard case .manifest(let manifest, let type) = document.content else { preconditionFailure() }
            try options.trust.admit(document, of: provider)
            let lease = try store.lease()
            defer { lease.end() }
            try fetch([manifest.config] + manifest.layers, from: provider, stop)
            progress.note("Writing manifest to image destination")
            return try store.putArtifact(
                manifest: document.bytes, mediaType: type, name: name, replacing: .anything
            ).digest
        } catch {
            throw ImageError("pull \(name)", any: error)
        }
    }

    /// Brings blobs, several at once. The caller holds a lease.
    private func fetch(
        _ descriptors: [ContentDescriptor], from provider: RegistryProvider, _ stop: StopFlag
    ) throws {
        var wanted: [Digest: ContentDescriptor] = [:]
        for descriptor in descriptors {
            let digest = try Digest(descriptor, in: provider.name)
            guard wanted[digest] == nil else { continue }
            wanted[digest] = descriptor
            progress.layer(digest, .waiting(size: descriptor.size))
        }
        // The largest first: one that came last would have a thread to itself.
        let order = wanted.sorted { ($0.value.size, $1.key) > ($1.value.size, $0.key) }
        do {
            try Threads.parallel(limit: max(1, options.threads), order, stop: stop) { digest, descriptor in
                do {
                    let size = descriptor.size
                    let isNew = try store.fetchBlob(
                        digest: digest, size: size,
                        from: ProgressSource(
                            provider.blob(descriptor, digest), digest, size, progress, stop))
                    progress.layer(digest, isNew ? .done : .reused)
                } catch {
                    progress.layer(digest, .failed)
                    throw error
                }
            }
        } catch {
            let cause = (error as? StorageError)?.cause as? RegistryError
            if cause?.isTransient != true {
                // There is something wrong with the artifact: its other files are of no use either.
                for digest in wanted.keys { try? store.discardPartial(digest) }
            }
            throw error
        }
    }
}
