import ContainerStorage
import JSONText
import LayerArchive
import LinuxSystem
import OCISpec
import Testing

/// Artifacts beside images: whose blobs stay, whose go, and what tells of them.
@Suite struct ArtifactStoreTests {
    private let scratch: Scratch
    private let store: Store

    init() throws {
        scratch = try Scratch()
        store = try scratch.open()
    }

    @discardableResult
    private func put(
        _ name: String, _ files: [String], _ replacing: ArtifactReplacement = .nothing
    ) throws -> ArtifactRecord {
        let lease = try store.lease()
        defer { lease.end() }
        let empty = try store.writeBlob(Array("{}".utf8))
        let layers = try files.map { text in
            let (digest, size) = try store.ingestBlob(from: BytesSource(Array(text.utf8)))
            return ContentDescriptor(mediaType: "text/plain", digest: "\(digest)", size: size)
        }
        let manifest = ImageManifest(
            config: ContentDescriptor(mediaType: MediaType.ociEmpty, digest: "\(empty)", size: 2),
            layers: layers)
        return try store.putArtifact(
            manifest: manifest.json.bytes(), name: name, replacing: replacing)
    }

    private func blob(_ text: String) -> Digest { Digest.sha256(of: Array(text.utf8)) }

    @Test func comesBackAndGoes() throws {
        let one = try put("localhost/a:1", ["one", "both"])
        let two = try put("localhost/a:2", ["two", "both"])
        #expect(try store.artifacts() == [one, two])
        #expect(try scratch.open().artifact(named: "localhost/a:1") == one)
        #expect(try store.manifest(of: one).layers.count == 2)
        #expect(try store.check(quick: false).isEmpty)
        try store.removeArtifact("localhost/a:1", ifStill: one.digest)
        #expect(!store.hasBlob(blob("one")) && !store.hasBlob(one.digest))
        #expect(store.hasBlob(blob("both")) && store.hasBlob(two.digest))
        try store.removeArtifact("localhost/a:2")
        #expect(store.content == [])
        #expect(throws: StorageError.self) { try store.removeArtifact("localhost/a:2") }
    }

    @Test func replacesOnlyWhatWasMeant() throws {
        let first = try put("localhost/a:1", ["one"])
        func code(_ replacing: ArtifactReplacement) throws -> StorageError.Code? {
            do { try put("localhost/a:1", ["other"], replacing) } catch let error as StorageError {
                return error.code
            }
            return nil
        }
        #expect(try code(.nothing) == .exists)
        #expect(try code(.manifest(blob("x"))) == .changed)
        #expect(try store.artifacts() == [first])
        #expect(!store.hasBlob(blob("other")))
        #expect(try code(.manifest(first.digest)) == nil)
        #expect(!store.hasBlob(blob("one")) && store.hasBlob(blob("other")))
        #expect(try code(.anything) == nil)
        #expect(try store.removeArtifactCode("localhost/a:1", first.digest) == .changed)
    }

    @Test func collectionSparesThem() throws {
        let layer = try TestLayer(["a": "hello"])
        let image = try TestImage([layer]).put(store, ["localhost/a:1"])
        // An artifact that has a blob of the image's.
        let lease = try store.lease()
        let config = try store.writeBlob(Array("{}".utf8))
        let manifest = ImageManifest(
            config: ContentDescriptor(mediaType: MediaType.ociEmpty, digest: "\(config)", size: 2),
            layers: [
                ContentDescriptor(
                    mediaType: layer.mediaType, digest: "\(layer.digest)", size: Int64(layer.blob.count))
            ])
        try store.putArtifact(manifest: manifest.json.bytes(), name: "localhost/b:1", replacing: .nothing)
        lease.end()
        let usage = try store.usage()
        #expect(usage.artifacts.count == 1 && usage.artifactsSize < usage.artifacts[0].size)
        try store.removeImage(image.id)
        try store.collectGarbage()
        #expect(store.hasBlob(layer.digest))
        #expect(try store.check(quick: false).isEmpty)
        try store.removeArtifact("localhost/b:1")
        #expect(store.content == [])
    }

    @Test func indexTellsOfThem() throws {
        try TestImage([]).put(store, ["localhost/same:1"])
        let artifact = try put("localhost/same:1", ["one"])
        try put("localhost/own:1", ["two"])
        let index = try ImageIndex(json: JSON(parsing: File.read("\(store.root)/index.json")))
        let names = index.manifests.map { $0.annotations[ContentDescriptor.referenceName] }
        // A name is one thing's.
        #expect(names == ["localhost/same:1", "localhost/own:1", nil])
        #expect(index.manifests[2].digest == "\(artifact.digest)")
    }

    @Test func aLostBlobIsFoundAndTheArtifactGivenUp() throws {
        try put("localhost/a:1", ["one"])
        let kept = try put("localhost/b:1", ["two"])
        try File.unlink("\(store.root)/blobs/sha256/\(blob("one").hex)")
        let damage = try store.check(quick: false)
        #expect(damage.map(\.images) == [["localhost/a:1"]])
        let repaired = try store.repair(damage)
        #expect(repaired[0].repair?.contains("removed artifact localhost/a:1") == true, "\(repaired)")
        #expect(try store.artifacts() == [kept])
        #expect(try store.check(quick: false).isEmpty)
    }

    @Test func whatIsMissingOrWrongIsRefused() throws {
        let empty = ContentDescriptor(
            mediaType: MediaType.ociEmpty, digest: "\(try store.writeBlob(Array("{}".utf8)))", size: 2)
        for (digest, size) in [("\(blob("gone"))", 4), (empty.digest, 3), ("md5:0", 2)] {
            let manifest = ImageManifest(
                config: empty, layers: [ContentDescriptor(mediaType: "x", digest: digest, size: Int64(size))])
            #expect(throws: StorageError.self) {
                try store.putArtifact(
                    manifest: manifest.json.bytes(), name: "localhost/a:1", replacing: .nothing)
            }
        }
        #expect(try store.artifacts().isEmpty)
    }

    /// A store that was made before there were artifacts.
    @Test func olderStoresGetTheTables() throws {
        try store.database.write { connection throws(StorageError) in
            try connection.executeScript(
                "DROP TABLE artifact_blob; DROP TABLE artifact; UPDATE room SET version = 2 WHERE name = 'storage'"
            )
        }
        let again = try scratch.open()
        #expect(try again.artifacts().isEmpty)
        #expect(try again.check(quick: true).isEmpty)
    }
}

extension Store {
    fileprivate func removeArtifactCode(_ name: String, _ digest: Digest) throws -> StorageError.Code? {
        do { try removeArtifact(name, ifStill: digest) } catch { return error.code }
        return nil
    }
}
