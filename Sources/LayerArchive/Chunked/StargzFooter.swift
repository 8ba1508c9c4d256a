/// The empty gzip member at the end of an eStargz blob, whose extra field says where the table is
/// (stargz-snapshotter, docs/estargz.md, "Footer").
enum StargzFooter {
    static let length: Int64 = 51

    /// - Returns: where the table's member begins; nil when this is no such footer.
    static func tableOffset(_ footer: ArraySlice<UInt8>) -> Int64? {
        guard footer.count == length else { return nil }
        let bytes = Array(footer)
        let head: [UInt8] = [0x1F, 0x8B, 8, 4]
        // The length of the extra field, the subfield's name, and its length.
        let extra: [UInt8] = [26, 0] + Array("SG".utf8) + [22, 0]
        guard bytes.starts(with: head), bytes[10..<16].elementsEqual(extra),
            bytes[32..<38].elementsEqual("STARGZ".utf8)
        else { return nil }
        return Int64(String(decoding: bytes[16..<32], as: UTF8.self), radix: 16)
    }
}

extension ChunkedLayer {
    /// What is asked for first: most tables are in it, so that one request will do.
    private var firstGuess: Int64 { min(size, max(64 << 10, size / 64), Self.tailLimit) }

    func stargzTable(_ read: (Int64, Int) throws -> [UInt8]) throws -> ChunkedTable {
        var start = size - firstGuess
        var tail = try readExactly(start, firstGuess, read)
        guard let offset = StargzFooter.tableOffset(tail.suffix(Int(StargzFooter.length))),
            offset >= 0, offset < size - StargzFooter.length
        else { throw ArchiveError(.malformed, "the layer has no footer of eStargz") }
        guard size - offset <= Self.tailLimit else {
            throw ArchiveError(.limitExceeded, "the layer's table of contents is too large")
        }
        if offset < start {
            tail = try readExactly(offset, start - offset, read) + tail
            start = offset
        }
        tail.removeFirst(Int(offset - start))

        let member = Array(tail.dropLast(Int(StargzFooter.length)))
        let plain = LimitingSource(
            DecompressingSource(BytesSource(member), compression: .gzip), limit: Self.tableLimit)
        let tar = TarReader(plain)
        guard let entry = try tar.next(), entry.kind == .regular, entry.text == "stargz.index.json" else {
            throw ArchiveError(.malformed, "the layer has no table of contents where its footer says")
        }
        var reader = ChunkedTableReader()
        var hash = DigestHasher(checksum.algorithm)
        while let piece = try tar.nextPiece() {
            hash.update(piece)
            try reader.feed(piece)
        }
        let actual = hash.finalize()
        guard actual == checksum else { throw mismatch(actual) }
        return ChunkedTable(frames: try reader.finish(at: offset), tail: tail)
    }
}
