/// Passes bytes on and knows their digest and number.
public final class HashingSource: ByteSource {
    private let source: any ByteSource
    private var hash = SHA256()
    /// The bytes that have passed.
    public private(set) var count: Int64 = 0

    public init(_ source: any ByteSource) { self.source = source }

    /// Of the bytes that have passed.
    public var digest: Digest { hash.finalize() }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let read = try source.read(into: buffer)
        hash.update(UnsafeRawBufferPointer(rebasing: buffer[..<read]))
        count += Int64(read)
        return read
    }
}

/// Passes bytes on and knows their digest and number.
public final class HashingSink: ByteSink {
    private let sink: any ByteSink
    private var hash = SHA256()
    /// The bytes that have passed.
    public private(set) var count: Int64 = 0

    public init(_ sink: any ByteSink) { self.sink = sink }

    /// Of the bytes that have passed.
    public var digest: Digest { hash.finalize() }

    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        hash.update(bytes)
        count += Int64(bytes.count)
        try sink.write(bytes)
    }
}

/// Passes bytes on and fails unless they are, in the end, those that were
/// announced. The failure comes in place of the end: whoever has seen the end
/// has seen the right bytes.
public final class VerifyingSource: ByteSource {
    private let source: any ByteSource
    private let expected: Digest
    private let size: Int64?
    private var hash: DigestHasher
    /// The bytes that have passed.
    public private(set) var count: Int64 = 0
    private var verified = false

    /// - Parameter size: The announced number of bytes; nil when unknown.
    public init(_ source: any ByteSource, expected: Digest, size: Int64? = nil) {
        self.source = source
        self.expected = expected
        self.size = size
        hash = DigestHasher(expected.algorithm)
    }

    /// - Throws: `sizeMismatch` as soon as there is one byte too many;
    ///   `sizeMismatch` or `digestMismatch` at the end.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        if verified { return 0 }
        let read = try source.read(into: buffer)
        if read == 0 {
            try verify()
            return 0
        }
        count += Int64(read)
        if let size, count > size {
            throw ArchiveError(.sizeMismatch, "more than the announced \(size) bytes", on: "\(expected)")
        }
        hash.update(UnsafeRawBufferPointer(rebasing: buffer[..<read]))
        return read
    }

    /// Reads what is left and verifies. Call it after a consumer that may stop
    /// before the end (a decompressor does, at the end of its last frame).
    public func finish() throws { try drain() }

    private func verify() throws(ArchiveError) {
        if let size, count != size {
            throw ArchiveError(.sizeMismatch, "\(count) bytes instead of \(size)", on: "\(expected)")
        }
        let actual = hash.finalize()
        if actual != expected {
            throw ArchiveError(.digestMismatch, "the content has the digest \(actual)", on: "\(expected)")
        }
        verified = true
    }
}

/// Passes bytes on and writes them to a sink as well.
public final class TeeSource: ByteSource {
    private let source: any ByteSource
    private let sink: any ByteSink

    public init(_ source: any ByteSource, to sink: any ByteSink) {
        self.source = source
        self.sink = sink
    }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let read = try source.read(into: buffer)
        if read > 0 { try sink.write(UnsafeRawBufferPointer(rebasing: buffer[..<read])) }
        return read
    }
}

/// Passes on so many bytes and fails when there are more: against
/// decompression bombs.
public final class LimitingSource: ByteSource {
    private let source: any ByteSource
    private let limit: Int64
    private var count: Int64 = 0

    public init(_ source: any ByteSource, limit: Int64) {
        self.source = source
        self.limit = limit
    }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let read = try source.read(into: buffer)
        count += Int64(read)
        if count > limit { throw ArchiveError(.limitExceeded, "more than \(limit) bytes") }
        return read
    }
}
