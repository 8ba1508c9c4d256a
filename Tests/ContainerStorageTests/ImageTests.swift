import JSONText
import LayerArchive
import LinuxSystem
import OCISpec
import Testing

@testable import ContainerStorage

@Suite struct ImageTests {
    private let scratch: Scratch
    private let store: Store

    init() throws {
        scratch = try Scratch()
        store = try scratch.open()
    }

    /// Whoever is killed when an image's rows are gone leaves the next sweep his mark: a collector of
    /// before, which found all needed yet, must not have taken it.
    @Test func removalsKeepTheirMark() throws {
        let store = try scratch.open()
        let image = try TestImage([try TestLayer(["a": "1"])]).put(store)
        let other = try scratch.open()
        var isMarked = false
        try store.removeImage(
            image.id,
            unlessUsed: { _ throws(StorageError) in
                try other.collectGarbage()
                isMarked = File.exists(scratch.root + "/ingest/collect")
                return nil
            })
        #expect(isMarked)
        #expect(store.content == [])
    }

    @Test func comesBackAsItWasPut() throws {
        let layer = try TestLayer(["a": "hello"])
        let image = TestImage([layer], docker: true)
        let record = try image.put(
            store, ["docker.io/library/a:1"], repoDigests: ["docker.io/library/a@sha256:00"])
        #expect(record.id == Digest.sha256(of: image.config))
        #expect(
            record.names == ["docker.io/library/a:1"] && record.size == 5 && record.diffIDs == [layer.diffID])
        #expect(record.manifestMediaType == MediaType.dockerManifest)
        #expect(
            record.os == "linux" && record.architecture == "amd64" && record.created == "2024-01-02T03:04:05Z"
        )
        #expect(try store.readBlob(record.manifestDigest) == image.manifest)
        #expect(try store.config(of: record).config.env == ["A=1"])
        #expect(try store.manifest(of: record).layers.count == 1)
        #expect(try store.image(idPrefix: String(record.id.hex.prefix(5))) == record)
        #expect(try store.image(idPrefix: "sha256:" + record.id.hex) == record)
        #expect(try store.image(idPrefix: "xyz") == nil)
        #expect(try store.image(repoDigest: "docker.io/library/a@sha256:00") == record)
        #expect(try store.images() == [record])
        #expect(try scratch.open().images() == [record])
    }

    @Test func namesMove() throws {
        let one = try TestImage([], env: "N=1").put(store, ["localhost/x:1", "localhost/x:2"])
        let two = try TestImage([], env: "N=2").put(store, ["localhost/x:2"])
        #expect(try store.image(named: "localhost/x:2")?.id == two.id)
        #expect(try store.image(id: one.id)?.names == ["localhost/x:1"])
        try store.tag(two.id, "localhost/x:1")
        #expect(try store.image(id: one.id)?.names == [])
        try store.untag("localhost/x:1")
        #expect(throws: StorageError.self) { try store.untag("localhost/x:1") }
        #expect(throws: StorageError.self) { try store.tag(Digest.sha256(of: [9]), "localhost/y:1") }
    }

    @Test func ambiguousPrefixes() throws {
        for number in 0..<20 { try TestImage([], env: "N=\(number)").put(store) }
        let codes = "0123456789abcdef".map { digit in
            do { _ = try store.image(idPrefix: String(digit)) } catch {
                return (error as? StorageError)?.code
            }
            return nil
        }
        #expect(codes.contains(.ambiguous))
    }

    @Test func twoManifestsOfOneConfig() throws {
        let plain = try TestLayer(["a": "1"], compression: .zstd)
        var packed = plain
        let sink = BytesSink()
        let gzip = try CompressingSink(.gzip, to: sink)
        try gzip.write(try DecompressingSource(BytesSource(plain.blob)).readAll(limit: 1 << 20))
        try gzip.finish()
        packed.blob = sink.bytes
        packed.digest = Digest.sha256(of: sink.bytes)
        let first = try TestImage([plain]).put(store, ["localhost/a:zstd"])
        let second = try TestImage([packed]).put(store, ["localhost/a:gzip"])
        #expect(first.id == second.id && first.manifestDigest != second.manifestDigest)
        #expect(try store.images().count == 1)
        #expect(store.hasBlob(plain.digest) && store.hasBlob(packed.digest))
        #expect(try store.removeImage(first.id).blobs.count == 5)
        #expect(store.content == [])
    }

    @Test func sharedContentStaysAsLongAsOneNeedsIt() throws {
        let shared = try TestLayer(["a": "1"])
        let own = try TestLayer(["b": "2"])
        let one = try TestImage([shared], env: "N=1").put(store)
        let two = try TestImage([shared, own], env: "N=2").put(store)
        let reclaimed = try store.removeImage(two.id)
        #expect(reclaimed.layers == [own.diffID])
        #expect(Set(reclaimed.blobs) == [own.digest, two.id, two.manifestDigest])
        #expect(store.hasBlob(shared.digest) && store.hasLayer(shared.diffID))
        try store.createSnapshot(id: "c", image: one)
        #expect(throws: StorageError.self) { try store.removeImage(one.id) }
        #expect(try store.removeImage(one.id, keepingSnapshots: true).layers == [])
        #expect(try File.names(in: store.mountSnapshot("c")) == ["a"])
        try store.removeSnapshot("c")
        #expect(try store.collectGarbage().layers == [shared.diffID])
        #expect(store.content == [])
    }

    /// Who decides by an image's names what goes does it of the names that it still has.
    @Test func namesThatChangedMeanwhileStay() throws {
        let seen = try TestImage([]).put(store, ["localhost/a:1"])
        try store.tag(seen.id, "localhost/b:1")
        func code(_ body: () throws -> Void) -> StorageError.Code? {
            do { try body() } catch { return (error as? StorageError)?.code }
            return nil
        }
        #expect(code { try store.removeImage(seen.id, ifStill: seen) } == .changed)
        #expect(code { try store.untag("localhost/a:1", of: seen) } == .changed)
        let now = try #require(try store.image(id: seen.id))
        #expect(now.names.sorted() == ["localhost/a:1", "localhost/b:1"])
        try store.untag("localhost/a:1", of: now)
        #expect(code { try store.untag("localhost/b:1", of: now) } == .changed)
        try store.removeImage(seen.id, ifStill: store.image(id: seen.id))
        #expect(code { try store.removeImage(seen.id, ifStill: seen) } == .notFound)
    }

    @Test func anEnginesContainersHoldTheirImage() throws {
        try store.database.migrate(room: "engine", steps: ["CREATE TABLE container(id TEXT, image TEXT)"])
        let image = try TestImage([]).put(store)
        try store.createSnapshot(id: "c", image: nil, diffIDs: []) { connection throws(StorageError) in
            _ = try connection.execute("INSERT INTO container VALUES('c', ?)", image.id)
        }
        let error = #expect(throws: StorageError.self) {
            try store.removeImage(image.id) { connection throws(StorageError) in
                try connection.first("SELECT id FROM container WHERE image = ?", image.id) {
                    "container " + $0.text(0)
                }
            }
        }
        #expect(error?.code == .inUse && error!.description.contains("container c"))
        #expect(try store.image(id: image.id) != nil)
    }

    @Test func theIndexTellsOthers() throws {
        func index() throws -> ImageIndex {
            try ImageIndex(json: JSON(parsing: File.read(store.root + "/index.json")))
        }
        #expect(try index().manifests.isEmpty)
        let image = try TestImage([try TestLayer(["a": "1"])]).put(store, ["localhost/a:1", "localhost/b:1"])
        #expect(
            try index().manifests.map { $0.annotations[ContentDescriptor.referenceName] }
                == ["localhost/a:1", "localhost/b:1"])
        #expect(try index().manifests[0].digest == "\(image.manifestDigest)")
        try store.untag("localhost/a:1")
        try store.untag("localhost/b:1")
        #expect(try index().manifests.map(\.annotations) == [[:]])
        try store.removeImage(image.id)
        #expect(try index().manifests.isEmpty)
    }

    @Test func aStaleIndexIsWrittenBySweep() throws {
        try TestImage([]).put(store, ["localhost/a:1"])
        try File.replace(store.root + "/index.json", with: [])
        try store.database.write { connection throws(StorageError) in
            _ = try connection.execute("INSERT INTO setting VALUES('index_stale', '1')")
        }
        try store.sweep()
        #expect(try File.readText(store.root + "/index.json").contains("localhost/a:1"))
    }

    /// It may be there by name only: nobody waits until the disk has it.
    @Test func anIndexOfAnotherSessionIsWrittenBySweep() throws {
        try #require(try store.session().tellsDisks)
        try TestImage([]).put(store, ["localhost/a:1"])
        try File.replace(store.root + "/index.json", with: [])
        try store.sweep()
        #expect(try File.readText(store.root + "/index.json") == "")
        try store.database.write { connection throws(StorageError) in
            _ = try connection.execute("UPDATE setting SET value = 'another' WHERE name = 'index_session'")
        }
        try store.sweep()
        #expect(try File.readText(store.root + "/index.json").contains("localhost/a:1"))
    }

    // MARK: Manifests that lie

    private func refused(
        _ code: StorageError.Code, _ image: TestImage, change: (inout ImageManifest) -> Void
    ) throws {
        let lease = try store.lease()
        try store.writeBlob(image.config)
        for layer in image.layers { try store.ingest(layer) }
        var manifest = try ImageManifest(json: JSON(parsing: image.manifest))
        change(&manifest)
        let error = #expect(throws: StorageError.self) {
            try store.putImage(manifest: manifest.json.bytes(), names: ["localhost/x:1"])
        }
        #expect(error?.code == code)
        lease.end()
        #expect(try store.images() == [])
        #expect(store.content == [])
    }

    @Test func hostileManifests() throws {
        let image = TestImage([try TestLayer(["a": "1"])])
        try refused(.mismatch, image) { $0.layers[0].size += 1 }
        try refused(.mismatch, image) { $0.config.size = 1 << 60 }
        try refused(.notFound, image) { $0.layers[0].digest = "sha256:" + String(repeating: "0", count: 64) }
        try refused(.invalid, image) { $0.layers[0].digest = "sha256:../../../../etc/passwd" }
        try refused(.invalid, image) { $0.layers[0].digest = "md5:00" }
        try refused(.invalid, image) { $0.layers = [] }
        try refused(.invalid, image) { $0.layers.append($0.layers[0]) }
        // A layer as the config.
        try refused(.invalid, image) { $0.config = $0.layers[0] }
    }

    @Test func hostileConfigs() throws {
        for text in [
            "", "[]", "{}", #"{"rootfs":[]}"#, #"{"rootfs":{"diff_ids":["x"]}}"#,
            #"{"rootfs":{"diff_ids":7}}"#,
        ] {
            let lease = try store.lease()
            let config = try store.writeBlob(Array(text.utf8))
            let manifest = ImageManifest(
                config: ContentDescriptor(
                    mediaType: MediaType.ociConfig, digest: "\(config)", size: Int64(text.utf8.count)),
                layers: [])
            let error = #expect(throws: StorageError.self, "\(text)") {
                try store.putImage(manifest: manifest.json.bytes())
            }
            #expect(error?.code == .invalid)
            lease.end()
            #expect(store.content == [])
        }
        #expect(throws: StorageError.self) { try store.putImage(manifest: Array("{}".utf8)) }
        #expect(throws: StorageError.self) {
            try store.putImage(manifest: [UInt8](repeating: 0x20, count: 9 << 20))
        }
        #expect(store.content == [])
    }

    @Test func tooManyLayersForOverlay() throws {
        let layer = try TestLayer(["a": "1"])
        let lease = try store.lease()
        let image = TestImage(Array(repeating: layer, count: 600))
        let error = #expect(throws: StorageError.self) { try image.put(store) }
        #expect(error?.code == .unsupported)
        lease.end()
        #expect(store.content == [])
    }
}
