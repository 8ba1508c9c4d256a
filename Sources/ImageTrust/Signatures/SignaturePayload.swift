internal import JSONText
public import LayerArchive

/// What is signed: that an image of a name has a digest (containers/image,
/// containers-signature(5), "JSON data format").
public struct SignaturePayload: Sendable {
    static let simpleType = "atomic container signature"
    static let sigstoreType = "cosign container image signature"

    public var manifestDigest: Digest
    /// A docker reference.
    public var reference: String

    public init(manifestDigest: Digest, reference: DockerReference) {
        self.manifestDigest = manifestDigest
        self.reference = "\(reference)"
    }

    /// - Throws: `signature` for any other document, also one with one member more.
    init(parsing bytes: [UInt8], type: String) throws(TrustError) {
        do throws(JSONError) {
            let fields = try PolicyFields(JSON(parsing: bytes, refusingDuplicates: true))
            // cosign writes null where there is nothing.
            guard let optional = fields.value("optional") else {
                throw JSONError(path: "optional", "is missing")
            }
            try Self.check(optional, mayBeNull: type == Self.sigstoreType)
            let critical = try PolicyFields(fields.value("critical") ?? .null)
            try fields.finish()
            let own = try critical.string("type")
            guard own == type else { throw JSONError(path: "critical.type", "is \"\(own)\"") }
            let image = try PolicyFields(critical.value("image") ?? .null)
            let digest = try image.string("docker-manifest-digest")
            try image.finish()
            let identity = try PolicyFields(critical.value("identity") ?? .null)
            reference = try identity.string("docker-reference")
            try identity.finish()
            try critical.finish()
            do throws(ArchiveError) { manifestDigest = try Digest(parsing: digest) } catch {
                throw JSONError(path: "critical.image", error.message)
            }
        } catch {
            throw TrustError(.signature, "read what is signed", error.description)
        }
    }

    private static func check(_ optional: JSON, mayBeNull: Bool) throws(JSONError) {
        if mayBeNull, optional.isNull { return }
        guard let object = optional.object else {
            throw JSONError(path: "optional", "expected an object, found \(optional.kind)")
        }
        if let creator = object["creator"], creator.string == nil {
            throw JSONError(path: "optional.creator", "expected a string, found \(creator.kind)")
        }
        if let time = object["timestamp"], time.int == nil {
            throw JSONError(path: "optional.timestamp", "expected a whole number")
        }
    }

    /// - Throws: `signature` when it is about another manifest.
    func check(_ manifest: [UInt8]) throws(TrustError) {
        var hasher = DigestHasher(manifestDigest.algorithm)
        manifest.withUnsafeBytes { hasher.update($0) }
        if hasher.finalize() == manifestDigest { return }
        throw TrustError(
            .signature, "check the manifest",
            "the signature is for the digest \(manifestDigest), which is not the image's")
    }

    /// - Parameter time: seconds since 1970.
    func bytes(type: String, creator: String, time: Int64) -> [UInt8] {
        let json: JSON = [
            "critical": [
                "identity": ["docker-reference": .string(reference)],
                "image": ["docker-manifest-digest": .string("\(manifestDigest)")],
                "type": .string(type),
            ],
            "optional": ["creator": .string(creator), "timestamp": .integer(time)],
        ]
        return json.bytes()
    }
}
