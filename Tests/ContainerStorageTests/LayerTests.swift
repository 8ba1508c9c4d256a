import ContainerStorage
import LayerArchive
import LinuxSystem
import Synchronization
import Testing

@Suite struct LayerTests {
    private let scratch: Scratch
    private let store: Store

    init() throws {
        scratch = try Scratch()
        store = try scratch.open()
    }

    private struct Broken: Error, CustomStringConvertible { var description: String { "the line broke" } }

    private func refused(
        _ code: StorageError.Code, blob: Digest?, size: Int64?, diffID: Digest, _ bytes: [UInt8],
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let error = #expect(throws: StorageError.self, sourceLocation: sourceLocation) {
            try store.ingestLayer(blob: blob, size: size, diffID: diffID, from: BytesSource(bytes))
        }
        #expect(error?.code == code, "\(String(describing: error))", sourceLocation: sourceLocation)
        #expect(store.content == [], sourceLocation: sourceLocation)
    }

    @Test func refusesWhatWasNotAnnounced() throws {
        let layer = try TestLayer { try $0.add(TarEntry(.regular, "a"), contents: noise(100_000)) }
        let size = Int64(layer.blob.count)
        let other = Digest.sha256(of: [1])
        refused(.mismatch, blob: other, size: size, diffID: layer.diffID, layer.blob)
        refused(.mismatch, blob: layer.digest, size: size, diffID: other, layer.blob)
        refused(.mismatch, blob: layer.digest, size: size - 1, diffID: layer.diffID, layer.blob)
        refused(.mismatch, blob: layer.digest, size: size + 1, diffID: layer.diffID, layer.blob)
        refused(.mismatch, blob: nil, size: size + 1, diffID: layer.diffID, layer.blob)
        refused(.mismatch, blob: layer.digest, size: size, diffID: layer.diffID, layer.blob + [0])
        var flipped = layer.blob
        flipped[flipped.count / 2] ^= 1
        #expect(throws: StorageError.self) {
            try store.ingestLayer(
                blob: layer.digest, size: size, diffID: layer.diffID, from: BytesSource(flipped))
        }
        for cut in [0, 1, 10, 1000, layer.blob.count - 1] {
            #expect(throws: StorageError.self) {
                try store.ingestLayer(
                    blob: layer.digest, size: size, diffID: layer.diffID,
                    from: BytesSource(Array(layer.blob[..<cut])))
            }
        }
        #expect(store.content == [])
        try store.ingest(layer)
    }

    @Test func theSourcesErrorComesThrough() throws {
        let layer = try TestLayer { try $0.add(TarEntry(.regular, "a"), contents: noise(100_000)) }
        let source = TrippingSource(BytesSource(layer.blob), after: 5000) { throw Broken() }
        let error = #expect(throws: StorageError.self) {
            try store.ingestLayer(blob: layer.digest, size: nil, diffID: layer.diffID, from: source)
        }
        #expect(error?.code == .source && "\(error!)" == "the line broke" && error?.cause is Broken)
        #expect(throws: StorageError.self) {
            try store.ingestBlob(digest: layer.digest, size: nil, from: { throw Broken() }())
        }
        #expect(store.content == [])
    }

    @Test func importsWithoutADigest() throws {
        for compression in Compression.allCases {
            let layer = try TestLayer(["a": "hello", "kind": compression.rawValue], compression: compression)
            let lease = try store.lease()
            let info = try store.importLayer(from: BytesSource(layer.blob))
            #expect(
                info.diffID == layer.diffID && info.blob == layer.digest && info.compression == compression)
            #expect(info.blobSize == layer.blob.count && !info.reused)
            #expect(try store.ingest(layer).reused)
            #expect(try store.importLayer(from: BytesSource(layer.blob)).diffID == layer.diffID)
            lease.end()
        }
        #expect(store.content == [])
    }

    @Test func whatIsHereIsNotAskedFor() throws {
        let lease = try store.lease()
        let layer = try TestLayer(["a": "1"])
        let first = try store.ingest(layer)
        let second = try store.ingestLayer(
            blob: layer.digest, size: Int64(layer.blob.count), diffID: layer.diffID,
            from: { throw Broken() }())
        #expect(!first.reused && second.reused && second.blob == first.blob)
        // An archive that names no blob gets the one that the layer came from.
        #expect(
            try store.ingestLayer(blob: nil, size: nil, diffID: layer.diffID, from: { throw Broken() }()).blob
                == layer.digest)
        lease.end()
    }

    @Test func aBlobThatIsHereIsUnpackedFromHere() throws {
        let lease = try store.lease()
        let layer = try TestLayer(["a": "1"])
        try store.ingestBlob(digest: layer.digest, size: nil, from: BytesSource(layer.blob))
        let info = try store.ingestLayer(
            blob: layer.digest, size: nil, diffID: layer.diffID, from: { throw Broken() }())
        #expect(!info.reused && store.hasLayer(layer.diffID))
        lease.end()
    }

    /// A layer in other clothes is kept as a blob, and its diffID still has to be true.
    @Test func anotherBlobOfTheSameLayer() throws {
        let lease = try store.lease()
        let plain = try TestLayer(["a": "1"], compression: .none)
        let packed = try TestLayer(["a": "1"], compression: .zstd)
        let other = try TestLayer(["a": "2"], compression: .zstd)
        #expect(plain.diffID == packed.diffID)
        try store.ingest(plain)
        #expect(throws: StorageError.self) {
            try store.ingestLayer(
                blob: other.digest, size: nil, diffID: plain.diffID, from: BytesSource(other.blob))
        }
        #expect(!store.hasBlob(other.digest))
        let info = try store.ingest(packed)
        #expect(info.blob == packed.digest && store.hasBlob(plain.digest) && store.hasBlob(packed.digest))
        lease.end()
    }

    @Test func leasesKeepContent() throws {
        let layer = try TestLayer(["a": "1"])
        let lease = try store.lease()
        try store.ingest(layer)
        let other = try scratch.open()
        #expect(try other.collectGarbage().blobs == [])
        try other.sweep()
        #expect(other.hasLayer(layer.diffID) && other.hasBlob(layer.digest))
        lease.end()
        #expect(store.content == [])
    }

    @Test func aFailedPullDoesNotDisturbAnother() throws {
        let layer = try TestLayer(["a": "1"])
        let other = try scratch.open()
        let mine = try store.lease()
        let theirs = try other.lease()
        try store.ingest(layer)
        #expect(try other.ingest(layer).reused)
        mine.end()
        #expect(other.hasLayer(layer.diffID))
        let image = TestImage([layer])
        try other.writeBlob(image.config)
        try other.putImage(manifest: image.manifest)
        theirs.end()
        try other.sweep()
        #expect(try store.images().count == 1)
        #expect(store.content.filter { $0.hasPrefix("ingest") } == [])
    }

    /// What no image used may be there by name only after a power failure.
    @Test func contentOfAnEarlierBootDoesNotCount() throws {
        let layer = try TestLayer(["a": "1"])
        try TestImage([try TestLayer(["kept": "1"])]).put(store, ["localhost/kept:1"])
        let before = store.content
        try File.replace(store.root + "/" + layer.digest.path, with: Array("torn".utf8))
        try File.makeDirectory(store.root + "/overlay/layers/" + layer.diffID.hex)
        try File.replace(store.root + "/boot", with: Array("an earlier one".utf8))
        #expect(store.hasBlob(layer.digest))
        let lease = try store.lease()
        #expect(!store.hasBlob(layer.digest) && !store.hasLayer(layer.diffID))
        lease.end()
        try store.sweep()
        #expect(store.content == before)
    }

    @Test func oneOfManyDoesTheWork() throws {
        let layers = try (0..<4).map { number in
            try TestLayer { try $0.add(TarEntry(.regular, "f\(number)"), contents: noise(300_000)) }
        }
        let opened = Mutex([Digest: Int]())
        let scratch = scratch
        let image = TestImage(layers)
        try Threads.parallel(limit: 16, Array(0..<16)) { number in
            let store = try scratch.open()
            let lease = try store.lease()
            defer { lease.end() }
            for turn in 0..<4 {
                let layer = layers[(number + turn) % 4]
                _ = try store.ingestLayer(
                    blob: layer.digest, size: Int64(layer.blob.count), diffID: layer.diffID,
                    from: {
                        opened.withLock { $0[layer.digest, default: 0] += 1 }
                        return BytesSource(layer.blob)
                    }())
            }
            try store.writeBlob(image.config)
            try store.putImage(manifest: image.manifest, names: ["localhost/n\(number):1"])
        }
        #expect(opened.withLock { $0 } == Dictionary(uniqueKeysWithValues: layers.map { ($0.digest, 1) }))
        #expect(try store.images().map(\.names.count) == [16])
        try store.sweep()
        #expect(store.content.count == 4 + 2 + 4)
    }

    @Test func readingChecksSmallBlobs() throws {
        let lease = try store.lease()
        let digest = try store.writeBlob([1, 2, 3])
        #expect(try store.readBlob(digest) == [1, 2, 3])
        #expect(throws: StorageError.self) { try store.readBlob(digest, limit: 2) }
        try File.replace(store.root + "/" + digest.path, with: [1, 2, 4])
        let error = #expect(throws: StorageError.self) { try store.readBlob(digest) }
        #expect(error?.code == .damaged)
        lease.end()
    }
}

extension Digest {
    var path: String { "blobs/\(algorithm.rawValue)/\(hex)" }
}
