internal import ImageTrust
internal import LayerArchive
internal import LinuxSystem

/// What the user said about trust.
public struct TrustOptions: Sendable {
    /// A policy.json in place of the user's or the system's.
    public var policy: String?
    /// Images come whatever the policy says.
    public var ignoresPolicy = false
    /// A registries.d in place of the user's or the system's.
    public var registriesDirectory: String?

    public init() {}

    func loadPolicy() throws(ImageError) -> TrustPolicy {
        guard !ignoresPolicy else { return .acceptingAnything }
        do throws(TrustError) {
            return try TrustPolicy.load(policy)
        } catch {
            throw ImageError("", error)
        }
    }

    func places() throws(ImageError) -> SignaturePlaces {
        do throws(TrustError) {
            return try SignaturePlaces.load(registriesDirectory)
        } catch {
            throw ImageError("", error)
        }
    }
}

extension TrustOptions {
    /// The one gate: whatever comes from elsewhere passes here when its manifest is known, and before
    /// anything of it is kept or sent on.
    /// - Throws: `untrusted` when the policy refuses it.
    func admit(_ document: SourceDocument, of provider: any ImageProvider) throws(ImageError) {
        // A store of ours: its images passed when they came.
        guard let scope = provider.scope else { return }
        let image = PolicyImage(
            scope: scope, reference: provider.signedReference, manifest: document.bytes)
        try admit(image, name: provider.name) { () throws(ImageError) in
            try provider.signatures(of: document.digest, isTop: document.isTop, self)
        }
    }

    /// - Parameter signatures: asked for when the policy wants any.
    func admit(
        _ image: PolicyImage, name: String, signatures: () throws(ImageError) -> [ImageSignature]
    ) throws(ImageError) {
        let policy = try loadPolicy()
        do {
            try policy.check(image, signatures: signatures)
        } catch {
            throw ImageError(name, any: error)
        }
    }
}

extension ImageReference {
    /// As signatures and policies have it.
    var signed: DockerReference {
        DockerReference(domain: domain, path: path, tag: tag, digest: digest.map(\.description))
    }
}

extension PolicyScope {
    /// - Parameter path: of a file or directory; links in it are followed, so that no second name of it
    ///   has another policy.
    init(transport: String, file path: String, reference: String?) {
        let real = realpath(path, nil)
        defer { free(real) }
        self.init(
            transport: transport, path: real.map { String(cString: $0) } ?? path, reference: reference)
    }
}
