import LinuxSystem
import Testing

@testable import LayerArchive

/// Tables of contents of chunked layers, honest and not.
@Suite struct ChunkedTableTests {
    static let digests = (1...9).map { "sha256:" + String(repeating: "\($0)", count: 64) }

    /// A blob of so many bytes of frames, with a table as it is written by containers/storage.
    static func table(
        _ json: String, bodyLength: Int = 1000,
        change: (inout [UInt8], inout [String: String]) -> Void = { _, _ in }
    ) throws -> ChunkedTable {
        let packed = BytesSink()
        let sink = try CompressingSink(.zstd, to: packed)
        try sink.write(Array(json.utf8))
        try sink.finish()
        let length = packed.bytes.count
        var blob = [UInt8](repeating: 7, count: bodyLength)
        blob += [0x50, 0x2A, 0x4D, 0x18] + (0..<4).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) }
        blob += packed.bytes + Array("the footer".utf8)
        var annotations = [
            ChunkedLayer.prefix + "manifest-position": "\(bodyLength + 8):\(length):\(json.utf8.count):1",
            ChunkedLayer.prefix + "manifest-checksum": "\(Digest.sha256(of: packed.bytes))",
        ]
        change(&blob, &annotations)
        let layer = try #require(ChunkedLayer(annotations: annotations, size: Int64(blob.count)))
        return try layer.table { offset, count in Array(blob.dropFirst(Int(offset)).prefix(count)) }
    }

    static func frames(_ entries: String..., bodyLength: Int = 1000) throws -> [ChunkedFrame] {
        try table(
            #"{"version":1,"entries":[\#(entries.joined(separator: ","))]}"#, bodyLength: bodyLength
        ).frames
    }

    static func file(
        _ name: String, _ digest: Int, _ offset: Int, _ end: Int?, time: String = "2024", size: Int = 70
    ) -> String {
        #"{"type":"reg","name":"\#(name)","size":\#(size),"modtime":"\#(time)","digest":"\#(digests[digest])","#
            + #""offset":\#(offset)"# + (end.map { #","endOffset":\#($0)"# } ?? "") + "}"
    }

    static let directory = #"{"type":"dir","name":"a, [b] {c} \"d\\","mode":493}"#

    func ranges(_ frames: [ChunkedFrame]) -> [Range<Int64>] {
        frames.map { $0.offset..<$0.offset + $0.length }
    }

    @Test func framesCoverTheBlob() throws {
        let frames = try Self.frames(
            Self.directory, Self.file("a", 0, 100, 200), Self.directory, Self.file("b", 1, 250, 300),
            Self.file("c", 2, 300, 400), Self.directory)
        #expect(ranges(frames) == [0..<100, 100..<200, 200..<250, 250..<300, 300..<400, 400..<1000])
        #expect(Set(frames.map(\.key)).count == 6)
    }

    @Test func tailFollowsTheFrames() throws {
        let table = try Self.table(#"{"version":1,"entries":[]}"#)
        #expect(ranges(table.frames) == [0..<1000])
        #expect(table.tail.starts(with: [0x50, 0x2A, 0x4D, 0x18]))
        #expect(table.tail.suffix(10).elementsEqual("the footer".utf8))
    }

    /// The same file elsewhere, with another time: its contents are the same frame, its header is not.
    @Test func sameContentsAreTheSameFrame() throws {
        let first = try Self.frames(
            Self.directory, Self.file("a", 0, 100, 200), Self.file("b", 1, 250, 300),
            Self.file("c", 2, 400, 450))
        let second = try Self.frames(
            Self.file("a", 0, 50, 150, time: "2025"), Self.file("b", 3, 200, 250), Self.file("c", 2, 350, 400)
        )
        #expect(second[1].key == first[1].key)
        #expect(second[0].key != first[0].key)
        #expect(second[2].key == first[2].key)
        #expect(second[3].key != first[3].key)
        #expect(second[4].key == first[4].key)
        #expect(second[5].key == first[5].key)
    }

    /// After a file comes padding, which depends on its size.
    @Test func headersKnowThePaddingBeforeThem() throws {
        let first = try Self.frames(Self.file("a", 0, 100, 200), Self.file("b", 1, 250, 300))
        let second = try Self.frames(Self.file("a", 3, 100, 200, size: 71), Self.file("b", 1, 250, 300))
        #expect(first[2].key != second[2].key)
        #expect(first[3].key == second[3].key)
    }

    @Test func chunks() throws {
        let file =
            #"{"type":"reg","name":"a","size":9000,"digest":"\#(Self.digests[0])","offset":100,"endOffset":400,"#
            + #""chunkSize":3000,"chunkDigest":"\#(Self.digests[1])"}"#
        func chunk(_ digest: Int, _ offset: Int) -> String {
            #"{"type":"chunk","name":"a","offset":\#(offset),"chunkDigest":"\#(Self.digests[digest])"}"#
        }
        let frames = try Self.frames(file, chunk(2, 200), chunk(3, 300), Self.file("b", 3, 500, 600))
        #expect(
            ranges(frames) == [0..<100, 100..<200, 200..<300, 300..<400, 400..<500, 500..<600, 600..<1000])
        #expect(frames[3].key == frames[5].key)
        #expect(frames[1].key != frames[2].key)
    }

    /// Where nobody says where contents end, the headers after them belong to their frame.
    @Test func withoutEnds() throws {
        let first = try Self.frames(Self.file("a", 0, 100, nil), Self.directory, Self.file("b", 1, 300, nil))
        #expect(ranges(first) == [0..<100, 100..<300, 300..<1000])
        let second = try Self.frames(
            Self.file("a", 0, 100, nil), Self.directory, Self.file("b", 1, 300, nil, time: "2025"))
        #expect(first[0].key == second[0].key)
        #expect(first[1].key != second[1].key)
        #expect(first[2].key == second[2].key)
    }

    @Test func textComesInPieces() throws {
        let json =
            #"{"version": 1, "entries": [ \#(Self.directory), \#(Self.file("a", 0, 100, 200)), \#(Self.directory) ] , "tarSplitDigest":"x"}"#
        var whole = ChunkedTableReader()
        try Array(json.utf8).withUnsafeBytes { try whole.feed($0) }
        let expected = try whole.finish(at: 1000)
        for size in [1, 2, 7, 64] {
            var reader = ChunkedTableReader()
            let bytes = Array(json.utf8)
            for start in stride(from: 0, to: bytes.count, by: size) {
                try bytes[start..<min(start + size, bytes.count)].withUnsafeBytes { try reader.feed($0) }
            }
            #expect(try reader.finish(at: 1000) == expected)
        }
    }

    // MARK: Hostile tables

    @Test(arguments: [
        // No JSON, another version, cut short, not closed.
        " ", "[]", "{}", "null", #"{"version":2,"entries":[]}"#, #"{"version":1,"entries":["#,
        #"{"version":1,"entries":[{"type":"reg","name":"a}]}"#, #"{"version":1,"entries":[{]}"#, "}}}}",
        #"{"version":1,"entries":[{"type" "reg"}]}"#,
        // Backwards, before the contents, beyond the blob, negative, no numbers.
        #"{"version":1,"entries":[\#(file("a", 0, 300, 400)),\#(file("b", 1, 200, 250))]}"#,
        #"{"version":1,"entries":[\#(file("a", 0, 300, 200))]}"#,
        #"{"version":1,"entries":[\#(file("a", 0, 300, 400)),\#(file("b", 1, 350, 450))]}"#,
        #"{"version":1,"entries":[\#(file("a", 0, 2000, 3000))]}"#,
        #"{"version":1,"entries":[\#(file("a", 0, 100, 1001))]}"#,
        #"{"version":1,"entries":[\#(file("a", 0, -1, 100))]}"#,
        #"{"version":1,"entries":[{"type":"reg","offset":"100","digest":"x"}]}"#,
        #"{"version":1,"entries":[{"type":"reg","offset":99999999999999999999,"digest":"x"}]}"#,
        #"{"version":1,"entries":[{"type":"reg","offset":9999999999999999999,"digest":"x"}]}"#,
    ])
    func malformed(_ json: String) {
        #expect(throws: ArchiveError.self) { try Self.table(json) }
    }

    @Test func wrongChecksum() {
        let error = #expect(throws: ArchiveError.self) {
            try Self.table(#"{"version":1,"entries":[]}"#) { blob, _ in blob[1012] ^= 1 }
        }
        #expect(error?.code == .digestMismatch)
    }

    @Test func bomb() {
        let error = #expect(throws: ArchiveError.self) {
            try Self.table(
                #"{"version":1,"entries":[{"type":""# + String(repeating: "a", count: 5 << 20) + "\"}]}")
        }
        #expect(error?.code == .limitExceeded)
        #expect(throws: ArchiveError.self) { try Self.table(String(repeating: "[", count: 1 << 20)) }
    }

    @Test func tooManyFrames() {
        var reader = ChunkedTableReader()
        reader.frameLimit = 3
        let json =
            #"{"version":1,"entries":[\#((1...4).map { Self.file("a", 0, $0 * 10, nil) }.joined(separator: ","))]}"#
        let error = #expect(throws: ArchiveError.self) {
            try Array(json.utf8).withUnsafeBytes { try reader.feed($0) }
            _ = try reader.finish(at: 1000)
        }
        #expect(error?.code == .limitExceeded)
    }

    @Test(arguments: [
        "8:10:100", "8:10:100:2", "7:10:100:1", "8:0:100:1", "8:9999:100:1", "-8:10:100:1",
        "8:10:999999999:1",
        "x:10:100:1", "8:10:100:1:1", "", "9223372036854775807:9223372036854775807:1:1",
    ])
    func annotationsOfNoUse(_ position: String) {
        let annotations = [
            ChunkedLayer.prefix + "manifest-position": position,
            ChunkedLayer.prefix + "manifest-checksum": Self.digests[0],
        ]
        #expect(ChunkedLayer(annotations: annotations, size: 1000) == nil)
        #expect(
            ChunkedLayer(annotations: annotations.filter { $0.key.hasSuffix("position") }, size: 1000) == nil)
    }
}

