import LinuxSystem

/// Writes the table of contents of zstd:chunked (containers/storage, pkg/chunked/internal/minimal):
/// JSON, compressed as it is made.
final class TableWriter {
    struct Chunk {
        /// In the file.
        var start: Int64
        var size: Int64
        /// In the blob.
        var offset: Int64
        var digest: Digest
    }

    /// In which Go writes a moment as JSON, in seconds since 1970.
    static let years: Range<Int64> = -62_135_596_799..<253_402_300_800

    private let packed = BytesSink()
    private let sink: CompressingSink
    private var length: Int64 = 0
    private var isFirst = true

    init(level: Int) throws(ArchiveError) { sink = try CompressingSink(.zstd, to: packed, level: level) }

    /// - Parameters:
    ///   - end: where the last chunk ends, in the blob.
    ///   - digest: of the contents; nil when there are none.
    func add(_ entry: TarEntry, _ header: RawHeader, _ chunks: [Chunk], end: Int64, digest: Digest?) throws {
        var object = ObjectText()
        object.set("type", entry.kind.tableName)
        object.set("name", entry.text)
        object.set("linkName", nonEmpty: String(decoding: entry.linkTarget, as: UTF8.self))
        object.set("mode", nonZero: header.mode)
        object.set("size", nonZero: entry.size)
        object.set("uid", nonZero: Int64(entry.user))
        object.set("gid", nonZero: Int64(entry.group))
        object.set("modtime", entry.modified.description)
        if let accessed = header.accessed { object.set("accesstime", accessed.description) }
        if let changed = header.changed { object.set("changetime", changed.description) }
        object.set("devMajor", nonZero: header.deviceMajor)
        object.set("devMinor", nonZero: header.deviceMinor)
        if !header.attributes.isEmpty {
            var attributes = ObjectText()
            for (name, value) in header.attributes.sorted(by: { $0.name.lexicographicallyPrecedes($1.name) })
            {
                attributes.set(String(decoding: name, as: UTF8.self), Base64.encode(value))
            }
            object.set("xattrs", attributes)
        }
        if let digest, let first = chunks.first {
            object.set("digest", "\(digest)")
            object.set("offset", nonZero: first.offset)
            object.set("endOffset", nonZero: end)
            if chunks.count > 1 {
                object.set("chunkSize", nonZero: first.size)
                object.set("chunkDigest", "\(first.digest)")
            }
        }
        try write(object)
        for chunk in chunks.dropFirst() {
            var object = ObjectText()
            object.set("type", "chunk")
            object.set("name", entry.text)
            object.set("offset", nonZero: chunk.offset)
            object.set("chunkSize", nonZero: chunk.size)
            object.set("chunkOffset", nonZero: chunk.start)
            object.set("chunkDigest", "\(chunk.digest)")
            try write(object)
        }
    }

    private func write(_ object: consuming ObjectText) throws {
        try write((isFirst ? #"{"version":1,"entries":["# : ",").utf8)
        isFirst = false
        try write(object.finish())
    }

    private func write(_ bytes: some Sequence<UInt8>) throws {
        let bytes = Array(bytes)
        length += Int64(bytes.count)
        try sink.write(bytes)
    }

    func finish(splitDigest: Digest) throws -> (compressed: [UInt8], length: Int64) {
        if isFirst { try write(#"{"version":1,"entries":["#.utf8) }
        try write("],\"tarSplitDigest\":\"\(splitDigest)\"}".utf8)
        try sink.finish()
        return (packed.bytes, length)
    }
}

extension TarEntry.Kind {
    fileprivate var tableName: String {
        switch self {
        case .regular: "reg"
        case .hardLink: "hardlink"
        case .symbolicLink: "symlink"
        case .characterDevice: "char"
        case .blockDevice: "block"
        case .directory: "dir"
        case .fifo: "fifo"
        }
    }
}
