internal import COpenSSL

/// Standard base64 with padding (RFC 4648, section 4), and nothing besides.
public enum Base64 {
    public static func encode(_ bytes: [UInt8]) -> String {
        String(unsafeUninitializedCapacity: (bytes.count + 2) / 3 * 4 + 1) { buffer in
            Int(EVP_EncodeBlock(buffer.baseAddress, bytes, Int32(bytes.count)))
        }
    }

    /// - Returns: nil for what is no base64; ends of lines are passed over, as Go does.
    public static func decode(_ text: String) -> [UInt8]? {
        decode(text.utf8.filter { $0 != 0x0A && $0 != 0x0D })
    }

    /// - Returns: nil for what is no base64 to its last byte.
    public static func decode(_ text: [UInt8]) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        var padding = 0
        while padding < 2, padding < text.count, text[text.count - 1 - padding] == UInt8(ascii: "=") {
            padding += 1
        }
        // OpenSSL passes over white space at both ends.
        guard text.dropLast(padding).allSatisfy(\.isBase64) else { return nil }
        var output = [UInt8](repeating: 0, count: text.count / 4 * 3 + 1)
        let count = EVP_DecodeBlock(&output, text, Int32(text.count))
        guard count >= padding else { return nil }
        return Array(output[..<(Int(count) - padding)])
    }

    /// As `decode`, of text whose padding may be missing.
    public static func decode(unpadded text: some Collection<UInt8>) -> [UInt8]? {
        decode(Array(text) + [UInt8](repeating: UInt8(ascii: "="), count: -text.count & 3))
    }
}

extension UInt8 {
    fileprivate var isBase64: Bool {
        (0x30...0x39).contains(self) || (0x41...0x5A).contains(self) || (0x61...0x7A).contains(self)
            || self == UInt8(ascii: "+") || self == UInt8(ascii: "/")
    }
}
