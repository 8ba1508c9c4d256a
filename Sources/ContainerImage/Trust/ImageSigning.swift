public import ImageTrust
internal import LayerArchive

/// With what an image is signed where it is copied to, and which signatures go with it.
public struct ImageSigning: Sendable {
    /// Signatures of the source stay behind.
    public var leavesSignatures = false
    public var openPGP: OpenPGPSigner?
    public var sigstore: SigstorePrivateKey?
    /// The name that is signed; nil for the destination's.
    public var identity: DockerReference?
    /// Who signs, as signatures say it.
    public var creator = "apus"

    public init() {}

    var signs: Bool { openPGP != nil || sigstore != nil }

    func sign(_ manifest: Digest, as name: DockerReference) throws(TrustError) -> [ImageSignature] {
        let payload = SignaturePayload(manifestDigest: manifest, reference: name)
        var signatures: [ImageSignature] = []
        if let openPGP { signatures.append(try openPGP.sign(payload, creator: creator)) }
        if let sigstore { signatures.append(try sigstore.sign(payload, creator: creator)) }
        return signatures
    }
}

/// The signatures that an image has at its destination.
struct SignaturesOnTheWay {
    private let signing: ImageSigning
    private let destination: any ImageDestination
    private let carried: [ImageSignature]

    /// Finds out, before anything is sent, whether there is a place for them.
    /// - Parameter manifest: of the source.
    init(
        _ signing: ImageSigning, of manifest: SourceDocument, from source: any ImageProvider,
        trust: TrustOptions, to destination: any ImageDestination
    ) throws {
        self.signing = signing
        self.destination = destination
        var found: [ImageSignature] = []
        if !signing.leavesSignatures, source.scope != nil {
            found = try source.signatures(of: manifest.digest, isTop: manifest.isTop, trust)
        }
        carried = found
        try requireRoom()
        if signing.signs { _ = try name() }
    }

    private func requireRoom() throws(ImageError) {
        guard !carried.isEmpty || signing.signs else { return }
        do throws(ImageError) {
            try destination.requireRoom(
                simple: signing.openPGP != nil || carried.contains(where: \.isSimple),
                sigstore: signing.sigstore != nil || carried.contains { !$0.isSimple })
        } catch {
            guard !carried.isEmpty else { throw error }
            throw ImageError(
                error.code, error.operation,
                error.message + " (--remove-signatures leaves those of the source behind)")
        }
    }

    private func name() throws(ImageError) -> DockerReference {
        guard let name = signing.identity ?? destination.signedReference else {
            throw ImageError(
                .configuration, "sign \(destination.name)",
                "it has no name that could be signed: say which (--sign-identity)")
        }
        return name
    }

    /// Whether the manifest must stay as it is.
    func refuseChange() throws(ImageError) {
        guard !carried.isEmpty else { return }
        throw ImageError(
            .configuration, "copy to \(destination.name)",
            "the image would have to change, which would make its signatures void: "
                + "--remove-signatures copies it without them")
    }

    /// Once the manifest is there.
    func store(_ manifest: Digest, isTop: Bool) throws {
        var signatures = carried
        if signing.signs { signatures += try signing.sign(manifest, as: name()) }
        guard !signatures.isEmpty else { return }
        try destination.put(signatures: signatures, of: manifest, isTop: isTop)
    }
}

extension ImageSignature {
    fileprivate var isSimple: Bool { if case .simple = self { true } else { false } }
}
