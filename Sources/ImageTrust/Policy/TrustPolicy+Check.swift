/// An image at the point where its manifest is known, and nothing of it is used.
public struct PolicyImage: Sendable {
    public var scope: PolicyScope
    /// What signatures may name it; nil where the transport has no such names.
    public var reference: DockerReference?
    /// The bytes of its manifest.
    public var manifest: [UInt8]

    public init(scope: PolicyScope, reference: DockerReference?, manifest: [UInt8]) {
        self.scope = scope
        // As in scopes, a digest is more than a tag.
        self.reference = reference.map {
            DockerReference(
                domain: $0.domain, path: $0.path, tag: $0.digest == nil ? $0.tag : nil, digest: $0.digest)
        }
        self.manifest = manifest
    }
}

extension TrustPolicy {
    /// Whether no image of a scope can be accepted by it, whatever its signatures.
    func requirements(for scope: PolicyScope) -> (name: String, requirements: [PolicyRequirement]) {
        if let scopes = transports.first(where: { $0.name == scope.transport })?.scopes {
            for name in [scope.identity] + scope.namespaces + [""] {
                // By bytes: two spellings of a character are two directories.
                if let found = scopes.first(where: { $0.name.utf8.elementsEqual(name.utf8) }) {
                    return ("the scope \"\(name)\" of \(scope.transport)", found.requirements)
                }
            }
        }
        return ("the default", fallback)
    }

    /// Whether images of a scope need signatures, so that those should be looked for.
    public func needsSignatures(_ scope: PolicyScope) -> Bool {
        requirements(for: scope).requirements.contains {
            switch $0 {
            case .insecureAcceptAnything, .reject: false
            case .signedBy, .sigstoreSigned: true
            }
        }
    }

    /// Asks the requirements of the image's scope, all of which must be met.
    /// - Parameter signatures: called when one of them wants signatures.
    /// - Throws: `rejected`, and what `signatures` throws.
    public func check<Failure: Error>(
        _ image: PolicyImage, signatures: () throws(Failure) -> [ImageSignature]
    ) throws {
        let (place, requirements) = requirements(for: image.scope)
        var found: [ImageSignature]?
        for requirement in requirements {
            func refusal(_ why: String) -> TrustError {
                TrustError(
                    .rejected, "refused by \(origin)", "\(requirement.name), required by \(place): \(why)")
            }
            switch requirement {
            case .insecureAcceptAnything: continue
            case .reject: throw refusal("nothing is accepted from there")
            case .signedBy, .sigstoreSigned:
                let all = try found ?? signatures()
                found = all
                var reasons: [String] = []
                var isMet = false
                do throws(TrustError) {
                    let verifier = try SignatureVerifier(requirement)
                    for signature in all {
                        guard let why = verifier.refusal(signature, of: image) else {
                            isMet = true
                            break
                        }
                        if !why.isEmpty { reasons.append(why) }
                    }
                } catch {
                    throw refusal(error.description)
                }
                guard isMet else {
                    if reasons.isEmpty { throw refusal(verifierAdvice(requirement, all.count)) }
                    let first = reasons.prefix(5).joined(separator: "; ")
                    throw refusal(
                        reasons.count == 1
                            ? first : "none of its \(reasons.count) signatures is accepted: \(first)")
                }
            }
        }
    }

    private func verifierAdvice(_ requirement: PolicyRequirement, _ others: Int) -> String {
        let kind: String
        if case .sigstoreSigned = requirement { kind = "sigstore" } else { kind = "GPG" }
        let why = "the image has no \(kind) signature"
        return others == 0 ? why : "\(why), and \(others) of another kind"
    }
}
