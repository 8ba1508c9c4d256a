import ContainerStorage
import LinuxSystem
import OCISpec
import Testing

@testable import ContainerImage
@testable import LayerArchive

/// Layers of which parts are here, from Debian's docker-registry.
@Suite(.serialized) struct ChunkedTransferTests {
    /// So slow that bytes count, and so fast that they do not.
    static let slow = TransferRate(answer: 0.001, bandwidth: 1_000_000)
    static let fast = TransferRate(answer: 0.001, bandwidth: 1e12)

    /// Who makes chunked layers.
    enum Maker: String, CaseIterable { case skopeo, apus, stargz }

    /// 100 files of 15,000 bytes; of the second version one file's contents are others.
    private static func layer(version: Int) throws -> [UInt8] {
        let sink = BytesSink()
        let tar = TarWriter(sink)
        try tar.add(TarEntry(.directory, "data"))
        var state: UInt64 = 1
        for number in 0..<100 {
            let own: UInt64 = number == 50 ? UInt64(version) : 0
            let words = (0..<15_000 / 8).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return (state ^ (state >> 29)) &* (2 * own + 1)
            }
            try tar.add(
                TarEntry(.regular, "data/file \(number)"), contents: words.withUnsafeBytes { Array($0) })
        }
        try tar.finish()
        return sink.bytes
    }

    private static let layers = Result { [try layer(version: 1), try layer(version: 2)] }

    private func layer(version: Int) throws -> [UInt8] { try Self.layers.get()[version - 1] }

    private func options(_ scratch: Scratch) throws -> TransferOptions {
        var options = TransferOptions()
        options.registriesConfig = scratch("registries.conf")
        try scratch.write("registries.conf", [])
        return options
    }

    private func publish(
        _ version: Int, by maker: Maker, to registry: RegistryFixture, _ scratch: Scratch
    ) throws {
        let layout = try TestLayout(scratch("v\(version)"))
        let tar = try layer(version: version)
        var layer = try layout.layer(tar: tar)
        if maker == .stargz {
            let stargz = try StargzBlob(tar)
            layer = .init(
                descriptor: try layout.blob(stargz.blob, MediaType.ociLayerGzip),
                diffID: Digest.sha256(of: stargz.plain))
            layer.descriptor.annotations = stargz.annotations
        }
        try layout.image("docker.io/library/a:\(version)", [layer])
        let name = "docker://\(registry.host)/a:\(version)"
        switch maker {
        case .stargz:
            try scratch.run("skopeo", "copy", "--dest-tls-verify=false", "oci:\(layout.path)", name)
        case .skopeo:
            try scratch.run(
                "skopeo", "copy", "--dest-tls-verify=false", "--dest-compress-format", "zstd:chunked",
                "oci:\(layout.path)", name)
        case .apus:
            var job = CopyJob(
                try ImageSource(parsing: "oci:\(layout.path)"), to: try ImageSource(parsing: name))
            job.destinationOptions = try options(scratch)
            job.form.compress(as: "zstd:chunked")
            _ = try job.run()
        }
    }

    private func pull(
        _ host: String, _ version: Int, into store: Store, at rate: TransferRate?, _ scratch: Scratch,
        _ recorder: Recorder = Recorder()
    ) throws -> ImageRecord {
        var transfer = ImageTransfer(store: store, options: try options(scratch), progress: recorder)
        transfer.assumedRate = rate
        return try transfer.pull(ImageSource(parsing: "\(host)/a:\(version)"))
    }

    @Test(arguments: Maker.allCases)
    func onlyWhatIsNew(_ maker: Maker) throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        try publish(1, by: maker, to: registry, scratch)
        try publish(2, by: maker, to: registry, scratch)
        let store = try scratch.store()
        _ = try pull(registry.host, 1, into: store, at: Self.slow, scratch)

        let proxy = try CuttingProxy(to: registry.host)
        defer { proxy.stop() }
        let recorder = Recorder()
        let record = try pull(
            "localhost:\(proxy.port)", 2, into: store, at: Self.slow, scratch, recorder)
        #expect(proxy.answered < 150_000, "\(proxy.answered)")
        let blob = try store.manifest(of: record).layers[0]
        let digest = try Digest(parsing: blob.digest)
        #expect(blob.size > 1_400_000)
        let tar = try layer(version: 2)
        let plain = maker == .stargz ? try StargzBlob(tar).plain : tar
        #expect(record.diffIDs == [Digest.sha256(of: plain)])
        // The blob is here byte for byte.
        #expect(try store.readBlob(digest, limit: 4 << 20).count == Int(blob.size))
        #expect(recorder.assembled.count == 1)
        #expect(try #require(recorder.assembled.first).fetched < 100_000)
        #expect(recorder.assembled.first?.size == blob.size)

        // And is the same as where it came whole.
        let other = try scratch.store("other")
        #expect(try pull(registry.host, 2, into: other, at: Self.slow, scratch).id == record.id)
    }

    @Test func wholeOnAFastLine() throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        for version in [1, 2] { try publish(version, by: .apus, to: registry, scratch) }
        let store = try scratch.store()
        _ = try pull(registry.host, 1, into: store, at: nil, scratch)
        let recorder = Recorder()
        _ = try pull(registry.host, 2, into: store, at: Self.fast, scratch, recorder)
        #expect(recorder.count(.done) == 1)
        #expect(recorder.assembled.isEmpty)
    }

    @Test func wholeFromAServerWithoutRanges() throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        for version in [1, 2] { try publish(version, by: .apus, to: registry, scratch) }
        let store = try scratch.store()
        _ = try pull(registry.host, 1, into: store, at: nil, scratch)
        let proxy = try CuttingProxy(to: registry.host, hidesRanges: true)
        defer { proxy.stop() }
        let recorder = Recorder()
        _ = try pull("localhost:\(proxy.port)", 2, into: store, at: Self.slow, scratch, recorder)
        #expect(recorder.count(.done) == 1)
    }

    /// The table says that a file is the one that is here, of the same length, and it is not.
    @Test func wholeAfterATableThatLies() throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        try publish(1, by: .apus, to: registry, scratch)
        let store = try scratch.store()
        let first = try pull(registry.host, 1, into: store, at: nil, scratch)

        let tar = try layer(version: 2)
        let packed = BytesSink()
        let own = try ChunkedCompressor(to: packed).compress(BytesSource(tar)).annotations
        // The first version's table at the second's end: their frames are equally long.
        let before = try store.manifest(of: first).layers[0]
        func tableStart(_ annotations: [String: String]) throws -> Int {
            let position = try #require(annotations[ChunkedLayer.prefix + "manifest-position"])
            return try #require(Int(position.split(separator: ":")[0])) - 8
        }
        let start = try tableStart(before.annotations)
        #expect(try tableStart(own) == start)
        let old = try store.readBlob(Digest(parsing: before.digest), limit: 4 << 20)
        let layout = try TestLayout(scratch("liar"))
        var descriptor = try layout.blob(
            Array(packed.bytes[..<start] + old[start...]), MediaType.ociLayerZstd)
        descriptor.annotations = before.annotations
        try layout.image("x:1", [.init(descriptor: descriptor, diffID: Digest.sha256(of: tar))])
        try scratch.run(
            "skopeo", "copy", "--dest-tls-verify=false", "oci:\(layout.path)", "docker://\(registry.host)/a:3"
        )

        let recorder = Recorder()
        let record = try pull(registry.host, 3, into: store, at: Self.slow, scratch, recorder)
        #expect(record.diffIDs == [Digest.sha256(of: tar)])
        #expect(recorder.count(.done) == 1)
        #expect(recorder.assembled.isEmpty)
    }

    /// What is no table at all does no harm to a pull either.
    @Test func wholeAfterATableThatIsNone() throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        try publish(1, by: .apus, to: registry, scratch)
        let store = try scratch.store()
        _ = try pull(registry.host, 1, into: store, at: nil, scratch)
        let layout = try TestLayout(scratch("liar"))
        let tar = try layer(version: 2)
        var layer = try layout.layer(tar: tar, .zstd)
        for (key, value) in [
            "manifest-position": "100000:100:1000:1", "manifest-checksum": "\(Digest.sha256(of: []))",
        ] {
            layer.descriptor.annotations[ChunkedLayer.prefix + key] = value
        }
        try layout.image("x:1", [layer])
        try scratch.run(
            "skopeo", "copy", "--dest-tls-verify=false", "oci:\(layout.path)", "docker://\(registry.host)/a:3"
        )
        let record = try pull(registry.host, 3, into: store, at: Self.slow, scratch)
        #expect(record.diffIDs == [Digest.sha256(of: tar)])
    }

    // MARK: eStargz

    @Test func stargzTable() throws {
        let stargz = try StargzBlob(layer(version: 1))
        #expect(try DecompressingSource(BytesSource(stargz.blob)).readAll(limit: 8 << 20) == stargz.plain)
        let table = try #require(try stargz.table())
        #expect(table.frames.count == 101)
        #expect(
            table.frames.reduce(0) { $0 + $1.length } + Int64(table.tail.count) == Int64(stargz.blob.count))
    }

    /// A table that is larger than what is asked for at first.
    @Test func stargzTableInTwoReads() throws {
        let sink = BytesSink()
        let tar = TarWriter(sink)
        for number in 0..<2000 {
            try tar.add(TarEntry(.regular, "\(number)"), contents: Array("\(number)".utf8))
        }
        try tar.finish()
        let stargz = try StargzBlob(sink.bytes)
        let layer = try #require(
            ChunkedLayer(annotations: stargz.annotations, size: Int64(stargz.blob.count)))
        var reads = 0
        let table = try layer.table { offset, count in
            reads += 1
            return Array(stargz.blob.dropFirst(Int(offset)).prefix(count))
        }
        #expect(reads == 2)
        #expect(table.frames.count == 2001)
    }

    @Test func hostileFooters() throws {
        let tar = try layer(version: 1)
        for offset in [0, 1, 1000, Int.max >> 8, try StargzBlob(tar).blob.count] {
            #expect(throws: ArchiveError.self) { try StargzBlob(tar, tableOffset: offset).table() }
        }
        var stargz = try StargzBlob(tar)
        stargz.blob[stargz.blob.count - 20] ^= 1
        #expect(throws: ArchiveError.self) { try stargz.table() }
        stargz = try StargzBlob(tar)
        stargz.checksum = Digest.sha256(of: [])
        let error = #expect(throws: ArchiveError.self) { try stargz.table() }
        #expect(error?.code == .digestMismatch)
        stargz.blob = Array(stargz.blob.prefix(40))
        #expect(try stargz.table() == nil)
    }

    /// Our chunked layers, as others see them.
    @Test func peersReadOurs() throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        try publish(1, by: .apus, to: registry, scratch)
        try scratch.run(
            "skopeo", "copy", "--src-tls-verify=false", "--dest-decompress", "docker://\(registry.host)/a:1",
            "dir:\(scratch("plain"))")
        let digest = Digest.sha256(of: try layer(version: 1))
        #expect(File.exists(scratch("plain/\(digest.hex)")))
    }
}
