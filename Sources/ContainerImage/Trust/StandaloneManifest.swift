public import ImageTrust
internal import JSONText
public import LayerArchive
internal import LinuxSystem
internal import RegistryClient

/// A manifest in a file, to be signed or verified apart from any registry or store
/// (skopeo-standalone-sign(1), skopeo-standalone-verify(1)).
public struct StandaloneManifest: Sendable {
    private let bytes: [UInt8]
    public let digest: Digest

    /// - Throws: `file`, and `unsupported` for a manifest of schema 1, whose digest is not that of its bytes.
    public init(_ path: String) throws(ImageError) {
        bytes = try Self.read(path, limit: RegistryClient.manifestLimit)
        if let json = try? JSON(parsing: bytes), json["schemaVersion"]?.int == 1 {
            throw ImageError(.unsupported, "read \(path)", "manifests of schema 1 are not supported")
        }
        digest = Digest.sha256(of: bytes)
    }

    private static func read(_ path: String, limit: Int) throws(ImageError) -> [UInt8] {
        do throws(SystemError) {
            return try File.read(path, limit: limit)
        } catch {
            throw ImageError(.file, "read \(path)", "\(error.errno)")
        }
    }

    private static func reference(_ name: String) throws(ImageError) -> DockerReference {
        guard let reference = DockerReference(parsing: name) else {
            throw ImageError(.invalidReference, "read the name", "\"\(name)\" is no name of an image")
        }
        return reference
    }

    /// Writes a signature to a file, which appears when it is whole.
    public func sign(
        as name: String, by signer: OpenPGPSigner, creator: String, to output: String
    ) throws(ImageError) {
        let payload = SignaturePayload(manifestDigest: digest, reference: try Self.reference(name))
        do {
            let signature = try signer.sign(payload, creator: creator)
            let target = try ReplacedFile(output)
            try FD.writeAll(target.file.raw, signature.fileContents)
            try target.publish()
        } catch {
            throw ImageError("sign \(name)", any: error)
        }
    }

    /// - Returns: the fingerprint of the key that signed it.
    public func verify(
        as name: String, by verifier: OpenPGPVerifier, signature path: String
    ) throws(ImageError) -> String {
        let message = try Self.read(path, limit: ImageSignature.limit)
        let reference = try Self.reference(name)
        do throws(TrustError) {
            return try verifier.verify(message, manifest: bytes, reference: reference).fingerprint
        } catch {
            throw ImageError("verify the signature of \(name)", any: error)
        }
    }
}
