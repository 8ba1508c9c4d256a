internal import ImageTrust
internal import JSONText
internal import LayerArchive
internal import LinuxSystem
internal import OCISpec
internal import RegistryClient

/// A repository of a registry.
final class RegistryDestination: ImageDestination {
    let name: String
    let traits: DestinationTraits
    private let reference: ImageReference
    private let repository: Repository
    private let client: RegistryClient
    private let trust: TrustOptions

    init(_ reference: ImageReference, options: TransferOptions, stop: StopFlag) throws(ImageError) {
        self.reference = reference
        trust = options.trust
        name = reference.canonical
        var traits = DestinationTraits()
        traits.digest = reference.digest
        self.traits = traits
        var registryOptions = try options.registryOptions(for: reference.domain, stop: stop)
        registryOptions.pushes = true
        client = RegistryClient(registryOptions)
        let endpoints = try RegistriesConfig.load(explicit: options.registriesConfig)
            .endpoints(for: reference)
        // Mirrors are for reading.
        repository = endpoints[endpoints.count - 1].repository
    }

    func has(_ digest: Digest) throws -> Bool { try client.hasManifest(repository, digest: digest) }

    func put(layer: OutgoingBlob) throws -> Bool {
        if try client.hasBlob(repository, digest: layer.digest, size: layer.size) { return false }
        return try client.uploadBlob(
            repository, digest: layer.digest, size: layer.size,
            mounting: layer.origin(reference.domain, reference.path), open: layer.open)
    }

    func put(config: OutgoingBlob) throws { _ = try put(layer: config) }

    func put(instance: OutgoingManifest) throws { try put(instance, as: "\(instance.digest)") }

    func put(top: OutgoingManifest, names: [String]) throws {
        try put(top, as: reference.manifestReference)
    }

    private func put(_ manifest: OutgoingManifest, as text: String) throws {
        let isAccounted = try client.putManifest(
            repository, reference: text, manifest.bytes, mediaType: manifest.mediaType)
        guard !isAccounted, let (subject, referrer) = try referrer(manifest) else { return }
        try client.addReferrer(referrer, to: subject, in: repository)
    }

    /// What a manifest refers to, and how it is entered there.
    private func referrer(_ manifest: OutgoingManifest) throws -> (Digest, ContentDescriptor)? {
        let json = try JSON(parsing: manifest.bytes)
        guard let subject = RegistryClient.subject(of: json) else { return nil }
        var descriptor = ContentDescriptor(
            mediaType: manifest.mediaType, digest: "\(manifest.digest)", size: Int64(manifest.bytes.count))
        descriptor.artifactType =
            json["artifactType"]?.string ?? json["config"]?["mediaType"]?.string
        if let annotations = json["annotations"] {
            descriptor.annotations = try [String: String](json: annotations)
        }
        return (subject, descriptor)
    }

    // MARK: Signatures

    var signedReference: DockerReference? { reference.signed }

    private func signatures() throws(ImageError) -> RegistrySignatures {
        RegistrySignatures(client: client, repository: repository, places: try trust.places())
    }

    func requireRoom(simple: Bool, sigstore: Bool) throws(ImageError) {
        try signatures().requireRoom(simple: simple, sigstore: sigstore)
    }

    func put(signatures: [ImageSignature], of manifest: Digest, isTop: Bool) throws {
        try self.signatures().write(signatures, manifest)
    }

    func commit() {}
}
