/// A compressed layer that says where in it which file is: zstd:chunked or eStargz.
///
/// Such a blob is a row of *frames* (of zstd, or members of gzip), each compressed by itself: the
/// contents of files in some, the tar's headers in others. At its end stands a *table* of the
/// files. The same file, compressed by the same program, is the same frame in every blob: what one
/// layer has of another is found by reading two tables.
///
///     if let layer = ChunkedLayer(annotations: descriptor.annotations, size: descriptor.size) {
///         let table = try layer.table { try blob.read(from: $0, count: $1) }
///         for frame in table.frames { … }
///     }
public struct ChunkedLayer: Sendable, Equatable {
    enum Format: Sendable, Equatable {
        /// The compressed table lies in a skippable frame, whose contents are these bytes.
        case zstd(offset: Int64, length: Int64)
        /// The blob's last bytes say where the table is.
        case gzip
    }

    let format: Format
    /// Of the whole blob, in bytes.
    public let size: Int64
    /// Of the table: compressed in zstd:chunked, plain in eStargz.
    let checksum: Digest

    /// From the table on to the blob's end, kept in memory. containers/storage takes as much for the
    /// plain table; compressed an honest one has a fifth of that.
    static let tailLimit: Int64 = 32 << 20
    /// Of the plain table, which is read as it is inflated and not kept (containers/storage: 150 MiB).
    static let tableLimit: Int64 = 150 << 20

    static let prefix = "io.github.containers.zstd-chunked."
    /// Before containers/storage 1.43.
    private static let formerPrefix = "io.containers.zstd-chunked."
    static let gzipKey = "containerd.io/snapshot/stargz/toc.digest"

    /// From a layer's descriptor.
    /// - Returns: nil for a layer that says nothing of this kind, or nonsense, or has too large a table.
    public init?(annotations: [String: String], size: Int64) {
        self.size = size
        for prefix in [Self.prefix, Self.formerPrefix] {
            guard let position = annotations[prefix + "manifest-position"],
                let text = annotations[prefix + "manifest-checksum"]
            else { continue }
            let numbers = position.split(separator: ":", omittingEmptySubsequences: false).map { Int64($0) }
            guard let checksum = try? Digest(parsing: text), numbers.count == 4,
                let offset = numbers[0], let length = numbers[1], let plain = numbers[2], numbers[3] == 1,
                offset >= Self.frameHeader, offset <= size, length > 0, length <= size - offset,
                size - offset < Self.tailLimit, (1...Self.tableLimit).contains(plain)
            else { return nil }
            format = .zstd(offset: offset, length: length)
            self.checksum = checksum
            return
        }
        guard let text = annotations[Self.gzipKey], let checksum = try? Digest(parsing: text),
            size > StargzFooter.length
        else { return nil }
        format = .gzip
        self.checksum = checksum
    }

    /// Of a skippable frame (RFC 8878, section 3.1.2).
    static let frameHeader: Int64 = 8
}

/// What a chunked layer's end says of the rest.
public struct ChunkedTable: Sendable {
    /// From the blob's beginning up to the tail, without a gap.
    public var frames: [ChunkedFrame]
    /// The table itself and what follows it, up to the blob's end.
    public var tail: [UInt8]
}

/// A piece of a compressed layer that stands for itself.
public struct ChunkedFrame: Sendable, Equatable {
    /// Frames of the same content, and of the same length, are taken for the same bytes. The blob's
    /// digest tells whether they were. The numbers mean something in this process alone.
    public struct Key: Hashable, Sendable {
        var content: Int
        public var length: Int64
    }

    public var key: Key
    public var offset: Int64
    public var length: Int64 { key.length }
}

extension ChunkedLayer {
    /// Reads and verifies the table.
    /// - Parameter read: gives so many bytes of the blob from an offset on.
    /// - Throws: `digestMismatch`, `malformed`, `limitExceeded`; what `read` throws.
    public func table(_ read: (_ offset: Int64, _ count: Int) throws -> [UInt8]) throws -> ChunkedTable {
        switch format {
        case .zstd(let offset, let length):
            let start = offset - Self.frameHeader
            let tail = try readExactly(start, size - start, read)
            let compressed = Array(tail[Int(Self.frameHeader)..<Int(Self.frameHeader + length)])
            let actual = Digest.sha256(of: compressed)
            guard actual == checksum else { throw mismatch(actual) }
            let plain = DecompressingSource(BytesSource(compressed), compression: .zstd)
            var reader = ChunkedTableReader()
            try reader.read(LimitingSource(plain, limit: Self.tableLimit))
            return ChunkedTable(frames: try reader.finish(at: start), tail: tail)
        case .gzip:
            return try stargzTable(read)
        }
    }

    func readExactly(
        _ offset: Int64, _ count: Int64, _ read: (Int64, Int) throws -> [UInt8]
    ) throws -> [UInt8] {
        let bytes = try read(offset, Int(count))
        guard bytes.count == count else {
            throw ArchiveError(.truncated, "the layer ends before its table of contents does")
        }
        return bytes
    }

    func mismatch(_ actual: Digest) -> ArchiveError {
        ArchiveError(
            .digestMismatch, "the layer's table of contents has the digest \(actual)", on: "\(checksum)")
    }
}