/// Which parts are fetched.
@Suite struct FramePlanTests {
    /// Frames of these lengths; the numbers are their contents.
    func frames(_ lengths: (Int, Int64)...) -> [ChunkedFrame] {
        var offset: Int64 = 0
        return lengths.map { content, length in
            defer { offset += length }
            return ChunkedFrame(key: .init(content: content, length: length), offset: offset)
        }
    }

    func plan(_ frames: [ChunkedFrame], bridge: Int64 = 0, _ places: [Int: (Int, Int64)]) -> FramePlan {
        FramePlan(frames, bridge: bridge) { key in
            places[key.content].map { .init(source: $0.0, offset: $0.1) }
        }
    }

    @Test func neighboursAreOnePart() {
        let plan = plan(
            frames((1, 10), (2, 20), (3, 30), (4, 40), (5, 50)), [1: (0, 500), 2: (0, 510), 5: (1, 0)])
        #expect(plan.fetches == 1)
        #expect(plan.fetchedBytes == 70)
        #expect(
            plan.parts == [
                .init(offset: 0, length: 30, place: .init(source: 0, offset: 500)),
                .init(offset: 30, length: 70, place: nil),
                .init(offset: 100, length: 50, place: .init(source: 1, offset: 0)),
            ])
    }

    @Test func otherPlacesAreOtherParts() {
        let plan = plan(frames((1, 10), (2, 20), (3, 30)), [1: (0, 0), 2: (1, 10), 3: (1, 40)])
        #expect(plan.parts.count == 3)
        #expect(plan.fetches == 0)
    }

    @Test func shortPartsAreFetchedAlong() {
        let frames = frames((9, 10), (1, 5), (2, 5), (9, 10), (3, 11), (9, 10), (1, 5))
        let places = [1: (0, Int64(0)), 2: (1, Int64(0)), 3: (0, Int64(50))]
        let bridged = plan(frames, bridge: 10, places)
        #expect(bridged.fetches == 2)
        #expect(bridged.fetchedBytes == 40)
        #expect(bridged.parts.map(\.length) == [30, 11, 10, 5])
        let apart = plan(frames, bridge: 9, places)
        #expect(apart.fetches == 3)
        #expect(apart.fetchedBytes == 30)
        for plan in [bridged, apart] { #expect(plan.parts.reduce(0) { $0 + $1.length } == 56) }
    }
}
