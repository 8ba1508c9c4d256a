internal import LayerArchive

/// A requirement with its keys read: they are read once, whatever the number of signatures.
struct SignatureVerifier {
    private enum Trusted {
        case openPGP(OpenPGPKeyring)
        case sigstore(SigstoreVerifier)
    }

    private let trusted: Trusted
    private let identity: SignedIdentity

    init(_ requirement: PolicyRequirement) throws(TrustError) {
        switch requirement {
        case .signedBy(let keys, let identity):
            trusted = .openPGP(try OpenPGPKeyring(keys.load()))
            self.identity = identity
        case .sigstoreSigned(let trust, let identity):
            trusted = .sigstore(try SigstoreVerifier(trust))
            self.identity = identity
        case .insecureAcceptAnything, .reject: preconditionFailure("needs no signature")
        }
    }

    /// - Returns: nil for a signature that is accepted, nothing for one of another kind, or why it is not.
    func refusal(_ signature: ImageSignature, of image: PolicyImage) -> String? {
        do throws(TrustError) {
            let payload: SignaturePayload
            switch (trusted, signature) {
            case (.openPGP(let keyring), .simple(let bytes)):
                payload = try SignaturePayload(
                    parsing: keyring.signedContent(of: bytes), type: SignaturePayload.simpleType)
            case (.sigstore(let verifier), .sigstore(let signature)):
                guard signature.mediaType == SigstoreSignature.payloadMediaType else { return "" }
                try verifier.verify(signature)
                payload = try SignaturePayload(
                    parsing: signature.payload, type: SignaturePayload.sigstoreType)
            default: return ""
            }
            // Nothing of the payload counts before its signature has been verified: now it does.
            try payload.check(image.manifest)
            guard let signed = DockerReference(parsing: payload.reference),
                identity.accepts(signed, for: image.reference)
            else {
                return "the signature is for the name \"\(payload.reference.prefix(300))\", "
                    + "which is not accepted for this image"
            }
            return nil
        } catch {
            return error.description
        }
    }
}
