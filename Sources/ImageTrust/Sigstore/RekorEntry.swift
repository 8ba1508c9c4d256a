internal import JSONText
internal import LayerArchive

/// Rekor's word that a signature was in its log at a time: cosign's bundle, whose signed entry
/// timestamp is verified without asking anybody.
struct RekorEntry {
    /// Seconds since 1970.
    let time: Int64
    private let body: [UInt8]

    /// More than a double holds exactly is no canonical number (RFC 8785, section 3.2.2.3).
    private static let maximumNumber: Int64 = 1 << 53

    /// - Throws: `signature` unless one of the keys signed it.
    init(_ text: String, signedByOneOf keys: [PublicKey]) throws(TrustError) {
        do throws(JSONError) {
            let bundle = try PolicyFields(JSON(parsing: Array(text.utf8), refusingDuplicates: true))
            guard let signature = Base64.decode(try bundle.string("SignedEntryTimestamp")) else {
                throw JSONError(path: "SignedEntryTimestamp", "is no base64")
            }
            let payload = try PolicyFields(bundle.value("Payload") ?? .null)
            try bundle.finish()
            let encoded = try payload.string("body")
            // It goes into the canonical form as it stands.
            guard let body = Base64.decode(Array(encoded.utf8)) else {
                throw JSONError(path: "body", "is no base64")
            }
            let log = try payload.string("logID")
            guard log.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }) else {
                throw JSONError(path: "logID", "is no hexadecimal number")
            }
            let time = try Self.number(payload, "integratedTime")
            let index = try Self.number(payload, "logIndex")
            try payload.finish()
            // What was signed is the canonical form (RFC 8785); of these members it is this.
            let signed =
                #"{"body":"\#(encoded)","integratedTime":\#(time),"logID":"\#(log)","logIndex":\#(index)}"#
            guard keys.contains(where: { $0.verifies(signature, of: Array(signed.utf8)) }) else {
                throw JSONError("the signed entry timestamp is not by a key of Rekor that is accepted")
            }
            self.time = time
            self.body = body
        } catch {
            throw Self.wrong(error.description)
        }
    }

    private static func number(_ fields: PolicyFields, _ name: String) throws(JSONError) -> Int64 {
        guard case .integer(let value)? = fields.value(name), (0...maximumNumber).contains(value) else {
            throw JSONError(path: name, "expected a whole number")
        }
        return value
    }

    /// Whether the entry is of this signature of this payload by this key or certificate, and not of another.
    /// - Parameter signer: DER.
    func requireMatch(signature: [UInt8], payload: [UInt8], signer: [UInt8]) throws(TrustError) {
        let entry: JSON
        do throws(JSONError) {
            entry = try JSON(parsing: body, refusingDuplicates: true)
        } catch {
            throw Self.wrong("its body: \(error)")
        }
        guard entry["kind"]?.string == "hashedrekord", entry["apiVersion"]?.string == "0.0.1" else {
            throw Self.wrong("its body is no hashedrekord 0.0.1")
        }
        let hash = entry["spec"]?["data"]?["hash"]
        guard hash?["algorithm"]?.string == "sha256",
            hash?["value"]?.string?.lowercased() == Digest.sha256(of: payload).hex
        else { throw Self.wrong("it is for another payload") }
        let record = entry["spec"]?["signature"]
        guard let content = record?["content"]?.string, Base64.decode(content) == signature else {
            throw Self.wrong("it is for another signature")
        }
        guard let key = record?["publicKey"]?["content"]?.string, let pem = Base64.decode(key),
            let block = PEM.single(pem), block.bytes == signer
        else { throw Self.wrong("it is for another key") }
    }

    private static func wrong(_ why: String) -> TrustError {
        TrustError(.signature, "verify Rekor's entry", why)
    }
}
