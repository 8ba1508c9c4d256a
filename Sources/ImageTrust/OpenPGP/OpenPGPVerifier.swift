public import LayerArchive
internal import LinuxSystem

/// Verifies that one of certain GPG keys signed a manifest under a name.
public struct OpenPGPVerifier {
    private let keyring: OpenPGPKeyring
    /// nil for all keys of the keyring.
    private let fingerprints: [String]?

    /// - Parameters:
    ///   - keys: a file of public keys, armored or not.
    ///   - fingerprints: of those that count; nil for all.
    /// - Throws: `key` for no keys, or for what is no fingerprint.
    public init(keys: [UInt8], fingerprints: [String]?) throws(TrustError) {
        keyring = try OpenPGPKeyring([keys])
        self.fingerprints = try fingerprints.map(Self.checked)
    }

    /// With keys of the user's GPG keyring.
    /// - Throws: `key` when one is not there.
    public init(userKeys fingerprints: [String]) throws(TrustError) {
        self.fingerprints = try Self.checked(fingerprints)
        var keys: [[UInt8]] = []
        for fingerprint in fingerprints { keys.append(try Self.export(fingerprint)) }
        keyring = try OpenPGPKeyring(keys)
    }

    /// In GPG's capitals. Shorter names of keys can be had by anybody.
    private static func checked(_ fingerprints: [String]) throws(TrustError) -> [String] {
        for text in fingerprints {
            guard [40, 64].contains(text.utf8.count), text.allSatisfy(\.isHexDigit) else {
                throw TrustError(
                    .key, "verify the GPG signature", "\"\(text)\" is no fingerprint of 40 or 64 digits")
            }
        }
        return fingerprints.map { $0.uppercased() }
    }

    private static func export(_ fingerprint: String) throws(TrustError) -> [UInt8] {
        let operation = "export the GPG key \(fingerprint)"
        let outcome: Tool.Outcome
        do throws(SystemError) {
            outcome = try Tool.run(
                "gpg", ["--batch", "--export", "--", fingerprint], input: try MemoryFile.make([]),
                attached: [], second: .errors, limit: 16 << 20)
        } catch {
            throw TrustError(
                .key, operation, error.errno == .noEntry ? "gpg is not installed" : error.description)
        }
        guard outcome.exitCode == 0, !outcome.outputs[0].isEmpty else {
            throw TrustError(.key, operation, "it is not in the keyring")
        }
        return outcome.outputs[0]
    }

    /// - Parameter reference: the whole name that must have been signed.
    /// - Returns: the manifest's digest, and the fingerprint of the key.
    /// - Throws: `signature` for one that is not good, or is for another manifest or name.
    public func verify(
        _ message: [UInt8], manifest: [UInt8], reference: DockerReference
    ) throws(TrustError) -> (digest: Digest, fingerprint: String) {
        func wrong(_ why: String) -> TrustError { TrustError(.signature, "verify the GPG signature", why) }
        let (content, signers) = try keyring.open(message)
        guard let signer = signers.first(where: { fingerprints?.contains($0) ?? true }) else {
            throw wrong("it is by the key \(signers.first ?? ""), which is not accepted")
        }
        let payload = try SignaturePayload(parsing: content, type: SignaturePayload.simpleType)
        try payload.check(manifest)
        guard DockerReference(parsing: payload.reference) == reference else {
            throw wrong("it is for the name \"\(payload.reference.prefix(300))\"")
        }
        return (payload.manifestDigest, signer)
    }
}
