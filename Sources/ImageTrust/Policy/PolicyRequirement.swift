internal import JSONText

/// One of the conditions that an image must meet (containers-policy.json(5), "Policy requirements").
enum PolicyRequirement: Equatable, Sendable {
    case insecureAcceptAnything
    case reject
    /// By a GPG key: simple signing.
    case signedBy(TrustedKeys, SignedIdentity)
    case sigstoreSigned(SigstoreTrust, SignedIdentity)

    init(json: JSON) throws(JSONError) {
        let fields = try PolicyFields(json)
        switch try fields.string("type") {
        case "insecureAcceptAnything": self = .insecureAcceptAnything
        case "reject": self = .reject
        case "signedBy":
            let type = try fields.string("keyType")
            guard type == "GPGKeys" else {
                throw JSONError(path: "keyType", "\"\(type)\" is not supported: GPGKeys is")
            }
            guard let keys = try fields.keys("key", forms: ["Path", "Paths", "Data"]) else {
                throw JSONError("exactly one of keyPath, keyPaths and keyData must be there")
            }
            self = .signedBy(keys, try fields.identity())
        case "sigstoreSigned":
            self = .sigstoreSigned(try SigstoreTrust(fields), try fields.identity())
        case let other: throw JSONError(path: "type", "unknown type \"\(other)\"")
        }
        try fields.finish()
    }

    /// As policies name it.
    var name: String {
        switch self {
        case .insecureAcceptAnything: "insecureAcceptAnything"
        case .reject: "reject"
        case .signedBy: "signedBy"
        case .sigstoreSigned: "sigstoreSigned"
        }
    }
}

/// Whose sigstore signatures are trusted.
struct SigstoreTrust: Equatable, Sendable {
    enum Signer: Equatable, Sendable {
        /// Any of these public keys.
        case keys(TrustedKeys)
        /// Who had a certificate of this Fulcio for an address that this provider vouches for.
        case fulcio(roots: TrustedKeys, issuer: String, email: String)
        /// Who has a certificate of another authority.
        case pki(roots: TrustedKeys, intermediates: TrustedKeys?, email: String?, hostname: String?)
    }

    var signer: Signer
    /// Rekor's, any of which must have seen the signature.
    var rekor: TrustedKeys?

    init(_ fields: PolicyFields) throws(JSONError) {
        rekor = try fields.keys("rekorPublicKey")
        let keys = try fields.keys("key")
        let fulcio = fields.value("fulcio")
        let pki = fields.value("pki")
        switch (keys, fulcio, pki) {
        case (let keys?, nil, nil): signer = .keys(keys)
        case (nil, let fulcio?, nil):
            do throws(JSONError) { signer = try Self.fulcio(fulcio) } catch { throw error.under("fulcio") }
            guard rekor != nil else {
                throw JSONError("fulcio needs one of rekorPublicKeyPath, …Paths, …Data and …Datas")
            }
        case (nil, nil, let pki?):
            do throws(JSONError) { signer = try Self.pki(pki) } catch { throw error.under("pki") }
            guard rekor == nil else { throw JSONError("pki goes without a key of Rekor") }
        default:
            throw JSONError(
                "exactly one of keyPath, keyPaths, keyData, keyDatas, fulcio and pki must be there")
        }
    }

    private static func fulcio(_ json: JSON) throws(JSONError) -> Signer {
        let fields = try PolicyFields(json)
        guard let roots = try fields.keys("ca", forms: ["Path", "Data"]) else {
            throw JSONError("exactly one of caPath and caData must be there")
        }
        let signer = Signer.fulcio(
            roots: roots, issuer: try fields.string("oidcIssuer"), email: try fields.string("subjectEmail"))
        try fields.finish()
        return signer
    }

    private static func pki(_ json: JSON) throws(JSONError) -> Signer {
        let fields = try PolicyFields(json)
        guard let roots = try fields.keys("caRoots", forms: ["Path", "Data"]) else {
            throw JSONError("exactly one of caRootsPath and caRootsData must be there")
        }
        let email = fields.has("subjectEmail") ? try fields.string("subjectEmail") : nil
        let hostname = fields.has("subjectHostname") ? try fields.string("subjectHostname") : nil
        guard email != nil || hostname != nil else {
            throw JSONError("subjectEmail or subjectHostname must be there")
        }
        let signer = Signer.pki(
            roots: roots, intermediates: try fields.keys("caIntermediates", forms: ["Path", "Data"]),
            email: email, hostname: hostname)
        try fields.finish()
        return signer
    }
}
