import LinuxSystem
import Testing

@testable import LayerArchive

@Suite struct XZTests {
    private func packed(_ bytes: [UInt8]) throws -> [UInt8] {
        let scratch = try Scratch()
        try File.replace("plain", at: scratch.root.raw, with: bytes, durable: false)
        try scratch.run("xz plain")
        return try scratch.bytes("plain.xz")
    }

    @Test(arguments: [0, 1, 300_000, 3_000_000]) func roundTrip(size: Int) throws {
        let bytes = sampleBytes(size)
        let stream = try packed(bytes)
        #expect(try XZSource(DribblingSource(stream, step: 100_001)).readAll(limit: size) == bytes)
        if size < 1000 {
            #expect(try XZSource(DribblingSource(stream, step: 1)).readAll(limit: size) == bytes)
        }
        let twice = XZSource(BytesSource(stream + stream))
        #expect(try twice.readAll(limit: 2 * size) == bytes + bytes)
    }

    @Test func otherBytesStayAsTheyAre() throws {
        for bytes in [[], [0xFD], Array("plain text".utf8), Array(XZSource.magic.dropLast())] as [[UInt8]] {
            #expect(try XZSource(DribblingSource(bytes, step: 2)).readAll(limit: 100) == bytes)
        }
    }

    /// A dictionary of 1.5 GiB, as a few bytes can ask for (CVE-2025-58058 of ulikunitz/xz).
    @Test func hugeDictionary() throws {
        let scratch = try Scratch()
        try scratch.run("echo x | xz --lzma2=preset=0,dict=1536MiB > x.xz")
        let bytes = try scratch.bytes("x.xz")
        #expect(archiveError { try XZSource(BytesSource(bytes)).drain() } == .limitExceeded)
    }

    /// Readers waited for what did not come (CVE-2021-20291 of containers/storage).
    @Test func damageIsNoticed() throws {
        let stream = try packed(sampleBytes(100_000))
        for count in [6, 7, 20, stream.count / 2, stream.count - 1] {
            let short = XZSource(BytesSource(Array(stream[..<count])))
            #expect(archiveError { try short.drain() } == .truncated, "\(count)")
        }
        for position in stride(from: 8, to: stream.count, by: 997) {
            var bad = stream
            bad[position] ^= 4
            #expect(archiveError { try XZSource(BytesSource(bad)).drain() } != nil, "\(position)")
        }
    }
}
