internal import COpenSSL
internal import LayerArchive
internal import LinuxSystem

/// A private key that makes sigstore signatures, kept as cosign keeps it: PKCS #8, encrypted.
public final class SigstorePrivateKey: @unchecked Sendable {
    private let key: OpaquePointer

    private init(owning key: OpaquePointer) { self.key = key }

    deinit { EVP_PKEY_free(key) }

    /// A new ECDSA key on P-256, which every verifier of sigstore signatures knows
    /// (cosign, SIGNATURE_SPEC.md, "Signature Schemes").
    public static func generate() throws(TrustError) -> SigstorePrivateKey {
        guard let context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nil) else { throw failure("generate a key") }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1,
            EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1,
            EVP_PKEY_CTX_set_ec_param_enc(context, OPENSSL_EC_NAMED_CURVE) == 1,
            EVP_PKEY_keygen(context, &key) == 1, let key
        else { throw failure("generate a key") }
        return SigstorePrivateKey(owning: key)
    }

    private static let labels = ["ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"]

    /// - Parameter name: as messages name the file.
    public convenience init(
        encrypted text: [UInt8], passphrase: [UInt8], name: String
    ) throws(TrustError) {
        guard let block = PEM.single(text) else {
            throw TrustError(.key, "read the private key \(name)", "it is no PEM text")
        }
        guard Self.labels.contains(block.label) else {
            throw TrustError(
                .key, "read the private key \(name)",
                "it holds \(block.label.prefix(60)), not \(Self.labels[0])")
        }
        var der = try EncryptedKey.decrypt(block.bytes, passphrase: passphrase, name: name)
        defer { der.wipe() }
        let key: OpaquePointer? = der.withUnsafeBufferPointer { bytes in
            var position = bytes.baseAddress
            return d2i_AutoPrivateKey(nil, &position, bytes.count)
        }
        guard let key else {
            ERR_clear_error()
            throw TrustError(.key, "read the private key \(name)", "it is no key of a kind that we know")
        }
        self.init(owning: key)
    }

    /// The file's text, encrypted.
    public func encrypted(passphrase: [UInt8]) throws(TrustError) -> String {
        guard let info = EVP_PKEY2PKCS8(key) else { throw Self.failure("write the private key") }
        defer { PKCS8_PRIV_KEY_INFO_free(info) }
        var pointer: UnsafeMutablePointer<UInt8>?
        let count = i2d_PKCS8_PRIV_KEY_INFO(info, &pointer)
        guard count > 0, let pointer else { throw Self.failure("write the private key") }
        defer { CRYPTO_clear_free(pointer, Int(count), nil, 0) }
        var der = Array(UnsafeBufferPointer(start: pointer, count: Int(count)))
        defer { der.wipe() }
        return PEM.text(
            PEM.Block(label: Self.labels[1], bytes: try EncryptedKey.encrypt(der, passphrase: passphrase)))
    }

    /// The public half's text.
    public var publicText: String {
        EVP_PKEY_up_ref(key)
        return PEM.text(PEM.Block(label: "PUBLIC KEY", bytes: PublicKey(owning: key).der))
    }

    public func sign(_ payload: SignaturePayload, creator: String) throws(TrustError) -> ImageSignature {
        let text = payload.bytes(
            type: SignaturePayload.sigstoreType, creator: creator, time: Int64(time(nil)))
        return .sigstore(
            SigstoreSignature(
                mediaType: SigstoreSignature.payloadMediaType, payload: text,
                annotations: [
                    SigstoreSignature.Annotation.signature: Base64.encode(try signature(of: text))
                ]))
    }

    func signature(of message: [UInt8]) throws(TrustError) -> [UInt8] {
        guard let context = EVP_MD_CTX_new() else { throw Self.failure("sign") }
        defer { EVP_MD_CTX_free(context) }
        let hash = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? nil : EVP_sha256()
        var count = 0
        guard EVP_DigestSignInit(context, nil, hash, nil, key) == 1,
            EVP_DigestSign(context, nil, &count, message, message.count) == 1
        else { throw Self.failure("sign") }
        var output = [UInt8](repeating: 0, count: count)
        guard EVP_DigestSign(context, &output, &count, message, message.count) == 1 else {
            throw Self.failure("sign")
        }
        return Array(output[..<count])
    }

    private static func failure(_ operation: String) -> TrustError {
        let code = ERR_get_error()
        ERR_clear_error()
        return TrustError(
            .key, operation, ERR_reason_error_string(code).map { String(cString: $0) } ?? "OpenSSL failed")
    }
}

extension [UInt8] {
    /// Before memory goes back that held a secret.
    mutating func wipe() {
        withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
    }
}
