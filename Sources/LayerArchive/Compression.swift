/// How a layer or an archive is compressed.
public enum Compression: String, Sendable, CaseIterable {
    case none, gzip, zstd
    /// Read, never written: no layer should be compressed so (OCI Image Specification, layer.md).
    case bzip2

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
        // "BZh", the size of blocks, and the beginning of a block or of the stream's end.
        if prefix.starts(with: [0x42, 0x5A, 0x68]), prefix.count >= 6, (0x31...0x39).contains(prefix[3]),
            prefix[4...5].elementsEqual([0x31, 0x41]) || prefix[4...5].elementsEqual([0x17, 0x72])
        {
            return .bzip2
        }
        return .none
    }
}
