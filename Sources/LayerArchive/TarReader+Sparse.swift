/// The sparse maps of GNU tar ("Storing Sparse Files" in its manual): the old
/// type `S`, and the PAX versions 0.0, 0.1 and 1.0.
struct PaxSparse {
    var realSize: Int64?
    var segments: [TarEntry.Segment] = []
    var mapIsInContents = false
    private var offset: Int64?

    init() {}

    mutating func take(_ key: String, _ value: ArraySlice<UInt8>) throws(ArchiveError) {
        switch key {
        case "major": mapIsInContents = try PaxRecords.number(value) == 1
        case "realsize", "size": realSize = try PaxRecords.number(value)
        case "offset": offset = try PaxRecords.number(value)
        case "numbytes":
            guard let offset else {
                throw ArchiveError(.malformed, "invalid sparse map in an extended tar header")
            }
            segments.append(.init(offset: offset, length: try PaxRecords.number(value)))
            self.offset = nil
        case "map":
            let numbers = value.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
            guard numbers.count % 2 == 0 else {
                throw ArchiveError(.malformed, "invalid sparse map in an extended tar header")
            }
            segments = []
            for index in stride(from: 0, to: numbers.count, by: 2) {
                segments.append(
                    .init(
                        offset: try PaxRecords.number(numbers[index]),
                        length: try PaxRecords.number(numbers[index + 1])))
            }
        default: break
        }
    }
}

/// The part of a type `S` header that describes holes.
struct GNUSparseHeader {
    var segments: [TarEntry.Segment] = []
    var continues: Bool

    init(_ header: TarHeader) throws(ArchiveError) {
        continues = header.block[482] != 0
        try take(header, from: 386, count: 4)
    }

    init(continuation block: TarHeader) throws(ArchiveError) {
        continues = block.block[504] != 0
        try take(block, from: 0, count: 21)
    }

    private mutating func take(_ header: TarHeader, from start: Int, count: Int) throws(ArchiveError) {
        for index in 0..<count {
            let position = start + index * 24
            // An unused slot, and the end of the list.
            if header.block[position] == 0 { return }
            segments.append(
                .init(offset: try header.number(position, 12), length: try header.number(position + 12, 12)))
        }
    }
}

extension TarReader {
    /// The rest of a type `S` map, in blocks between the header and the contents.
    func gnuSegments(_ first: GNUSparseHeader) throws -> [TarEntry.Segment] {
        var segments = first.segments
        var continues = first.continues
        while continues {
            let more = try GNUSparseHeader(continuation: TarHeader(try takeBlock()))
            segments += more.segments
            continues = more.continues
            try checkCount(segments.count)
        }
        return segments
    }

    /// The map of version 1.0, ahead of the contents: decimal numbers, a line
    /// each, filled up to whole blocks. The first is the number of pieces.
    func segmentsInContents() throws -> [TarEntry.Segment] {
        var text: [UInt8] = []
        var numbers: [Int64] = []
        var wanted = 1
        while numbers.count < wanted {
            for byte in try takeContents(TarHeader.blockSize) where numbers.count < wanted {
                if byte != 0x0A {
                    text.append(byte)
                    if text.count > 20 { throw malformed("an invalid sparse map") }
                    continue
                }
                guard let number = PaxRecords.decimal(text) else { throw malformed("an invalid sparse map") }
                text = []
                numbers.append(number)
                if numbers.count == 1 {
                    try checkCount(Int(min(number, Int64(Self.maximumSegments) + 1)))
                    wanted = 1 + Int(number) * 2
                }
            }
        }
        return stride(from: 1, to: wanted, by: 2).map {
            TarEntry.Segment(offset: numbers[$0], length: numbers[$0 + 1])
        }
    }

    private func checkCount(_ count: Int) throws {
        if count > Self.maximumSegments {
            throw ArchiveError(.limitExceeded, "sparse map of more than \(Self.maximumSegments) pieces")
        }
    }

    /// Pieces in order, without overlap, within the file, and as long as the contents.
    func checkSegments(of entry: TarEntry) throws {
        guard let segments = entry.segments else { return }
        var end: Int64 = 0
        var total: Int64 = 0
        for segment in segments {
            guard segment.offset >= end, segment.length >= 0, segment.offset <= entry.size,
                segment.length <= entry.size - segment.offset
            else { throw ArchiveError(.malformed, "invalid sparse map", on: entry.text) }
            end = segment.end
            total += segment.length
        }
        guard total == remainingContents, entry.size >= 0 else {
            throw ArchiveError(.malformed, "a sparse map that does not fit the contents", on: entry.text)
        }
    }
}
