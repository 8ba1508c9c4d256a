internal import JSONText
internal import LayerArchive

/// A signature of an image as it is kept, not verified yet.
public enum ImageSignature: Equatable, Sendable {
    /// An OpenPGP message (containers/image, "simple signing").
    case simple([UInt8])
    case sigstore(SigstoreSignature)

    /// More bytes are no signature.
    public static let limit = 4 << 20
    /// More signatures of one image are not asked for.
    public static let maximumCount = 128

    /// The form of files: a GPG signature as it is; others after a zero byte, their kind and a line feed.
    public var fileContents: [UInt8] {
        switch self {
        case .simple(let bytes): bytes
        case .sigstore(let signature): [0] + Array("sigstore-json\n".utf8) + signature.json.bytes()
        }
    }

    public init(fileContents bytes: [UInt8]) throws(TrustError) {
        func wrong(_ why: String) -> TrustError { TrustError(.signature, "read the signature", why) }
        guard let first = bytes.first else { throw wrong("it is empty") }
        guard first == 0 else {
            // The packets that an OpenPGP message of ours may begin with: compressed data, one-pass
            // signature, signature (RFC 4880, section 4.3).
            guard first & 0x80 != 0, [2, 4, 8].contains(first & 0x40 != 0 ? first & 0x3F : first >> 2 & 15)
            else { throw wrong("it begins with the byte \(first), as no kind of signature does") }
            self = .simple(bytes)
            return
        }
        guard let end = bytes.firstIndex(of: 0x0A) else { throw wrong("its kind is not told") }
        let rest = Array(bytes[(end + 1)...])
        switch String(decoding: bytes[1..<end], as: UTF8.self) {
        case "simple-signing": self = .simple(rest)
        case "sigstore-json":
            do throws(JSONError) {
                self = .sigstore(try SigstoreSignature(json: JSON(parsing: rest, refusingDuplicates: true)))
            } catch {
                throw wrong(error.description)
            }
        default: throw wrong("it is of an unknown kind")
        }
    }
}

/// A payload and what is said about it: a layer of a cosign signature manifest.
public struct SigstoreSignature: Equatable, Sendable {
    public static let payloadMediaType = "application/vnd.dev.cosign.simplesigning.v1+json"

    /// Names of annotations (cosign, SIGNATURE_SPEC.md).
    enum Annotation {
        static let signature = "dev.cosignproject.cosign/signature"
        static let bundle = "dev.sigstore.cosign/bundle"
        static let certificate = "dev.sigstore.cosign/certificate"
        static let chain = "dev.sigstore.cosign/chain"
    }

    public var mediaType: String
    public var payload: [UInt8]
    public var annotations: [String: String]

    public init(mediaType: String, payload: [UInt8], annotations: [String: String]) {
        self.mediaType = mediaType
        self.payload = payload
        self.annotations = annotations
    }

    init(json: JSON) throws(JSONError) {
        var reader = try ObjectReader(json)
        mediaType = try reader.required("mimeType")
        let text: String = try reader.required("payload")
        guard let payload = Base64.decode(text) else { throw JSONError(path: "payload", "is no base64") }
        self.payload = payload
        annotations = try reader.optional("annotations") ?? [:]
    }

    var json: JSON {
        [
            "mimeType": .string(mediaType), "payload": .string(Base64.encode(payload)),
            "annotations": annotations.json,
        ]
    }
}
