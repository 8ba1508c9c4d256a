import ContainerStorage
import JSONText
import LayerArchive
import LinuxSystem
import OCISpec
import Testing

@testable import ContainerImage

@Suite(.serialized) struct ArtifactTests {
    private let scratch: Scratch
    private let store: Store
    private let artifacts: Artifacts

    init() throws {
        scratch = try Scratch()
        store = try scratch.store()
        artifacts = Artifacts(store: store, options: try Self.options(scratch))
    }

    private static func options(_ scratch: Scratch) throws -> TransferOptions {
        var options = TransferOptions()
        options.registriesConfig = scratch("registries.conf")
        try scratch.write("registries.conf", [])
        return options
    }

    private func file(_ name: String, _ text: String) throws -> String {
        try scratch.write(name, Array(text.utf8))
        return scratch(name)
    }

    private func message(_ body: () throws -> Void) -> String {
        do { try body() } catch { return "\(error)" }
        return "it went well"
    }

    // MARK: Adding

    @Test func manifestIsAsPodmanMakesIt() throws {
        let text = try file("a.txt", "hello\n")
        var addition = ArtifactAddition(type: "application/x-test")
        addition.annotations = ["color": "blue"]
        try artifacts.add([text], to: "localhost/x/a", addition)
        let artifact = try artifacts.find("localhost/x/a:latest")
        #expect(artifact.name == "localhost/x/a:latest")
        let manifest = artifact.manifest
        #expect(manifest.artifactType == "application/x-test" && manifest.annotations["color"] == "blue")
        #expect(manifest.mediaType == MediaType.ociManifest)
        #expect(manifest.config.mediaType == MediaType.ociEmpty && manifest.config.size == 2)
        #expect(manifest.config.unknown["data"]?.string == "e30=")
        #expect(
            manifest.config.digest
                == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")
        #expect(manifest.layers.count == 1 && manifest.layers[0].mediaType == "text/plain; charset=utf-8")
        #expect(
            manifest.layers[0].annotations == ["color": "blue", "org.opencontainers.image.title": "a.txt"])
        #expect(artifact.created != nil && artifact.size == 6)
        #expect(try artifacts.find(String(artifact.digest.hex.prefix(7))).digest == artifact.digest)
        #expect(try artifacts.find("localhost/x/a@\(artifact.digest)").name == artifact.name)
        #expect(try store.check(quick: false).isEmpty)
    }

    @Test func namesAndRepetitionsAreRefused() throws {
        let (one, two) = (try file("one", "1"), try file("two", "2"))
        let before = { try store.artifacts().map(\.digest) }
        #expect(message { try artifacts.add([one], to: "short") }.contains("localhost/short"))
        #expect(message { try artifacts.add([one], to: "localhost/A") }.contains("lower-case"))
        let digest = "sha256:" + String(repeating: "0", count: 64)
        #expect(message { try artifacts.add([one], to: "localhost/a@\(digest)") }.contains("tag"))
        #expect(message { try artifacts.add([one], to: "localhost/a:1@\(digest)") }.contains("at once"))
        #expect(
            message { try artifacts.add([one, one], to: "localhost/a") }
                == "one: file already exists in artifact")
        #expect(message { try artifacts.add([scratch("none")], to: "localhost/a") }.contains("none"))
        #expect(message { try artifacts.add([scratch.path], to: "localhost/a") }.contains("directory"))
        #expect(
            message { try artifacts.add([one], to: "localhost/a", ArtifactAddition(mode: .append)) }
                == "localhost/a:latest: artifact does not exist")
        #expect(try before().isEmpty)
        try artifacts.add([one], to: "localhost/a")
        let first = try before()
        #expect(
            message { try artifacts.add([two], to: "localhost/a") }
                == "localhost/a:latest: artifact already exists")
        #expect(
            message { try artifacts.add([one], to: "localhost/a", ArtifactAddition(mode: .append)) }
                == "one: file already exists in artifact")
        #expect(
            message {
                try artifacts.add([two], to: "localhost/a", ArtifactAddition(mode: .append, type: "x/y"))
            } == "append option is not compatible with type option")
        #expect(try before() == first)
        #expect(message { _ = try artifacts.find("nothing") } == "nothing: artifact does not exist")
    }

    @Test func appendKeepsAndReplaceDoesNot() throws {
        let (one, two) = (try file("one", "1"), try file("two", "2"))
        try artifacts.add([one], to: "localhost/a", ArtifactAddition(type: "x/y"))
        let first = try artifacts.find("localhost/a")
        var more = ArtifactAddition(mode: .append)
        more.fileType = "text/yaml"
        try artifacts.add([two], to: "localhost/a", more)
        let second = try artifacts.find("localhost/a")
        #expect(second.created == first.created && second.manifest.artifactType == "x/y")
        #expect(
            second.manifest.layers.map(\.mediaType) == ["text/plain; charset=utf-8", "text/yaml"])
        #expect(try artifacts.all().count == 1 && !store.hasBlob(first.digest))
        try artifacts.add([two], to: "localhost/a", ArtifactAddition(mode: .replace))
        #expect(try artifacts.find("localhost/a").manifest.layers.count == 1)
        #expect(!store.hasBlob(Digest.sha256(of: Array("1".utf8))))
        #expect(try artifacts.remove("localhost/a") != first.digest)
        #expect(try artifacts.all().isEmpty)
    }

    /// Several at once: none of them is lost.
    @Test func simultaneousAppendsAllCount() throws {
        try artifacts.add([try file("start", "0")], to: "localhost/a")
        let files = try (1...8).map { try file("f\($0)", "\($0)") }
        try Threads.parallel(limit: 4, files) { path in
            try artifacts.add([path], to: "localhost/a", ArtifactAddition(mode: .append))
        }
        #expect(try artifacts.find("localhost/a").manifest.layers.count == 9)
        #expect(try store.check(quick: false).isEmpty)
    }

    @Test(arguments: [
        ("", "text/plain; charset=utf-8"), ("plain words", "text/plain; charset=utf-8"),
        ("\n <!doctype html>", "text/html; charset=utf-8"), ("<a", "text/plain; charset=utf-8"),
        (" <?xml version", "text/xml; charset=utf-8"), ("%PDF-1.7", "application/pdf"),
        ("PK\u{3}\u{4}x", "application/zip"), ("GIF89a", "image/gif"), ("\u{0}asm", "application/wasm"),
        ("RIFF1234WAVEx", "audio/wave"), ("\u{1}\u{2}", "application/octet-stream"),
        ("\u{0}\u{0}\u{0}\u{14}ftypmp42", "application/octet-stream"),
        ("\u{0}\u{0}\u{0}\u{C}ftypmp42", "video/mp4"),
    ])
    func typesAreDetected(_ text: String, _ type: String) {
        #expect(ContentType.detect(text.unicodeScalars.map { UInt8($0.value) }) == type)
    }

    @Test func binaryTypesAreDetected() {
        #expect(ContentType.detect([0x1F, 0x8B, 8, 0]) == "application/x-gzip")
        #expect(ContentType.detect([0x89, 0x50, 0x4E, 0x47, 13, 10, 26, 10]) == "image/png")
        #expect(ContentType.detect([0xEF, 0xBB, 0xBF, 0x41]) == "text/plain; charset=utf-8")
    }

    // MARK: Extracting

    /// An artifact whose files are called as an attacker likes.
    private func hostile(_ titles: [String?], _ name: String = "localhost/evil:1") throws {
        let lease = try store.lease()
        defer { lease.end() }
        let empty = try store.writeBlob(Artifact.emptyConfig)
        let layers = try titles.enumerated().map { position, title in
            let (digest, size) = try store.ingestBlob(from: BytesSource(Array("file \(position)".utf8)))
            return ContentDescriptor(
                mediaType: "text/plain", digest: "\(digest)", size: size,
                annotations: title.map { [Artifact.title: $0] } ?? [:])
        }
        let manifest = ImageManifest(
            config: ContentDescriptor(mediaType: MediaType.ociEmpty, digest: "\(empty)", size: 2),
            layers: layers)
        try store.putArtifact(manifest: manifest.json.bytes(), name: name, replacing: .anything)
    }

    @Test func extractsToFilesAndDirectories() throws {
        try artifacts.add([try file("one", "1"), try file("two", "2")], to: "localhost/a")
        let target = scratch("out")
        #expect(message { try artifacts.extract("localhost/a", to: target) }.contains("no directory"))
        #expect(!File.exists(target))
        try artifacts.extract("localhost/a", .title("two"), to: target)
        #expect(try File.readText(target) == "2")
        // What is there is overwritten, and a link is not followed.
        let directory = scratch("dir")
        try File.makeDirectory(directory)
        try File.replace(scratch("kept"), with: Array("kept".utf8))
        try File.makeSymbolicLink(to: scratch("kept"), "\(directory)/one")
        try artifacts.extract("localhost/a", to: directory)
        #expect(try File.names(in: directory).sorted() == ["one", "two"])
        #expect(try File.readText("\(directory)/one") == "1" && File.readText(scratch("kept")) == "kept")
        let digest = try artifacts.find("localhost/a").manifest.layers[0].digest
        try artifacts.extract("localhost/a", .digest(digest), to: directory)
        #expect(
            try File.readText("\(directory)/\(digest.split(separator: ":").joined(separator: "-"))") == "1")
        #expect(
            message { try artifacts.extract("localhost/a", .title("three"), to: directory) }
                == #"no blob with the title "three""#)
        #expect(
            message { try artifacts.extract("localhost/a", .digest("blah"), to: directory) }
                == #"no blob with the digest "blah""#)
    }

    /// A title that leads out of the directory (CVE-2025-62725, CVE-2026-50162).
    @Test func titlesAreNoPaths() throws {
        let directory = scratch("dir")
        try File.makeDirectory(directory)
        for title in [
            "../evil", "/etc/evil", "a/b", "..", ".", "a\u{0}b", String(repeating: "x", count: 300),
        ] {
            try hostile(["good", title])
            #expect(
                message { try artifacts.extract("localhost/evil:1", to: directory) }
                    .contains("invalid name"), "\(title)")
            #expect(try File.names(in: directory).isEmpty)
            try hostile([title])
            try artifacts.extract("localhost/evil:1", to: scratch("file"))
        }
        try hostile(["same", "same"])
        #expect(
            message { try artifacts.extract("localhost/evil:1", to: directory) }.contains("called same"))
        try hostile([nil, ""])
        try artifacts.extract("localhost/evil:1", to: directory)
        #expect(try File.names(in: directory).allSatisfy { $0.hasPrefix("sha256-") })
        #expect(!File.exists(scratch("evil")))
    }

    @Test func deviceInTheWayIsNoFile() throws {
        let directory = scratch("dir")
        try File.makeDirectory(directory)
        try File.makeSymbolicLink(to: "/dev/full", "\(directory)/a")
        try hostile(["a"])
        try artifacts.extract("localhost/evil:1", to: directory)
        #expect(try File.status("\(directory)/a", followLinks: false).st_mode & S_IFMT == S_IFREG)
        try File.unlink("\(directory)/a")
        try File.makeDirectory("\(directory)/a")
        #expect(message { try artifacts.extract("localhost/evil:1", to: directory) }.contains("no file"))
    }

    @Test func damagedBlobsDoNotComeOut() throws {
        try artifacts.add([try file("one", "one")], to: "localhost/a")
        try File.replace(
            "\(store.root)/blobs/sha256/\(Digest.sha256(of: Array("one".utf8)).hex)", with: Array("two".utf8))
        #expect(message { try artifacts.extract("localhost/a", to: scratch("out")) }.contains("digest"))
        #expect(!File.exists(scratch("out")))
    }

    // MARK: Registries

    @Test func goesToARegistryAndBack() throws {
        let registry = try RegistryFixture(scratch)
        let name = "\(registry.host)/models/small:1"
        let digest = try artifacts.add(
            [try file("one", "1"), try file("large", String(repeating: "x", count: 5 << 20))], to: name,
            ArtifactAddition(type: "application/x-model"))
        #expect(try artifacts.push(name) == digest)
        #expect(try artifacts.push(String(digest.hex.prefix(12))) == digest)
        let other = try scratch.store("other")
        let there = Artifacts(store: other, options: try Self.options(scratch))
        #expect(try there.pull(name) == digest)
        #expect(try there.pull(name) == digest)
        try there.extract(name, .title("one"), to: scratch("out"))
        #expect(try File.readText(scratch("out")) == "1")
        #expect(try there.find(name).manifest.artifactType == "application/x-model")
        #expect(try other.check(quick: false).isEmpty)
        #expect(try there.pull("\(registry.host)/models/small@\(digest)") == digest)
        #expect(try there.all().count == 2)
        #expect(message { try there.pull("\(registry.host)/models/none:1") }.contains("none:1"))
    }

    /// What came of a large file before the line broke is not fetched again.
    @Test func goesOnWhereTheLineBroke() throws {
        let registry = try RegistryFixture(scratch)
        let size = 8 << 20
        var random = SystemRandomNumberGenerator()
        let bytes = (0..<size / 8).flatMap { _ in
            withUnsafeBytes(of: random.next() as UInt64) { Array($0) }
        }
        try scratch.write("large", bytes)
        let digest = try artifacts.add([scratch("large")], to: "\(registry.host)/files/large:1")
        try artifacts.push("\(registry.host)/files/large:1")
        let proxy = try CuttingProxy(to: registry.host, cuts: 1, after: 3 << 20, ofAnswers: true)
        let name = "localhost:\(proxy.port)/files/large:1"
        let other = try scratch.store("other")
        var options = try Self.options(scratch)
        options.retries = 0
        let there = Artifacts(store: other, options: options)
        #expect(message { try there.pull(name) }.contains("large:1"))
        #expect(try other.artifacts().isEmpty)
        let before = proxy.answered
        #expect(try there.pull(name) == digest)
        #expect(proxy.cutsLeft == 0 && proxy.answered - before < size - (1 << 20))
        try there.extract(name, to: scratch("back"))
        #expect(try File.read(scratch("back")) == bytes)
        #expect(try other.check(quick: false).isEmpty)
    }

    /// An image is one, too: its blobs come as they are.
    @Test func pullsImagesAndRefusesByPolicy() throws {
        let registry = try RegistryFixture(scratch)
        let layout = try scratch.sampleLayout()
        let name = "\(registry.host)/sample:1"
        try scratch.run(
            "skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false",
            "oci:\(layout.path):docker.io/library/sample:1", "docker://\(name)")
        #expect(try "\(artifacts.pull(name))" == layout.manifests[0].digest)
        #expect(try store.images().isEmpty)
        _ = try artifacts.remove(name)
        try scratch.write("policy.json", Array(#"{"default":[{"type":"reject"}]}"#.utf8))
        var options = try Self.options(scratch)
        options.trust.policy = scratch("policy.json")
        let refused = Artifacts(store: store, options: options)
        #expect(message { try refused.pull(name) }.contains("reject"))
        #expect(try store.artifacts().isEmpty)
    }

    @Test func subjectIsFoundByItsReferrers() throws {
        let registry = try RegistryFixture(scratch)
        let layout = try scratch.sampleLayout()
        let repository = "\(registry.host)/sample"
        try scratch.run(
            "skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false",
            "oci:\(layout.path):docker.io/library/sample:1", "docker://\(repository):1")
        for type in ["application/x-sbom", "application/x-other"] {
            var addition = ArtifactAddition(mode: .replace, type: type)
            addition.annotations = ["of": type]
            addition.subject = "docker://\(repository):1"
            try artifacts.add([try file("sbom", type)], to: "\(repository):about", addition)
            try artifacts.push("\(repository):about")
        }
        let place = try RegistryPlace("\(repository):1", options: Self.options(scratch))
        let found = try place.referrers(artifactType: nil)
        #expect(found.map(\.artifactType) == ["application/x-sbom", "application/x-other"])
        #expect(found[1].digest == "\(try artifacts.find("\(repository):about").digest)")
        #expect(found[0].annotations["of"] == "application/x-sbom")
        #expect(try place.referrers(artifactType: "application/x-sbom").count == 1)
        try RegistryPlace("\(repository):about", options: Self.options(scratch), pushes: true).delete()
        #expect(try place.referrers(artifactType: nil).map(\.artifactType) == ["application/x-sbom"])
    }
}
