internal import COpenSSL

/// A public key: ECDSA, RSA (PKCS #1 v1.5), each with SHA-256, or Ed25519.
final class PublicKey: @unchecked Sendable {
    private let key: OpaquePointer

    init(owning key: OpaquePointer) { self.key = key }

    deinit { EVP_PKEY_free(key) }

    /// - Parameter text: `PUBLIC KEY` (RFC 7468, section 13).
    convenience init(pem text: [UInt8], name: String = "the public key") throws(TrustError) {
        guard let blocks = PEM.blocks(text), let block = blocks.first(where: { $0.label == "PUBLIC KEY" })
        else { throw TrustError(.key, "read \(name)", "it is no PEM text with a PUBLIC KEY") }
        let key: OpaquePointer? = block.bytes.withUnsafeBufferPointer { bytes in
            var position = bytes.baseAddress
            return d2i_PUBKEY(nil, &position, bytes.count)
        }
        guard let key else {
            ERR_clear_error()
            throw TrustError(.key, "read \(name)", "it is no key of a kind that we know")
        }
        self.init(owning: key)
    }

    var isECDSA: Bool { EVP_PKEY_get_base_id(key) == EVP_PKEY_EC }

    /// SubjectPublicKeyInfo.
    var der: [UInt8] {
        var pointer: UnsafeMutablePointer<UInt8>?
        let count = i2d_PUBKEY(key, &pointer)
        guard count > 0, let pointer else { return [] }
        defer { CRYPTO_free(pointer, nil, 0) }
        return Array(UnsafeBufferPointer(start: pointer, count: Int(count)))
    }

    func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        guard let context = EVP_MD_CTX_new() else { return false }
        defer {
            EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        let hash = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? nil : EVP_sha256()
        guard EVP_DigestVerifyInit(context, nil, hash, nil, key) == 1 else { return false }
        return EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }
}
