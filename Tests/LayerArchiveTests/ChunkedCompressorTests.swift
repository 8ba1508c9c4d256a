import JSONText
import LinuxSystem
import Testing

@testable import LayerArchive

/// What we write as zstd:chunked. (ContainerImageTests have peers read it.)
@Suite struct ChunkedCompressorTests {
    struct Made {
        var blob: [UInt8]
        var result: ChunkedCompressor.Result

        /// The plain contents of a skippable frame.
        func part(_ key: String) throws -> [UInt8] {
            let text = try #require(result.annotations[ChunkedLayer.prefix + key])
            let numbers = text.split(separator: ":").compactMap { Int($0) }
            let packed = Array(blob[numbers[0]..<numbers[0] + numbers[1]])
            let plain = try DecompressingSource(BytesSource(packed)).readAll(limit: 1 << 24)
            #expect(plain.count == numbers[2])
            return plain
        }

        var layer: ChunkedLayer? { ChunkedLayer(annotations: result.annotations, size: Int64(blob.count)) }

        func frame(_ range: Range<Int>) throws -> [UInt8] {
            try DecompressingSource(BytesSource(Array(blob[range])), compression: .zstd).readAll(
                limit: 1 << 24)
        }
    }

    func make(_ tar: [UInt8], level: Int? = nil) throws -> Made {
        let sink = BytesSink()
        let result = try ChunkedCompressor(to: sink, level: level).compress(BytesSource(tar))
        return Made(blob: sink.bytes, result: result)
    }

    func tar(_ entries: [(TarEntry, [UInt8])]) throws -> [UInt8] {
        let sink = BytesSink()
        let writer = TarWriter(sink)
        for (entry, contents) in entries { try writer.add(entry, contents: contents) }
        try writer.finish()
        return sink.bytes
    }

