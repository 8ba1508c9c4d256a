internal import LayerArchive

/// OpenPGP's form in letters (RFC 4880, section 6.2): gpgv reads keys without it only.
enum OpenPGPArmor {
    /// Keys as packets, whether they were armored or not.
    static func removed(from text: [UInt8]) throws(TrustError) -> [UInt8] {
        guard let first = text.first, first & 0x80 == 0 else { return text }
        func wrong() -> TrustError { TrustError(.key, "read the GPG key", "its armor is broken") }
        var packets: [UInt8] = []
        var body: [UInt8]?
        var isHeader = false
        for line in text.split(separator: 0x0A, omittingEmptySubsequences: false) {
            var line = line
            while let last = line.last, last == 0x0D || last == 0x20 || last == 0x09 { line.removeLast() }
            if line.elementsEqual("-----BEGIN PGP PUBLIC KEY BLOCK-----".utf8) {
                guard body == nil else { throw wrong() }
                body = []
                isHeader = true
            } else if line.elementsEqual("-----END PGP PUBLIC KEY BLOCK-----".utf8) {
                guard let done = body, let bytes = Base64.decode(done) else { throw wrong() }
                packets += bytes
                body = nil
            } else if body != nil {
                if isHeader {
                    // Up to an empty line: `Version: …`
                    isHeader = !line.isEmpty
                } else if line.first != UInt8(ascii: "=") {
                    // The checksum is for transmission errors; the key's own signatures say more.
                    body? += line
                }
            }
        }
        guard body == nil, !packets.isEmpty else { throw wrong() }
        return packets
    }
}
