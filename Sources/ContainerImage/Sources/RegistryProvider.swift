internal import ImageTrust
internal import LayerArchive
internal import OCISpec
internal import RegistryClient
internal import Synchronization

/// A registry's image, from the first of its mirrors that has it.
final class RegistryProvider: RangedProvider {
    let name: String
    let meter = TransferMeter()
    /// What the caller does, for messages.
    private let verb: String
    private let reference: ImageReference
    private let client: RegistryClient
    private let endpoints: [RegistriesConfig.Endpoint]
    private let progress: any TransferProgress
    /// Which endpoint answered: the blobs come from there.
    private let chosen = Mutex<Repository?>(nil)

    init(
        _ reference: ImageReference, config: RegistriesConfig, client: RegistryClient,
        progress: any TransferProgress, verb: String
    ) throws(ImageError) {
        self.verb = verb
        self.reference = reference
        self.client = client
        self.progress = progress
        name = reference.canonical
        endpoints = try config.endpoints(for: reference)
    }

    var isLocal: Bool { false }

    func top() throws(ImageError) -> TopDocument {
        var failure: RegistryError?
        for endpoint in endpoints {
            do throws(RegistryError) {
                let manifest = try client.manifest(
                    endpoint.repository, reference: reference.manifestReference)
                chosen.withLock { $0 = endpoint.repository }
                return TopDocument(
                    bytes: manifest.bytes, mediaType: manifest.mediaType, digest: reference.digest)
            } catch {
                failure = error
                if error.code == .cancelled { break }
                if endpoint.isMirror { progress.warning("mirror \(endpoint.repository) failed: \(error)") }
            }
        }
        throw ImageError("\(verb) \(name)", failure!)
    }

    func document(_ descriptor: ContentDescriptor, _ digest: Digest) throws(ImageError) -> [UInt8] {
        do throws(RegistryError) {
            return try client.manifest(repository, reference: digest.description).bytes
        } catch {
            throw ImageError("\(verb) \(name)", error)
        }
    }

    func blob(_ descriptor: ContentDescriptor, _ digest: Digest) throws(ImageError) -> any ByteSource {
        MeasuredSource(client.blob(repository, digest: digest, size: descriptor.size), meter)
    }

    func blob(
        _ descriptor: ContentDescriptor, _ digest: Digest, range: Range<Int64>
    ) throws -> any ByteSource {
        MeasuredSource(
            client.blob(repository, digest: digest, size: descriptor.size, range: range), meter)
    }

    func origin(
        of layer: Digest, diffID: Digest?, in registry: String, besides repository: String
    ) -> String? {
        let own = self.repository
        return own.registry.host == registry && own.name != repository ? own.name : nil
    }

    var scope: PolicyScope? { PolicyScope(registry: reference.signed) }
    var signedReference: DockerReference? { reference.signed }

    func signatures(
        of manifest: Digest, isTop: Bool, _ trust: TrustOptions
    ) throws(ImageError) -> [ImageSignature] {
        try RegistrySignatures(client: client, repository: repository, places: trust.places()).read(manifest)
    }

    private var repository: Repository {
        chosen.withLock { $0 } ?? endpoints[endpoints.count - 1].repository
    }
}