    private static let noise: [UInt8] = {
        var state: UInt64 = 1
        let words = (0..<large / 8).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ (state >> 29)
        }
        return words.withUnsafeBytes { Array($0) }
    }()

    /// In several chunks.
    static let large = 1_200_000

    static func noise(_ count: Int) -> [UInt8] { Array(noise[..<count]) }

    func sample() throws -> [UInt8] {
        var file = TarEntry(.regular, "usr/bin/a \"quoted\" ünï")
        file.mode = 0o4755
        file.user = 1000
        file.group = 3_000_000
        file.modified = Timestamp(seconds: 1_700_000_000, nanoseconds: 120_000_000)
        file.attributes = [.init(name: Array("user.b=c".utf8), value: [0, 1, 2, 255])]
        var link = TarEntry(.symbolicLink, "usr/link")
        link.linkTarget = Array("bin/a".utf8)
        var device = TarEntry(.characterDevice, "dev/null")
        device.deviceMajor = 1
        device.deviceMinor = 3
        return try tar([
            (TarEntry(.directory, "usr"), []), (file, Self.noise(700)), (TarEntry(.regular, "empty"), []),
            (link, []), (device, []), (TarEntry(.regular, "large"), Self.noise(Self.large)),
            (TarEntry(.regular, "last"), Array("last".utf8)),
        ])
    }

    @Test func othersInflateTheTar() throws {
        let tar = try sample()
        let made = try make(tar)
        #expect(made.result.obstacle == nil)
        #expect(try DecompressingSource(BytesSource(made.blob)).readAll(limit: 1 << 24) == tar)
        #expect(try make(tar).blob == made.blob)
        #expect(try make(tar, level: 19).blob != made.blob)
    }

    @Test func tableDescribesTheEntries() throws {
        let made = try make(try sample())
        let table = try JSON(parsing: try made.part("manifest-position"))
        #expect(table["version"]?.int == 1)
        let entries = try #require(table["entries"]?.array)
        let files = entries.filter { $0["type"]?.string != "chunk" }
        #expect(
            files.compactMap { $0["type"]?.string } == ["dir", "reg", "reg", "symlink", "char", "reg", "reg"])
        let file = files[1]
        #expect(file["name"]?.string == "usr/bin/a \"quoted\" ünï")
        #expect(file["mode"]?.int == 0o4755)
        #expect(file["uid"]?.int == 1000)
        #expect(file["gid"]?.int == 3_000_000)
        #expect(file["size"]?.int == 700)
        #expect(file["modtime"]?.string == "2023-11-14T22:13:20.12Z")
        #expect(file["xattrs"]?.object?.members.first?.value.string == "AAEC/w==")
        #expect(file["digest"]?.string == "\(Digest.sha256(of: Self.noise(700)))")
        #expect(file["chunkDigest"] == nil)
        #expect(files[2]["digest"] == nil)
        #expect(files[3]["linkName"]?.string == "bin/a")
        #expect(files[4]["devMajor"]?.int == 1)
        #expect(files[4]["devMinor"]?.int == 3)
    }

    /// Every chunk is a frame of its own, and is what its digest says.
    @Test func chunksStandForThemselves() throws {
        let made = try make(try sample())
        let table = try JSON(parsing: try made.part("manifest-position"))
        let chunks = try #require(table["entries"]?.array).filter { $0["name"]?.string == "large" }
        #expect(chunks.count > 3)
        var contents: [UInt8] = []
        for (index, chunk) in chunks.enumerated() {
            let start = try #require(chunk["offset"]?.int)
            let end = try #require(
                index + 1 < chunks.count ? chunks[index + 1]["offset"]?.int : chunks[0]["endOffset"]?.int)
            let plain = try made.frame(start..<end)
            #expect(plain.count == chunk["chunkSize"]?.int)
            #expect(chunk["chunkOffset"]?.int ?? 0 == contents.count)
            #expect(chunk["chunkDigest"]?.string == "\(Digest.sha256(of: plain))")
            contents += plain
        }
        #expect(contents == Self.noise(Self.large))
    }

    @Test func footer() throws {
        let made = try make(try sample())
        let footer = made.blob.suffix(64)
        func number(_ index: Int) -> String {
            let bytes = footer.dropFirst(index * 8).prefix(8)
            return "\(bytes.reversed().reduce(0) { $0 << 8 | Int($1) })"
        }
        let prefix = ChunkedLayer.prefix
        #expect(
            made.result.annotations[prefix + "manifest-position"]
                == (0..<4).map(number).joined(separator: ":"))
        #expect(
            made.result.annotations[prefix + "tarsplit-position"]
                == (4..<7).map(number).joined(separator: ":"))
        #expect(footer.suffix(8).elementsEqual("GNUlInUx".utf8))
    }

    /// tar-split's lines and the files give the tar.
    @Test func tarSplit() throws {
        let tar = try sample() + [UInt8](repeating: 0, count: 9000)
        let made = try make(tar)
        var again: [UInt8] = []
        var names: [String] = []
        let files = [
            "usr/bin/a \"quoted\" ünï": Self.noise(700), "large": Self.noise(Self.large),
            "last": Array("last".utf8),
        ]
        for (index, line) in try made.part("tarsplit-position").split(separator: 0x0A).enumerated() {
            let entry = try JSON(parsing: Array(line))
            #expect(entry["position"]?.int == index)
            if entry["type"]?.int == 2 {
                again += try Self.decoded(entry["payload"]?.string)
                continue
            }
            let name = try #require(entry["name"]?.string)
            names.append(name)
            guard let contents = files[name] else {
                #expect(entry["payload"]?.isNull == true)
                continue
            }
            #expect(entry["size"]?.int == contents.count)
            // hash/crc64 with the table ISO says so of "last".
            if name == "last" { #expect(entry["payload"]?.string == Self.checkOfLast) }
            again += contents
        }
        #expect(names.count == 7)
        #expect(again == tar)
        let text = try #require(made.result.annotations[ChunkedLayer.prefix + "tarsplit-position"])
        let numbers = text.split(separator: ":").compactMap { Int($0) }
        let table = try JSON(parsing: try made.part("manifest-position"))
        #expect(
            table["tarSplitDigest"]?.string
                == "\(Digest.sha256(of: Array(made.blob[numbers[0]..<numbers[0] + numbers[1]])))")
    }

    static let checkOfLast = "KHx0HtAAAAA="

    static func decoded(_ text: String?) throws -> [UInt8] {
        var bits: UInt32 = 0
        var count = 0
        var output: [UInt8] = []
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var values = [UInt32](repeating: 0, count: 256)
        for (value, letter) in letters.enumerated() { values[Int(letter)] = UInt32(value) }
        for byte in try #require(text).utf8 where byte != UInt8(ascii: "=") {
            bits = bits << 6 | values[Int(byte)]
            count += 6
            if count >= 8 {
                count -= 8
                output.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return output
    }

    @Test func tableIsOneOfOurs() throws {
        let made = try make(try sample())
        let layer = try #require(made.layer)
        let table = try layer.table { offset, count in Array(made.blob.dropFirst(Int(offset)).prefix(count)) }
        #expect(table.frames.reduce(0) { $0 + $1.length } + Int64(table.tail.count) == Int64(made.blob.count))
        // A header, contents, and so on; the large file in chunks.
        #expect(table.frames.count > 8)
    }

    /// What is inserted moves chunks, and changes few of them.
    @Test func chunksFollowTheirContents() throws {
        func chunks(_ bytes: [UInt8]) throws -> [Digest] {
            var found: [Digest] = []
            var splitter = ChunkSplitter()
            try bytes.withUnsafeBytes { try splitter.split($0) { found.append(Digest.sha256(of: $0)) } }
            try splitter.finish { found.append(Digest.sha256(of: $0)) }
            return found
        }
        let bytes = Self.noise(Self.large)
        let before = try chunks(bytes)
        let after = try chunks(Array("inserted".utf8) + bytes)
        #expect(before.count > 4)
        #expect(Set(before).intersection(after).count >= before.count - 2)
        #expect(try chunks([UInt8](repeating: 0, count: 3 << 20)).count == 3)
        // In whatever pieces the bytes come.
        var splitter = ChunkSplitter()
        var pieces: [Digest] = []
        for start in stride(from: 0, to: bytes.count, by: 77_777) {
            try bytes[start..<min(start + 77_777, bytes.count)].withUnsafeBytes {
                try splitter.split($0) { pieces.append(Digest.sha256(of: $0)) }
            }
        }
        try splitter.finish { pieces.append(Digest.sha256(of: $0)) }
        #expect(pieces == before)
    }

    // MARK: What the format has no words for

    @Test func twiceTheSameName() throws {
        try expectPlain(
            tar([
                (TarEntry(.regular, "a"), [1]), (TarEntry(.regular, "b"), [1]),
                (TarEntry(.regular, "./a"), [2]),
            ]))
    }

    @Test func namesThatAreNoText() throws {
        try expectPlain(tar([(TarEntry(.regular, [0x61, 0xFF]), [1])]))
    }

    /// Old GNU headers say where the pieces are (tar(5), "GNU tar archives").
    @Test func sparseFiles() throws {
        var tar = try tar([(TarEntry(.regular, "sparse"), Self.noise(512))])
        func put(_ text: String, at offset: Int) {
            tar.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
        }
        put("S", at: 156)
        put("ustar  \0", at: 257)
        put("00000010000\0" + "00000001000\0", at: 386)
        put("\0" + "00000020000\0", at: 482)
        put("        ", at: 148)
        let sum = String(tar[..<512].reduce(0) { $0 + Int($1) }, radix: 8)
        put(String(repeating: "0", count: 6 - sum.count) + sum + "\0 ", at: 148)
        let reader = TarReader(BytesSource(tar))
        #expect(try reader.next()?.segments == [.init(offset: 4096, length: 512)])
        try expectPlain(tar)
    }

    func expectPlain(_ tar: [UInt8]) throws {
        let made = try make(tar)
        #expect(made.result.obstacle != nil)
        #expect(made.result.annotations.isEmpty)
        #expect(try DecompressingSource(BytesSource(made.blob)).readAll(limit: 1 << 24) == tar)
    }
}
