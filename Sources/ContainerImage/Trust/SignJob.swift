public import ImageTrust
internal import LayerArchive
internal import LinuxSystem
internal import OCISpec
internal import RegistryClient

/// Signs an image of a registry, whose signature goes into a file.
public struct SignJob: Sendable {
    public var signer: OpenPGPSigner
    /// nil for what registries.d says.
    public var directory: String?
    /// Each image of a list.
    public var signsAll = false
    public var options = TransferOptions()
    public var creator = "apus"

    public init(_ signer: OpenPGPSigner) { self.signer = signer }

    public func run(_ source: ImageSource) throws(ImageError) {
        guard case .registry(let text) = source else {
            throw ImageError(
                .unsupported, "sign \(source)", "only images of registries have names that can be signed")
        }
        do {
            let reference = try ImageReference(parsing: text).tagged
            let provider = try source.provider(options, progress: SilentProgress(), stop: StopFlag())
            let top = try SourceDocument(topOf: provider)
            var digests = [top.digest]
            if signsAll {
                guard case .index(let index, _) = top.content else {
                    throw ImageError(.unsupported, "sign \(source)", "it is no multi-platform image")
                }
                digests = try index.manifests.map { try SourceDocument($0, above: top, of: provider).digest }
            }
            for digest in digests {
                let signature = try signer.sign(
                    SignaturePayload(manifestDigest: digest, reference: reference.signed), creator: creator)
                try place(of: reference, digest).append(signature)
            }
        } catch {
            throw ImageError("sign \(source)", any: error)
        }
    }

    private func place(of reference: ImageReference, _ digest: Digest) throws -> SignatureDirectory {
        if let directory {
            return SignatureDirectory(directory, repository: reference.path, manifest: digest)
        }
        switch try options.trust.places().lookaside(for: reference.signed, writing: true) {
        case .directory(let path, let name):
            return SignatureDirectory(path, repository: name, manifest: digest)
        case .web(let url, _):
            throw ImageError(
                .configuration, "store signatures at \(url)",
                "it is for reading: registries.d needs a lookaside-staging of file:///, or use --directory")
        }
    }
}
