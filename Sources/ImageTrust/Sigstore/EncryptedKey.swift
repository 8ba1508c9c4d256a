internal import COpenSSL
internal import CSodium
internal import JSONText
internal import LayerArchive

/// The encryption of cosign's key files: scrypt makes a key of the passphrase, NaCl's secretbox
/// (XSalsa20 and Poly1305) does the rest (go-securesystemslib, encrypted).
enum EncryptedKey {
    private static let saltSize = 32
    private static let keySize = 32
    private static let nonceSize = 24
    private static let tagSize = 16
    /// What is written: older verifiers know this cost alone, newer ones know both.
    private static let cost: UInt64 = 1 << 15
    private static let knownCosts: Set<UInt64> = [1 << 15, 1 << 16, 1 << 17]
    /// 128 MiB for the highest cost, and what goes with it.
    private static let memory: UInt64 = 160 << 20

    static func decrypt(
        _ text: [UInt8], passphrase: [UInt8], name: String
    ) throws(TrustError) -> [UInt8] {
        let salt: [UInt8]
        let nonce: [UInt8]
        let sealed: [UInt8]
        let cost: UInt64
        do throws(JSONError) {
            let json = try JSON(parsing: text, refusingDuplicates: true)
            func bytes(_ place: String, _ value: JSON?) throws(JSONError) -> [UInt8] {
                guard let text = value?.string, let bytes = Base64.decode(text) else {
                    throw JSONError(path: place, "expected base64")
                }
                return bytes
            }
            guard let derivation = json["kdf"], derivation["name"]?.string == "scrypt",
                json["cipher"]?["name"]?.string == "nacl/secretbox"
            else { throw JSONError("it is not encrypted by scrypt and nacl/secretbox") }
            salt = try bytes("kdf.salt", derivation["salt"])
            nonce = try bytes("cipher.nonce", json["cipher"]?["nonce"])
            sealed = try bytes("ciphertext", json["ciphertext"])
            // Whoever wrote the file must not choose how long we work on it.
            guard let n = derivation["params"]?["N"]?.unsigned, knownCosts.contains(n),
                derivation["params"]?["r"]?.int == 8, derivation["params"]?["p"]?.int == 1,
                nonce.count == nonceSize, salt.count <= 1024, sealed.count >= tagSize
            else { throw JSONError("its parameters are not those of cosign") }
            cost = n
        } catch {
            throw TrustError(.key, "read the private key \(name)", error.description)
        }
        var key = try derive(passphrase, salt, cost)
        defer { key.wipe() }
        var plain = [UInt8](repeating: 0, count: sealed.count - tagSize)
        guard crypto_secretbox_open_easy(&plain, sealed, UInt64(sealed.count), nonce, key) == 0 else {
            throw TrustError(.key, "decrypt the private key \(name)", "the passphrase is wrong")
        }
        return plain
    }

    static func encrypt(_ plain: [UInt8], passphrase: [UInt8]) throws(TrustError) -> [UInt8] {
        let salt = try random(saltSize)
        let nonce = try random(nonceSize)
        var key = try derive(passphrase, salt, cost)
        defer { key.wipe() }
        var sealed = [UInt8](repeating: 0, count: plain.count + tagSize)
        guard crypto_secretbox_easy(&sealed, plain, UInt64(plain.count), nonce, key) == 0 else {
            throw TrustError(.key, "encrypt the private key", "secretbox failed")
        }
        let json: JSON = [
            "kdf": [
                "name": "scrypt", "params": ["N": .integer(Int64(cost)), "r": 8, "p": 1],
                "salt": .string(Base64.encode(salt)),
            ],
            "cipher": ["name": "nacl/secretbox", "nonce": .string(Base64.encode(nonce))],
            "ciphertext": .string(Base64.encode(sealed)),
        ]
        return json.bytes()
    }

    private static func derive(
        _ passphrase: [UInt8], _ salt: [UInt8], _ cost: UInt64
    ) throws(TrustError) -> [UInt8] {
        var key = [UInt8](repeating: 0, count: keySize)
        let done = passphrase.withUnsafeBytes { passphrase in
            // NULL asks for a test of the parameters, and derives nothing (EVP_PBE_scrypt(3)).
            withUnsafePointer(to: 0 as CChar) { empty in
                EVP_PBE_scrypt(
                    passphrase.isEmpty ? empty : passphrase.baseAddress!.assumingMemoryBound(to: CChar.self),
                    passphrase.count, salt, salt.count, cost, 8, 1, memory, &key, keySize)
            }
        }
        guard done == 1 else {
            ERR_clear_error()
            throw TrustError(.key, "derive a key from the passphrase", "scrypt failed")
        }
        return key
    }

    private static func random(_ count: Int) throws(TrustError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard RAND_bytes(&bytes, Int32(count)) == 1 else {
            throw TrustError(.key, "encrypt the private key", "there are no random bytes")
        }
        return bytes
    }
}
