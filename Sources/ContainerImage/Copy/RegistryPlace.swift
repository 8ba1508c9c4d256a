internal import JSONText
internal import LayerArchive
internal import LinuxSystem
public import OCISpec
internal import RegistryClient

/// A repository of a registry, asked about what is in it.
public struct RegistryPlace: Sendable {
    public let reference: ImageReference
    private let repository: Repository
    private let client: RegistryClient

    /// - Parameters:
    ///   - text: a name; without a domain it is Docker Hub's.
    ///   - pushes: something is to be changed.
    public init(_ text: String, options: TransferOptions, pushes: Bool = false) throws(ImageError) {
        reference = try ImageReference(parsing: text)
        var registryOptions = try options.registryOptions(for: reference.domain, stop: StopFlag())
        registryOptions.pushes = pushes
        client = RegistryClient(registryOptions)
        let endpoints = try RegistriesConfig.load(explicit: options.registriesConfig)
            .endpoints(for: reference)
        repository = endpoints[endpoints.count - 1].repository
    }

    private func asking<Value>(
        _ operation: String, _ body: () throws(RegistryError) -> Value
    ) throws(ImageError) -> Value {
        do throws(RegistryError) { return try body() } catch { throw ImageError(operation, error) }
    }

    public func tags() throws(ImageError) -> [String] {
        try asking("list the tags of \(reference.repository)") { () throws(RegistryError) in
            try client.tags(repository)
        }
    }

    /// What refers to the image: signatures, bills of materials and the like.
    /// - Parameter artifactType: nil for all.
    public func referrers(artifactType: String?) throws(ImageError) -> [ContentDescriptor] {
        let tagged = reference.tagged
        return try asking("list what refers to \(tagged)") { () throws(RegistryError) in
            try client.referrers(repository, to: digest(tagged), artifactType: artifactType)
        }
    }

    private func digest(_ tagged: ImageReference) throws(RegistryError) -> Digest {
        if let digest = tagged.digest { return digest }
        return try client.digest(repository, reference: tagged.manifestReference)
    }

    /// Removes the image that the name leads to, and with it all tags that do.
    public func delete() throws(ImageError) {
        let tagged = reference.tagged
        try asking("delete \(tagged)") { () throws(RegistryError) in
            let manifest = try client.manifest(repository, reference: tagged.manifestReference)
            let digest = tagged.digest ?? Digest.sha256(of: manifest.bytes)
            do throws(RegistryError) {
                try client.deleteManifest(repository, digest: digest)
            } catch  where error.status == 405 {
                var error = error
                error.message += "; the registry lets nothing be deleted"
                throw error
            }
            guard let json = try? JSON(parsing: manifest.bytes),
                let subject = RegistryClient.subject(of: json)
            else { return }
            try client.removeReferrer(digest, to: subject, in: repository)
        }
    }
}
