/// One entry of a table of contents, in its text.
struct ChunkedEntry {
    private let text: UnsafeRawBufferPointer
    private(set) var isFile = false
    private(set) var isChunk = false
    private(set) var size: Int64 = 0
    /// nil for what has no contents.
    private(set) var offset: Int64?
    /// Of all chunks of a file; eStargz does not say.
    private(set) var end: Int64?
    /// Of the chunk, or of the file that is one.
    private(set) var digest = UnsafeRawBufferPointer(start: nil, count: 0)

    /// - Parameter text: outlives the entry.
    init(_ text: UnsafeRawBufferPointer) throws(ArchiveError) {
        self.text = text
        var entry = (isFile: false, isChunk: false, size: Int64?(0), offset: Int64?(0), end: Int64?(0))
        var whole = digest
        var part = digest
        try JSONMembers.walk(text) { name, value in
            switch name.count {
            case 4 where name.elementsEqual("type".utf8):
                entry.isFile = value.elementsEqual("\"reg\"".utf8)
                entry.isChunk = value.elementsEqual("\"chunk\"".utf8)
            case 4 where name.elementsEqual("size".utf8): entry.size = Self.number(value)
            case 6 where name.elementsEqual("offset".utf8): entry.offset = Self.number(value)
            case 9 where name.elementsEqual("endOffset".utf8): entry.end = Self.number(value)
            case 6 where name.elementsEqual("digest".utf8): whole = value
            case 11 where name.elementsEqual("chunkDigest".utf8): part = value
            default: break
            }
        }
        guard let size = entry.size, let offset = entry.offset, let end = entry.end else {
            throw ArchiveError(.malformed, "a number in a layer's table of contents is none")
        }
        isFile = entry.isFile
        isChunk = entry.isChunk
        digest = part.isEmpty ? whole : part
        self.size = size
        self.offset = offset > 0 && !digest.isEmpty ? offset : nil
        self.end = end > 0 ? end : nil
    }

    /// Whatever a tar's header is made of: the rest says where the contents are, and which.
    func combineMetadata(into hasher: inout Hasher) {
        // The text was walked before.
        try? JSONMembers.walk(text) { name, value in
            switch name.count {
            case 6 where name.elementsEqual("offset".utf8) || name.elementsEqual("digest".utf8): return
            case 9
            where name.elementsEqual("endOffset".utf8) || name.elementsEqual("chunkSize".utf8)
                || name.elementsEqual("chunkType".utf8):
                return
            case 11 where name.elementsEqual("chunkDigest".utf8) || name.elementsEqual("chunkOffset".utf8):
                return
            default:
                hasher.combine(bytes: name)
                hasher.combine(bytes: value)
            }
        }
    }

    /// - Returns: nil for what is no whole number from 0 on, of at most 18 digits.
    private static func number(_ text: UnsafeRawBufferPointer) -> Int64? {
        guard !text.isEmpty, text.count <= 18 else { return nil }
        var value: Int64 = 0
        for byte in text {
            guard (0x30...0x39).contains(byte) else { return nil }
            value = value * 10 + Int64(byte - 0x30)
        }
        return value
    }
}
