import COpenSSL

/// SHA-256 over bytes that arrive in pieces. A copy goes its own way.
public struct SHA256: Sendable {
    private var context = SHA256_CTX()

    public init() { SHA256_Init(&context) }

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        SHA256_Update(&context, bytes.baseAddress, bytes.count)
    }

    public mutating func update(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { update($0) }
    }

    /// The digest of all bytes so far; more may follow.
    public func finalize() -> Digest {
        var copy = context
        return withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { output in
            SHA256_Final(output.baseAddress!.assumingMemoryBound(to: UInt8.self), &copy)
            return Digest(.sha256, bytes: UnsafeRawBufferPointer(output))
        }
    }
}

/// SHA-512 over bytes that arrive in pieces.
struct SHA512: Sendable {
    private var context = SHA512_CTX()

    init() { SHA512_Init(&context) }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        SHA512_Update(&context, bytes.baseAddress, bytes.count)
    }

    func finalize() -> Digest {
        var copy = context
        return withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { output in
            SHA512_Final(output.baseAddress!.assumingMemoryBound(to: UInt8.self), &copy)
            return Digest(.sha512, bytes: UnsafeRawBufferPointer(output))
        }
    }
}

/// The hash function that a digest's algorithm names.
public enum DigestHasher: Sendable {
    case sha256(SHA256)
    case sha512(SHA512Box)

    /// Keeps the enum small in the usual case.
    public struct SHA512Box: Sendable {
        var hash = SHA512()
    }

    public init(_ algorithm: Digest.Algorithm) {
        switch algorithm {
        case .sha256: self = .sha256(SHA256())
        case .sha512: self = .sha512(SHA512Box())
        }
    }

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        switch self {
        case .sha256(var hash):
            hash.update(bytes)
            self = .sha256(hash)
        case .sha512(var box):
            box.hash.update(bytes)
            self = .sha512(box)
        }
    }

    public func finalize() -> Digest {
        switch self {
        case .sha256(let hash): hash.finalize()
        case .sha512(let box): box.hash.finalize()
        }
    }
}
