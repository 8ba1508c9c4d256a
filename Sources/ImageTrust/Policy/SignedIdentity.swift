internal import JSONText

/// Which names a signature may be for (containers-policy.json(5), "signedIdentity").
enum SignedIdentity: Equatable, Sendable {
    case matchExact
    case matchRepoDigestOrExact
    case matchRepository
    case exactReference(DockerReference)
    case exactRepository(DockerReference)
    case remapIdentity(prefix: String, signedPrefix: String)

    init(json: JSON) throws(JSONError) {
        let fields = try PolicyFields(json)
        switch try fields.string("type") {
        case "matchExact": self = .matchExact
        case "matchRepoDigestOrExact": self = .matchRepoDigestOrExact
        case "matchRepository": self = .matchRepository
        case "exactReference":
            let name = try fields.reference("dockerReference")
            guard !name.isNameOnly else {
                throw JSONError(path: "dockerReference", "\(name) has neither a tag nor a digest")
            }
            self = .exactReference(name)
        case "exactRepository": self = .exactRepository(try fields.reference("dockerRepository"))
        case "remapIdentity":
            self = .remapIdentity(
                prefix: try Self.prefix(fields, "prefix"),
                signedPrefix: try Self.prefix(fields, "signedPrefix"))
        case let other: throw JSONError(path: "type", "unknown type \"\(other)\"")
        }
        try fields.finish()
    }

    /// A host, or a name that begins with one.
    private static func prefix(_ fields: PolicyFields, _ name: String) throws(JSONError) -> String {
        let text = try fields.string(name)
        if DockerReference.isDomain(Array(text.utf8)[...]) { return text }
        guard let reference = DockerReference(parsing: text), reference.isNameOnly, reference.name == text
        else { throw JSONError(path: name, "\"\(text)\" is no host and no whole name") }
        return text
    }

    /// - Parameter image: nil for an image whose place has no such names.
    func accepts(_ signed: DockerReference, for image: DockerReference?) -> Bool {
        switch self {
        case .exactReference(let exact): return !signed.isNameOnly && signed == exact
        case .exactRepository(let exact): return signed.name == exact.name
        case .matchExact:
            guard let image else { return false }
            return !signed.isNameOnly && !image.isNameOnly && signed == image
        case .matchRepository: return image.map { $0.name == signed.name } ?? false
        case .matchRepoDigestOrExact: return Self.repoDigestOrExact(signed, image)
        case .remapIdentity(let prefix, let signedPrefix):
            guard let image else { return false }
            let name = image.name
            // Only whole components: `host/a` is no prefix of `host/ab`, nor `host` of `host:5000`.
            guard name == prefix || name.hasPrefix(prefix + "/") else {
                return Self.repoDigestOrExact(signed, image)
            }
            let suffix = String("\(image)".dropFirst(prefix.count))
            guard let remapped = DockerReference(parsing: signedPrefix + suffix) else { return false }
            return Self.repoDigestOrExact(signed, remapped)
        }
    }

    private static func repoDigestOrExact(_ signed: DockerReference, _ image: DockerReference?) -> Bool {
        guard let image, !signed.isNameOnly else { return false }
        if image.tag != nil { return signed == image }
        // The digests are compared where the manifest is: here the repository alone counts.
        return image.digest != nil && signed.name == image.name
    }
}
