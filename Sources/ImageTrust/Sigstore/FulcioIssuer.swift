/// Who vouched to Fulcio for the holder of a certificate (fulcio, docs/oid-info.md).
enum FulcioIssuer {
    private static let first = "1.3.6.1.4.1.57264.1.1"
    private static let second = "1.3.6.1.4.1.57264.1.8"

    /// - Throws: `signature` when the certificate does not say, or says two things.
    static func of(_ certificate: Certificate) throws(TrustError) -> String {
        let raw = try certificate.extension(first)
        let encoded = try certificate.extension(second)
        let text: [UInt8]?
        if let encoded {
            guard let string = derString(encoded) else {
                throw Certificate.wrong("its extension \(second) is no text")
            }
            if let raw, raw != string { throw Certificate.wrong("it names two issuers") }
            text = string
        } else {
            text = raw
        }
        guard let text else { throw Certificate.wrong("it does not say who vouches for its holder") }
        return String(decoding: text, as: UTF8.self)
    }

    /// A UTF8String, PrintableString or IA5String, and nothing behind it.
    private static func derString(_ der: [UInt8]) -> [UInt8]? {
        guard der.count >= 2, [0x0C, 0x13, 0x16].contains(der[0]) else { return nil }
        if der[1] < 0x80 { return der.count == 2 + Int(der[1]) ? Array(der[2...]) : nil }
        if der[1] == 0x81, der.count >= 3, der[2] >= 0x80 {
            return der.count == 3 + Int(der[2]) ? Array(der[3...]) : nil
        }
        guard der[1] == 0x82, der.count >= 4, der[2] > 0 else { return nil }
        return der.count == 4 + Int(der[2]) << 8 + Int(der[3]) ? Array(der[4...]) : nil
    }
}
