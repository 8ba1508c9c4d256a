/// Makes frames of a table of contents, entry by entry: neither its text nor what was read of it
/// is kept, so that the memory for a table is that of its frames.
///
/// A table is one JSON object with `version` 1 and an array `entries`, in the tar's order. An entry
/// that says nothing of an offset has no contents: its header is in the frame that its
/// predecessors' are in.
struct ChunkedTableReader {
    /// What a layer of 150 MB of table has, and more.
    var frameLimit = 1 << 19
    /// One entry: names and attributes are in it.
    static let entryLimit = 4 << 20
    private static let skeletonLimit = 4 << 10

    // The text: what is no entry, an entry that is cut by the end of a piece, and where we stand.
    private var skeleton: [UInt8] = []
    private var entry: [UInt8] = []
    private var depth = 0
    private var inString = false
    private var escaped = false

    // The frames: those that are complete, and the one that grows.
    private var frames: [ChunkedFrame] = []
    private var start: Int64 = 0
    private var content = Hasher()
    private var isPayload = false
    /// Of the file whose contents came last: how long it is, and where its frames end, if that was said.
    private var fileSize: Int64 = 0
    private var fileEnd: Int64?

    // MARK: Text

    mutating func read(_ source: any ByteSource) throws {
        let buffer = StreamBuffer(streamBufferSize)
        while true {
            let count = try source.read(into: buffer.bytes)
            if count == 0 { return }
            try feed(UnsafeRawBufferPointer(rebasing: buffer.bytes[..<count]))
        }
    }

    mutating func feed(_ piece: UnsafeRawBufferPointer) throws {
        // Where the entry at hand begins in this piece.
        var mark = depth > 2 ? 0 : -1
        var position = 0
        while position < piece.count {
            let byte = piece[position]
            position += 1
            if inString {
                if escaped {
                    escaped = false
                } else if byte == UInt8(ascii: "\\") {
                    escaped = true
                } else if byte == UInt8(ascii: "\"") {
                    inString = false
                }
            } else {
                switch byte {
                case UInt8(ascii: "\""): inString = true
                case UInt8(ascii: "{"), UInt8(ascii: "["):
                    depth += 1
                    if depth == 3 { mark = position - 1 }
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    depth -= 1
                    guard depth >= 0 else { throw Self.malformed }
                    if depth == 2 {
                        let rest = UnsafeRawBufferPointer(rebasing: piece[mark..<position])
                        mark = -1
                        if entry.isEmpty {
                            try add(rest)
                        } else {
                            try keep(rest)
                            let whole = entry
                            entry.removeAll(keepingCapacity: true)
                            try whole.withUnsafeBytes { try add($0) }
                        }
                        continue
                    }
                default: break
                }
            }
            guard depth < 3 else { continue }
            guard skeleton.count < Self.skeletonLimit else { throw Self.malformed }
            let isSpace = byte <= 0x20 && !inString
            if !isSpace, !(depth == 2 && byte == UInt8(ascii: ",") && !inString) { skeleton.append(byte) }
        }
        if mark >= 0 { try keep(UnsafeRawBufferPointer(rebasing: piece[mark...])) }
    }

    private mutating func keep(_ part: UnsafeRawBufferPointer) throws(ArchiveError) {
        guard entry.count + part.count <= Self.entryLimit else {
            throw ArchiveError(.limitExceeded, "an entry of a layer's table of contents is too large")
        }
        entry.append(contentsOf: part)
    }

    private static let malformed = ArchiveError(.malformed, "a layer's table of contents is no valid one")

    // MARK: Entries

    private mutating func add(_ text: UnsafeRawBufferPointer) throws(ArchiveError) {
        let entry = try ChunkedEntry(text)
        guard let offset = entry.offset, entry.isFile || entry.isChunk else {
            // A header without contents.
            try endFile()
            content.combine(bytes: text)
            return
        }
        if entry.isFile {
            try endFile()
            entry.combineMetadata(into: &content)
        }
        // Several small files can be in one frame.
        if !(isPayload && offset == start) {
            try close(at: offset)
            isPayload = true
        }
        if entry.isFile {
            fileSize = entry.size
            fileEnd = entry.end
        }
        content.combine(bytes: entry.digest)
        // What follows in the same frame begins with the padding to the tar's next block.
        if fileEnd == nil { content.combine(fileSize) }
    }

    /// The contents at hand are complete: headers follow.
    private mutating func endFile() throws(ArchiveError) {
        guard isPayload, let end = fileEnd else { return }
        try close(at: end)
        isPayload = false
        content.combine(fileSize)
        fileEnd = nil
    }

    private mutating func close(at end: Int64) throws(ArchiveError) {
        guard end >= start else {
            throw ArchiveError(.malformed, "the frames in a layer's table of contents overlap")
        }
        if end > start {
            guard frames.count < frameLimit else {
                throw ArchiveError(
                    .limitExceeded,
                    "a layer's table of contents has more than \(frameLimit) frames")
            }
            frames.append(
                ChunkedFrame(key: .init(content: content.finalize(), length: end - start), offset: start))
        }
        start = end
        content = Hasher()
    }

    /// - Parameter end: where the last frame ends.
    consuming func finish(at end: Int64) throws -> [ChunkedFrame] {
        guard depth == 0, !inString else { throw Self.malformed }
        var version = false
        try skeleton.withUnsafeBytes { bytes in
            try JSONMembers.walk(bytes) { name, value in
                if name.elementsEqual("version".utf8) { version = value.elementsEqual("1".utf8) }
            }
        }
        guard version else { throw Self.malformed }
        try endFile()
        try close(at: end)
        return frames
    }
}
