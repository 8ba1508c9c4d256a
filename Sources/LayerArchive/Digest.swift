/// The name of some bytes by their content: `sha256:<64 hexadecimal digits>`
/// (OCI Image Specification, descriptor.md, "Digests").
public struct Digest: Hashable, Sendable, Comparable, CustomStringConvertible {
    public enum Algorithm: String, Sendable {
        case sha256, sha512

        var hexLength: Int { self == .sha256 ? 64 : 128 }
    }

    public let algorithm: Algorithm
    /// Lower-case hexadecimal digits: safe as a file name.
    public let hex: String

    /// - Throws: `invalidDigest` unless the text is a known algorithm, a colon
    ///   and exactly the algorithm's number of lower-case hexadecimal digits.
    public init(parsing text: String) throws(ArchiveError) {
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            throw ArchiveError(.invalidDigest, "invalid digest \"\(text.prefix(80))\"")
        }
        guard let algorithm = Algorithm(rawValue: String(text[..<colon])) else {
            throw ArchiveError(
                .invalidDigest, "unknown digest algorithm \"\(text[..<colon].prefix(80))\"")
        }
        try self.init(algorithm, hex: String(text[text.utf8.index(after: colon)...]))
    }

    public init(_ algorithm: Algorithm, hex: String) throws(ArchiveError) {
        let digits = hex.utf8
        guard digits.count == algorithm.hexLength,
            digits.allSatisfy({
                ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9"))
                    || ($0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "f"))
            })
        else {
            throw ArchiveError(.invalidDigest, "invalid digest \"\(algorithm.rawValue):\(hex.prefix(160))\"")
        }
        self.algorithm = algorithm
        self.hex = hex
    }

    init(_ algorithm: Algorithm, bytes: UnsafeRawBufferPointer) {
        self.algorithm = algorithm
        let digits: StaticString = "0123456789abcdef"
        hex = String(unsafeUninitializedCapacity: bytes.count * 2) { text in
            for (index, byte) in bytes.enumerated() {
                text[index * 2] = digits.utf8Start[Int(byte >> 4)]
                text[index * 2 + 1] = digits.utf8Start[Int(byte & 15)]
            }
            return bytes.count * 2
        }
    }

    public static func sha256(of bytes: [UInt8]) -> Digest {
        bytes.withUnsafeBytes { sha256(of: $0) }
    }

    public static func sha256(of bytes: UnsafeRawBufferPointer) -> Digest {
        var hasher = SHA256()
        hasher.update(bytes)
        return hasher.finalize()
    }

    /// The first twelve digits, as people see them.
    public var short: String { String(hex.prefix(12)) }

    public var description: String { "\(algorithm.rawValue):\(hex)" }

    public static func < (left: Digest, right: Digest) -> Bool {
        left.algorithm == right.algorithm
            ? left.hex < right.hex : left.algorithm.rawValue < right.algorithm.rawValue
    }
}
