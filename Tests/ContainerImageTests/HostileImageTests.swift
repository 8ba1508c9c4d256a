import ContainerImage
import ContainerStorage
import JSONText
import LayerArchive
import LinuxSystem
import OCISpec
import Testing

/// Every one: one clear error, and a store as empty as before.
@Suite struct HostileImageTests {
    private func refuse(
        _ expected: ImageError.Code, saying text: String, _ make: (TestLayout) throws -> Void,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let scratch = try Scratch()
        let layout = try TestLayout(scratch("layout"))
        try make(layout)
        let store = try scratch.store()
        let error = #expect(throws: ImageError.self, sourceLocation: sourceLocation) {
            try ImageTransfer(store: store).pull(.layout(path: layout.path, reference: nil))
        }
        #expect(error?.code == expected, "\(error?.description ?? "")", sourceLocation: sourceLocation)
        #expect(
            error?.description.contains(text) == true, "\(error?.description ?? "")",
            sourceLocation: sourceLocation)
        #expect(
            error?.description.unicodeScalars.allSatisfy { $0.value >= 0x20 } == true,
            sourceLocation: sourceLocation)
        #expect(store.leftovers == [], sourceLocation: sourceLocation)
        #expect(try store.images() == [], sourceLocation: sourceLocation)
    }

    /// A blob that is not what its digest says (CVE-2014-8178).
    @Test(arguments: Compression.allCases) func flippedBit(_ compression: Compression) throws {
        let expected: Set<ImageError.Code> = [.corrupt, .malformed]
        let scratch = try Scratch()
        let layout = try TestLayout(scratch("layout"))
        // Incompressible, so that the flipped bit is in the data.
        var state: UInt64 = 1
        let noise = (0..<200_000).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1
            return UInt8(truncatingIfNeeded: state >> 33)
        }
        let sink = BytesSink()
        let tar = TarWriter(sink)
        try tar.add(TarEntry(.regular, "noise"), contents: noise)
        try tar.finish()
        let layer = try layout.layer(tar: sink.bytes, compression)
        try layout.image("x.y/z:1", [layer, try layout.layer(["a": "a"])])
        var bytes = try File.read(layout.file(layer.descriptor))
        bytes[100_000] ^= 4
        try File.replace(layout.file(layer.descriptor), with: bytes)
        let store = try scratch.store()
        let error = #expect(throws: ImageError.self) {
            try ImageTransfer(store: store).pull(.layout(path: layout.path, reference: nil))
        }
        #expect(error.map { expected.contains($0.code) } == true, "\(error?.description ?? "")")
        #expect(error?.description.contains(layer.descriptor.digest) == true, "\(error?.description ?? "")")
        #expect(store.leftovers == [])
    }

    @Test func truncatedLayer() throws {
        try refuse(.corrupt, saying: "bytes instead of") { layout in
            let layer = try layout.layer(["a": String(repeating: "b", count: 100_000)])
            try layout.image("x.y/z:1", [layer])
            let bytes = try File.read(layout.file(layer.descriptor))
            try File.replace(layout.file(layer.descriptor), with: Array(bytes.dropLast(20)))
        }
    }

    @Test func wrongSize() throws {
        try refuse(.corrupt, saying: "announced") { layout in
            try layout.image("x.y/z:1", [try layout.layer(["a": "a"])]) { manifest, _ in
                manifest.layers[0].size -= 1
            }
        }
    }

    /// A layer whose tar is not what the config says (CVE-2014-8178).
    @Test func wrongDiffID() throws {
        try refuse(.corrupt, saying: "its tar has the digest") { layout in
            try layout.image("x.y/z:1", [try layout.layer(["a": "a"])]) { _, config in
                config.rootfs.diffIDs = ["sha256:" + String(repeating: "ab", count: 32)]
            }
        }
    }

    @Test func missingLayer() throws {
        try refuse(.notFound, saying: "is missing") { layout in
            let layer = try layout.layer(["a": "a"])
            try layout.image("x.y/z:1", [try layout.layer(["b": "b"]), layer])
            try File.unlink(layout.file(layer.descriptor))
        }
    }

    @Test func layersAndDiffIDsDiffer() throws {
        try refuse(.malformed, saying: "1 layers and the config 2 diff_ids") { layout in
            let layer = try layout.layer(["a": "a"])
            try layout.image("x.y/z:1", [layer, layer]) { manifest, _ in manifest.layers.removeLast() }
        }
    }

    @Test func changedManifest() throws {
        try refuse(.corrupt, saying: "have the digest") { layout in
            let image = try layout.image("x.y/z:1", [])
            try File.replace(layout.file(image), with: try File.read(layout.file(image)) + [0x20])
        }
    }

    /// A part of an image whose descriptor is changed.
    enum Part: CaseIterable, Sendable { case config, layer, member }

    private func image(
        _ layout: TestLayout, changing part: Part, _ change: (inout ContentDescriptor) -> Void
    ) throws {
        var image = try layout.image(nil, [layout.layer(["a": "a"])])
        var manifest = try ImageManifest(json: JSON(parsing: File.read(layout.file(image))))
        switch part {
        case .config: change(&manifest.config)
        case .layer: change(&manifest.layers[0])
        case .member:
            change(&image)
            _ = try layout.index("x.y/z:1", [image])
            return
        }
        try layout.list(layout.blob(manifest.json.bytes(), MediaType.ociManifest), "x.y/z:1")
    }

    /// A path in place of a digest (CVE-2014-9358, CVE-2024-3727).
    @Test(
        arguments: Part.allCases,
        [
            "sha256:../../../../../../etc/passwd", "../../../../etc/passwd", "",
            "sha256:" + String(repeating: "AB", count: 32),
            "sha256:" + String(repeating: "ab", count: 31) + "/a",
        ])
    func pathsForDigests(_ part: Part, _ digest: String) throws {
        try refuse(.malformed, saying: "invalid digest") { layout in
            try image(layout, changing: part) { $0.digest = digest }
        }
    }

    /// No more memory is taken than there are bytes (GHSA-f36w-mj3v-6jqv); nor are configs read that are
    /// too large (CVE-2021-21285).
    @Test(arguments: Part.allCases) func sizesThatLie(_ part: Part) throws {
        let (code, why): (ImageError.Code, String) =
            switch part {
            case .config: (.limit, "more than 8388608 are not accepted")
            case .layer: (.corrupt, "bytes instead of")
            case .member: (.corrupt, "not the announced")
            }
        try refuse(code, saying: why) { layout in
            try image(layout, changing: part) { $0.size = 1 << 62 }
        }
        try refuse(.malformed, saying: "size: is negative") { layout in
            try image(layout, changing: part) { $0.size = -1 }
        }
    }

    /// What an image calls its parts reaches no terminal as commands, nor as lines of its own.
    @Test(arguments: [Part.config, .layer]) func typesForTerminals(_ part: Part) throws {
        try refuse(.unsupported, saying: "type a [31mRED  second") { layout in
            try image(layout, changing: part) { $0.mediaType = "a\u{1b}[31mRED\u{7}\nsecond" }
        }
    }

    @Test func platformsForTerminals() throws {
        try refuse(.unknownPlatform, saying: "a b c/amd64") { layout in
            try layout.image(
                "x.y/z:1", [], platform: Platform(os: "a\u{9b}b\nc", architecture: "amd64"))
        }
    }

    @Test func hugeManifest() throws {
        try refuse(.limit, saying: "more than 4194304 are not accepted") { layout in
            try layout.image("x.y/z:1", []) { manifest, _ in
                manifest.annotations["filler"] = String(repeating: "x", count: 5 << 20)
            }
        }
    }

    @Test func tooManyLayers() throws {
        try refuse(.limit, saying: "501 layers") { layout in
            let layer = try layout.layer(["a": "a"])
            try layout.image("x.y/z:1", Array(repeating: layer, count: 501))
        }
    }

    @Test func indexesWithinIndexes() throws {
        try refuse(.limit, saying: "deeper than") { layout in
            var member = try layout.image(nil, [])
            for level in 0..<6 {
                member = try layout.index(level == 5 ? "x.y/z:1" : nil, [member])
                member.platform = .host
            }
        }
    }

    /// A document that is two things, and what is none (CVE-2021-41190, CVE-2021-21285).
    @Test(arguments: [
        ("[]", "expected an object"), ("{", "invalid JSON"), ("", "invalid JSON"),
        (#"{"schemaVersion":2}"#, "no image manifest"),
        (#"{"schemaVersion":1,"fsLayers":[]}"#, "schema 1"),
        (
            #"{"schemaVersion":2,"config":{"digest":7,"size":1},"layers":[]}"#,
            "config.digest: expected a string"
        ),
        (#"{"schemaVersion":2,"config":{"digest":"x","size":1},"layers":{}}"#, "layers: expected an array"),
        (#"{"schemaVersion":2,"manifests":[],"config":{},"layers":[]}"#, "a manifest and an index at once"),
        (#"{"schemaVersion":2,"manifests":[]}"#, "not there for"),
        (
            #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","config":{},"layers":[]}"#,
            "called an index"
        ),
        (#"{"schemaVersion":2,"manifests":[],"fsLayers":[]}"#, "a manifest and an index at once"),
        (
            #"{"schemaVersion":2,"config":{"digest":"x","size":1},"layers":[],"layers":[]}"#,
            "stands twice"
        ),
    ])
    func wrongDocuments(_ text: String, _ saying: String) throws {
        let code: ImageError.Code = saying == "not there for" ? .unknownPlatform : .malformed
        try refuse(code, saying: saying) { layout in
            try layout.list(try layout.blob(Array(text.utf8), ""), "x.y/z:1")
        }
    }

    @Test func artifactsAreNoImages() throws {
        try refuse(.unsupported, saying: "application/vnd.cncf.helm.config.v1+json") { layout in
            try layout.image("x.y/z:1", []) { manifest, _ in
                manifest.config.mediaType = "application/vnd.cncf.helm.config.v1+json"
            }
        }
    }

    @Test func foreignSystem() throws {
        try refuse(.unknownPlatform, saying: "windows/amd64") { layout in
            try layout.image("x.y/z:1", [], platform: Platform(os: "windows", architecture: "amd64"))
        }
    }

    @Test func archivesOfOtherThings() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        func load(_ name: String) -> ImageError? {
            #expect(throws: ImageError.self) {
                try ImageTransfer(store: store).load(File.open(scratch(name)), name: name)
            }
        }
        try scratch.write("empty", [])
        try scratch.write("text", Array("no archive".utf8))
        try scratch.write("noise", (0..<10_000).map { UInt8(truncatingIfNeeded: $0 * 31) })
        try scratch.write("file", Array("x".utf8))
        try scratch.run("tar", "-C", scratch.path, "-cf", scratch("rootfs.tar"), "file")
        for name in ["empty", "text", "noise", "rootfs.tar"] {
            #expect(load(name)?.code == .malformed, "\(name)")
        }
        #expect(load("rootfs.tar")?.message.contains("import") == true)
        #expect(store.leftovers == [])
    }

    /// Documents of an archive that would fill the memory (CVE-2020-1702, CVE-2021-21285,
    /// CVE-2023-25153).
    @Test(arguments: ["manifest.json", "index.json", "oci-layout"])
    func hugeDocumentsOfArchives(_ document: String) throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let layout = try TestLayout(scratch("layout"))
        try File.replace(
            "\(layout.path)/\(document)", with: [UInt8](repeating: 0x20, count: 5 << 20), durable: false)
        try scratch.run("tar", "-C", layout.path, "-cf", scratch("huge.tar"), ".")
        let error = #expect(throws: ImageError.self) {
            try ImageTransfer(store: store).load(File.open(scratch("huge.tar")), name: "huge.tar")
        }
        #expect(error?.code == .limit && error?.description.contains(document) == true, "\(error as Any)")
        #expect(store.leftovers == [])
    }

    @Test func brokenDockerArchives() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let layout = try scratch.sampleLayout()
        let record = try ImageTransfer(store: store).pull(.layout(path: layout.path, reference: nil))
        try ImageTransfer(store: store).save(
            [SavedImage(record, names: [try ImageReference(parsing: "a")])], as: .dockerArchive,
            to: scratch("good.tar"))
        let second = try scratch.store("second")
        func refuse(_ name: String, _ saying: String) {
            let error = #expect(throws: ImageError.self) {
                try ImageTransfer(store: second).load(File.open(scratch(name)), name: name)
            }
            #expect(error?.description.contains(saying) == true, "\(error?.description ?? "")")
            #expect(second.leftovers == [])
        }
        let good = try File.read(scratch("good.tar"))
        try scratch.write("short.tar", Array(good.prefix(200_000)))
        refuse("short.tar", "truncated")
        // A bit of the first layer's contents.
        var flipped = good
        flipped[5_000] ^= 1
        try scratch.write("flipped.tar", flipped)
        refuse("flipped.tar", "digest")
        for (name, manifest, saying) in [
            ("type", #"{"Config":1}"#, "expected an array"), ("none", "[]", "no image"),
            ("config", #"[{"Config":"../../etc/passwd","Layers":[]}]"#, "is missing"),
        ] {
            try File.makeDirectories(scratch(name))
            try scratch.write("\(name)/manifest.json", Array(manifest.utf8))
            try scratch.run("tar", "-C", scratch(name), "-cf", scratch("\(name).tar"), "manifest.json")
            refuse("\(name).tar", saying)
        }
    }
}
