import LinuxSystem

/// Compresses a layer's tar as zstd:chunked, as containers/storage reads it: contents in frames of
/// their own, the headers between them in others, then the table of contents, what tar-split needs
/// to make the tar again, and a footer, each in a frame that decoders skip.
///
/// The same tar gives the same bytes. To others it is zstd like any other.
///
///     let result = try ChunkedCompressor(to: file).compress(tar)
///     descriptor.annotations = result.annotations
public final class ChunkedCompressor {
    /// What came of it.
    public struct Result: Sendable {
        /// For the layer's descriptor.
        public var annotations: [String: String]
        /// What the format has no words for; then there is no table and there are no annotations, and
        /// what was written is plain zstd.
        public var obstacle: String?
    }

    /// Of headers between contents, in one frame.
    private static let headerLimit = 1 << 20

    private let frames: ZstdFrames
    private let table: TableWriter
    private let split: TarSplitWriter
    private var headers: [UInt8] = []
    private var obstacle: String?
    private var names: Set<EntryPath> = []

    /// - Parameter level: 1 to 20; 3 unless said.
    public init(to sink: any ByteSink, level: Int? = nil) throws(ArchiveError) {
        let level = min(max(level ?? 3, 1), 20)
        frames = try ZstdFrames(to: sink, level: level)
        table = try TableWriter(level: level)
        split = try TarSplitWriter(level: level)
    }

    public func compress(_ tar: any ByteSource) throws -> Result {
        let reader = TarReader(tar)
        reader.keepsRaw = true
        var padding = 0
        while let entry = try reader.next() {
            let raw = reader.takeRaw()
            try add(headers: raw)
            let header = try RawHeader(raw.dropFirst(padding))
            if obstacle == nil { obstacle = reason(entry, header) }
            if obstacle == nil { try split.add(segment: raw) }
            try add(entry, header, of: reader)
            padding = Int(TarReader.padded(entry.storedSize) - entry.storedSize)
        }
        let end = reader.takeRaw()
        try add(headers: end)
        if obstacle == nil { try split.add(segment: end) }
        try reader.rest { piece in
            try add(headers: Array(piece))
            if obstacle == nil { try split.add(segment: Array(piece)) }
        }
        try endHeaders()
        if let obstacle { return Result(annotations: [:], obstacle: obstacle) }
        return Result(annotations: try finish())
    }

    // MARK: The tar

    private func add(headers bytes: [UInt8]) throws {
        headers += bytes
        if headers.count >= Self.headerLimit { try endHeaders() }
    }

    private func endHeaders() throws {
        guard !headers.isEmpty else { return }
        try headers.withUnsafeBytes { try frames.write($0) }
        headers.removeAll(keepingCapacity: true)
    }

    private func add(_ entry: TarEntry, _ header: RawHeader, of reader: TarReader) throws {
        var chunks: [TableWriter.Chunk] = []
        var whole = SHA256()
        var check = CRC64()
        if entry.storedSize > 0 {
            try endHeaders()
            var splitter = ChunkSplitter()
            var done: Int64 = 0
            func end(_ chunk: UnsafeRawBufferPointer) throws {
                var hash = SHA256()
                hash.update(chunk)
                chunks.append(
                    TableWriter.Chunk(
                        start: done, size: Int64(chunk.count), offset: frames.position,
                        digest: hash.finalize()))
                try frames.write(chunk)
                done += Int64(chunk.count)
            }
            while let piece = try reader.nextPiece() {
                whole.update(piece)
                check.update(piece)
                try splitter.split(piece, end)
            }
            try splitter.finish(end)
        }
        guard obstacle == nil else { return }
        let isEmpty = chunks.isEmpty
        try table.add(entry, header, chunks, end: frames.position, digest: isEmpty ? nil : whole.finalize())
        try split.add(file: entry.text, size: entry.size, check: isEmpty ? nil : check.value)
    }

    /// Why the format cannot tell of an entry.
    private func reason(_ entry: TarEntry, _ header: RawHeader) -> String? {
        func told(_ what: String) -> String { "\(entry.text.prefix(200)): \(what)" }
        if entry.segments != nil { return told("a sparse file") }
        guard let text = String(validating: entry.name, as: UTF8.self), text.utf8.count == entry.name.count,
            String(validating: entry.linkTarget, as: UTF8.self) != nil
        else { return told("a name that is not UTF-8") }
        guard let path = try? EntryPath(entry.name, in: entry), names.insert(path).inserted else {
            return told("a name that is there twice")
        }
        if !header.isPlain { return told("an extended header of an unusual kind") }
        for time in [entry.modified, header.accessed, header.changed].compactMap({ $0 })
        where !TableWriter.years.contains(time.seconds) {
            return told("a time outside of the years 1 to 9999")
        }
        return nil
    }

    // MARK: The end

    private func finish() throws -> [String: String] {
        let split = try split.finish()
        let table = try table.finish(splitDigest: Digest.sha256(of: split.compressed))
        let tableOffset = frames.position + ChunkedLayer.frameHeader
        try frames.write(skippable: table.compressed)
        let splitOffset = frames.position + ChunkedLayer.frameHeader
        try frames.write(skippable: split.compressed)

        var footer: [UInt8] = []
        for number in [
            tableOffset, Int64(table.compressed.count), table.length, 1, splitOffset,
            Int64(split.compressed.count), split.length,
        ] {
            footer += (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
        }
        footer += Array("GNUlInUx".utf8)
        try frames.write(skippable: footer)
        let prefix = ChunkedLayer.prefix
        return [
            prefix + "manifest-checksum": "\(Digest.sha256(of: table.compressed))",
            prefix + "manifest-position": "\(tableOffset):\(table.compressed.count):\(table.length):1",
            prefix + "tarsplit-position": "\(splitOffset):\(split.compressed.count):\(split.length)",
        ]
    }
}
