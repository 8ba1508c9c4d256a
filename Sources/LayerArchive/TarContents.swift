import LinuxSystem

/// The contents of a reader's current entry as a source, holes filled with
/// zeros. Valid until the reader's next `next()`.
final class TarContents: ByteSource {
    private let reader: TarReader
    private var segments: [TarEntry.Segment]
    private var index = 0
    private var position: Int64 = 0
    private let size: Int64
    private var piece = UnsafeRawBufferPointer(start: nil, count: 0)

    init(_ reader: TarReader, _ entry: TarEntry) {
        self.reader = reader
        size = entry.size
        segments = entry.segments ?? [.init(offset: 0, length: entry.size)]
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while index < segments.count, segments[index].end <= position { index += 1 }
        guard index < segments.count, segments[index].offset <= position else {
            let end = index < segments.count ? segments[index].offset : size
            let count = Int(min(Int64(buffer.count), end - position))
            if count > 0 { memset(buffer.baseAddress!, 0, count) }
            position += Int64(count)
            return count
        }
        if piece.isEmpty {
            guard let next = try reader.nextPiece() else { return 0 }
            piece = next
        }
        let count = min(buffer.count, piece.count, Int(segments[index].end - position))
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: piece[..<count]))
        piece = UnsafeRawBufferPointer(rebasing: piece[count...])
        position += Int64(count)
        return count
    }
}

extension TarReader {
    /// The contents of the entry that `next()` gave last, as a source that is
    /// valid until the next `next()`. Use either this or `nextPiece()`.
    public func contents(of entry: TarEntry) -> any ByteSource { TarContents(self, entry) }
}
