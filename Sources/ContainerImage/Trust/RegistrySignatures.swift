internal import ImageTrust
internal import JSONText
internal import LayerArchive
internal import OCISpec
internal import RegistryClient

/// The signatures of a repository's images: in its lookaside, and beside the images as cosign has them.
struct RegistrySignatures {
    let client: RegistryClient
    let repository: Repository
    let places: SignaturePlaces

    /// Where it really is: a mirror has signatures of its own.
    private var place: DockerReference {
        DockerReference(domain: repository.registry.host, path: repository.name, tag: nil, digest: nil)
    }

    var usesAttachments: Bool { places.usesAttachments(for: place) }

    /// The tag of an image's signatures (cosign, SIGNATURE_SPEC.md, "Tag-based Discovery").
    static func tag(_ manifest: Digest) -> String { "\(manifest.algorithm.rawValue)-\(manifest.hex).sig" }

    // MARK: Reading

    func read(_ manifest: Digest) throws(ImageError) -> [ImageSignature] {
        let operation = "read the signatures of \(repository)@\(manifest.short)"
        do {
            var signatures: [ImageSignature]
            switch try places.lookaside(for: place, writing: false) {
            case .directory(let path, let name):
                signatures = try SignatureDirectory(path, repository: name, manifest: manifest).read()
            case .web(let url, let name): signatures = try download(url, name, manifest)
            }
            if usesAttachments {
                guard let attached = try attachments(manifest) else { return signatures }
                for layer in attached.layers {
                    let digest = try Digest(layer, in: "\(repository):\(Self.tag(manifest))")
                    let payload = try VerifyingSource(
                        client.blob(repository, digest: digest, size: layer.size), expected: digest,
                        size: layer.size
                    ).readAll(limit: ImageSignature.limit)
                    signatures.append(
                        .sigstore(
                            SigstoreSignature(
                                mediaType: layer.mediaType, payload: payload, annotations: layer.annotations))
                    )
                }
            }
            return signatures
        } catch {
            throw ImageError(operation, any: error)
        }
    }

    private func download(_ url: String, _ name: String, _ manifest: Digest) throws -> [ImageSignature] {
        var signatures: [ImageSignature] = []
        var allowance = SignatureAllowance(url)
        while true {
            let address = url + "/" + Lookaside.path(name, manifest, signatures.count + 1)
            guard let bytes = try client.file(at: address, limit: ImageSignature.limit) else {
                return signatures
            }
            try allowance.take(bytes.count)
            signatures.append(try ImageSignature(fileContents: bytes))
        }
    }

    /// The manifest whose layers are an image's signatures; nil where there is none.
    private func attachments(_ manifest: Digest) throws -> ImageManifest? {
        guard let found = try attached(Self.tag(manifest)) else { return nil }
        let name = "\(repository):\(Self.tag(manifest))"
        guard
            case .manifest(let document, let type) = try ImageDocument(
                found.bytes, mediaType: found.mediaType, name: name), type == MediaType.ociManifest
        else { throw TrustError(.signature, "read \(name)", "it is no OCI manifest") }
        // Before any of them is asked for.
        var allowance = SignatureAllowance(name)
        for layer in document.layers { try allowance.take(Int(layer.size)) }
        return document
    }

    private func attached(_ tag: String) throws(RegistryError) -> RegistryClient.Manifest? {
        do throws(RegistryError) {
            return try client.manifest(repository, reference: tag)
        } catch {
            guard error.code == .notFound else { throw error }
            return nil
        }
    }

    // MARK: Writing

    /// - Throws: `configuration` when there is no place for signatures of such kinds.
    func requireRoom(simple: Bool, sigstore: Bool) throws(ImageError) {
        if sigstore, !usesAttachments {
            throw ImageError(
                .configuration, "store sigstore signatures of \(repository)",
                "registries.d does not say use-sigstore-attachments: true of it")
        }
        guard simple else { return }
        do throws(TrustError) {
            if case .web(let url, _) = try places.lookaside(for: place, writing: true) {
                throw TrustError(
                    .configuration, "store signatures at \(url)",
                    "it is for reading: registries.d needs a lookaside-staging of file:///")
            }
        } catch {
            throw ImageError("", error)
        }
    }

    /// Puts GPG signatures in place of those that are there; sigstore ones come to those that are there.
    func write(_ signatures: [ImageSignature], _ manifest: Digest) throws(ImageError) {
        do {
            var simple: [ImageSignature] = []
            var sigstore: [SigstoreSignature] = []
            for signature in signatures {
                switch signature {
                case .simple: simple.append(signature)
                case .sigstore(let signature): sigstore.append(signature)
                }
            }
            try requireRoom(simple: !simple.isEmpty, sigstore: !sigstore.isEmpty)
            if !simple.isEmpty,
                case .directory(let path, let name) = try places.lookaside(for: place, writing: true)
            {
                try SignatureDirectory(path, repository: name, manifest: manifest).replace(with: simple)
            }
            if !sigstore.isEmpty { try attach(sigstore, manifest) }
        } catch {
            throw ImageError("store the signatures of \(repository)@\(manifest.short)", any: error)
        }
    }

    private func attach(_ signatures: [SigstoreSignature], _ manifest: Digest) throws {
        let known = try attachments(manifest)
        var document =
            known
            ?? ImageManifest(
                config: ContentDescriptor(mediaType: MediaType.ociConfig, digest: "", size: 0), layers: [])
        for signature in signatures {
            let digest = Digest.sha256(of: signature.payload)
            let layer = ContentDescriptor(
                mediaType: signature.mediaType, digest: "\(digest)", size: Int64(signature.payload.count),
                annotations: signature.annotations)
            guard !document.layers.contains(layer) else { continue }
            try upload(signature.payload, digest)
            document.layers.append(layer)
        }
        guard document.layers != known?.layers else { return }
        let digests = document.layers.map { JSON.string($0.digest) }
        let config: JSON = [
            "architecture": "", "os": "", "config": .emptyObject,
            "rootfs": ["type": "layers", "diff_ids": .array(digests)],
        ]
        let bytes = config.bytes()
        let digest = Digest.sha256(of: bytes)
        try upload(bytes, digest)
        document.config = ContentDescriptor(
            mediaType: MediaType.ociConfig, digest: "\(digest)", size: Int64(bytes.count))
        try client.putManifest(
            repository, reference: Self.tag(manifest), document.json.bytes(), mediaType: MediaType.ociManifest
        )
    }

    private func upload(_ bytes: [UInt8], _ digest: Digest) throws {
        if try client.hasBlob(repository, digest: digest, size: Int64(bytes.count)) { return }
        _ = try client.uploadBlob(repository, digest: digest, size: Int64(bytes.count)) { BytesSource(bytes) }
    }
}
