internal import LayerArchive

/// The keys and certificates of a `sigstoreSigned` requirement.
struct SigstoreVerifier {
    private enum Signer {
        case keys([PublicKey])
        case fulcio(roots: [Certificate], issuer: String, email: String)
        case pki(roots: [Certificate], intermediates: [Certificate], email: String?, hostname: String?)
    }

    private let signer: Signer
    /// nil when Rekor is not asked for.
    private let rekor: [PublicKey]?

    /// More intermediate certificates are no chain.
    private static let maximumChain = 16

    init(_ trust: SigstoreTrust) throws(TrustError) {
        rekor = try trust.rekor?.load().map { text throws(TrustError) in
            let key = try PublicKey(pem: text, name: "Rekor's public key")
            guard key.isECDSA else {
                throw TrustError(.key, "read Rekor's public key", "it is no ECDSA key")
            }
            return key
        }
        switch trust.signer {
        case .keys(let keys):
            signer = .keys(try keys.load().map { text throws(TrustError) in try PublicKey(pem: text) })
        case .fulcio(let roots, let issuer, let email):
            signer = .fulcio(roots: try Self.certificates(roots), issuer: issuer, email: email)
        case .pki(let roots, let intermediates, let email, let hostname):
            signer = .pki(
                roots: try Self.certificates(roots),
                intermediates: try intermediates.map(Self.certificates) ?? [], email: email,
                hostname: hostname)
        }
    }

    private static func certificates(_ files: TrustedKeys) throws(TrustError) -> [Certificate] {
        var all: [Certificate] = []
        for text in try files.load() {
            all += try Certificate.all(pem: text, name: "the authority's certificates")
        }
        return all
    }

    /// - Throws: `signature` unless a signer whom we trust signed the payload.
    func verify(_ signature: SigstoreSignature) throws(TrustError) {
        typealias Annotation = SigstoreSignature.Annotation
        guard let bytes = Base64.decode(try Self.annotation(signature, Annotation.signature)) else {
            throw Self.wrong("the signature is no base64")
        }
        let keys: [PublicKey]
        switch signer {
        case .keys(let trusted):
            if let rekor {
                let entry = try RekorEntry(
                    Self.annotation(signature, Annotation.bundle), signedByOneOf: rekor)
                var failure: TrustError?
                // The entry is of one key; whose signature this is must be that one.
                let logged = trusted.filter { key in
                    do throws(TrustError) {
                        try entry.requireMatch(signature: bytes, payload: signature.payload, signer: key.der)
                        return true
                    } catch {
                        failure = error
                        return false
                    }
                }
                if logged.isEmpty, let failure { throw failure }
                keys = logged
            } else {
                keys = trusted
            }
        case .fulcio(let roots, let issuer, let email):
            let leaf = try Self.leaf(signature)
            let entry = try RekorEntry(
                Self.annotation(signature, Annotation.bundle), signedByOneOf: rekor ?? [])
            try entry.requireMatch(signature: bytes, payload: signature.payload, signer: leaf.der)
            // Fulcio's certificates are good for minutes: for the time that Rekor testifies to.
            try leaf.verify(roots: roots, intermediates: Self.chain(signature), at: entry.time)
            let found = try FulcioIssuer.of(leaf)
            guard found.utf8.elementsEqual(issuer.utf8) else {
                throw Self.wrong("the certificate was issued on the word of \"\(found.prefix(200))\"")
            }
            try Self.require(email, among: leaf.emails)
            keys = try [Self.key(leaf)]
        case .pki(let roots, let intermediates, let email, let hostname):
            let leaf = try Self.leaf(signature)
            try leaf.verify(
                roots: roots, intermediates: intermediates + Self.chain(signature), at: nil)
            if let email { try Self.require(email, among: leaf.emails) }
            if let hostname, !leaf.isFor(hostname: hostname) {
                throw Self.wrong("the certificate is not for the host \(hostname)")
            }
            keys = try [Self.key(leaf)]
        }
        guard keys.contains(where: { $0.verifies(bytes, of: signature.payload) }) else {
            throw Self.wrong("the signature is not by an accepted key")
        }
    }

    private static func leaf(_ signature: SigstoreSignature) throws(TrustError) -> Certificate {
        let text = try annotation(signature, SigstoreSignature.Annotation.certificate)
        guard let block = PEM.single(Array(text.utf8)), block.label == "CERTIFICATE" else {
            throw wrong("its certificate is not one PEM text")
        }
        return try Certificate(der: block.bytes)
    }

    /// Intermediate certificates from the leaf's issuer on, the root last: that one counts for nothing.
    private static func chain(_ signature: SigstoreSignature) throws(TrustError) -> [Certificate] {
        guard let text = signature.annotations[SigstoreSignature.Annotation.chain], !text.isEmpty else {
            return []
        }
        let all = try Certificate.all(pem: Array(text.utf8), name: "the chain of certificates")
        guard all.count <= maximumChain else { throw wrong("its chain has \(all.count) certificates") }
        return Array(all.dropLast())
    }

    private static func key(_ leaf: Certificate) throws(TrustError) -> PublicKey {
        guard let key = leaf.publicKey else { throw wrong("its certificate's key is of an unknown kind") }
        return key
    }

    private static func require(_ name: String, among names: [String]) throws(TrustError) {
        guard names.contains(where: { $0.utf8.elementsEqual(name.utf8) }) else {
            let found = names.isEmpty ? "nobody" : names.joined(separator: ", ")
            throw wrong("the certificate is for \(found.prefix(200)), not for \(name)")
        }
    }

    private static func annotation(
        _ signature: SigstoreSignature, _ name: String
    ) throws(TrustError) -> String {
        guard let value = signature.annotations[name] else { throw wrong("it has no annotation \(name)") }
        return value
    }

    private static func wrong(_ why: String) -> TrustError {
        TrustError(.signature, "verify the sigstore signature", why)
    }
}
