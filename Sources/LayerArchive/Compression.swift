/// How a layer or an archive is compressed.
public enum Compression: String, Sendable, CaseIterable {
    case none, gzip, zstd

    /// How many bytes `detect` wants to see.
    public static let prefixLength = 6

    /// What the first bytes of a stream say.
    /// - Throws: `unsupported` for the formats that we know but do not read.
    public static func detect(_ prefix: [UInt8]) throws(ArchiveError) -> Compression {
        if prefix.starts(with: [0x1F, 0x8B, 0x08]) { return .gzip }
        if prefix.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) { return .zstd }
        // A skippable frame, which may come first (RFC 8878, section 3.1.2).
        if prefix.count >= 4, prefix[0] & 0xF0 == 0x50, prefix[1...3].elementsEqual([0x2A, 0x4D, 0x18]) {
            return .zstd
        }
        if prefix.starts(with: XZSource.magic) {
            throw ArchiveError(.unsupported, "xz compression of a layer is not supported")
        }
        if prefix.starts(with: [0x42, 0x5A, 0x68]), prefix.count > 3, (0x31...0x39).contains(prefix[3]) {
            throw ArchiveError(.unsupported, "bzip2 compression is not supported")
        }
        return .none
    }
}
