import ContainerImage
import ContainerStorage
import JSONText
import LayerArchive
import LinuxSystem
import OCISpec
import Testing

/// From place to place, past any store.
@Suite(.serialized) struct CopyTests {
    private func stores(_ scratch: Scratch) -> LocalStores {
        LocalStores(
            open: { root in try Store.open(root: root!, runRoot: root! + ".run") },
            find: { root, name in
                let store = try Store.open(root: root!, runRoot: root! + ".run")
                return (store, try #require(try store.image(named: "localhost/\(name)")))
            })
    }

    /// - Returns: the digest at the destination.
    @discardableResult
    private func copy(
        _ scratch: Scratch, _ source: String, _ destination: String,
        _ change: (inout CopyJob) -> Void = { _ in }
    ) throws -> Digest {
        var job = CopyJob(
            try ImageSource(parsingTransport: source), to: try ImageSource(parsingTransport: destination))
        if !File.exists(scratch("registries.conf")) { try scratch.write("registries.conf", []) }
        for options in [\CopyJob.sourceOptions, \.destinationOptions] {
            job[keyPath: options].registriesConfig = scratch("registries.conf")
            job[keyPath: options].stores = stores(scratch)
        }
        change(&job)
        return try job.run()
    }

    private func digest(_ layout: TestLayout) throws -> Digest {
        try Digest(parsing: layout.manifests[0].digest)
    }

    @Test func everyPlaceToTheNext() throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        let daemon = try FakeDaemon(scratch)
        let layout = try scratch.sampleLayout()
        let digest = try digest(layout)
        let exact = [
            "oci:\(layout.path)", "docker://\(registry.host)/a/b:1", "dir:\(scratch("dir"))",
            "oci-archive:\(scratch("o.tar")):v1", "apus:[\(scratch("store"))]sample:1",
            "oci:\(scratch("out")):v1",
        ]
        for (source, destination) in zip(exact, exact.dropFirst()) {
            #expect(try copy(scratch, source, destination) == digest, "\(source) \(destination)")
        }
        let host = "unix://\(daemon.socket)"
        try copy(scratch, exact[5], "docker-archive:\(scratch("d.tar")):team/sample:1")
        try copy(scratch, "docker-archive:\(scratch("d.tar"))", "docker-daemon:team/sample:1") {
            $0.destinationOptions.daemonHost = host
        }
        try copy(scratch, "docker-daemon:team/sample:1", "apus:[\(scratch("last"))]sample:2") {
            $0.sourceOptions.daemonHost = host
        }
        let first = try #require(
            try scratch.store("store").image(named: "localhost/sample:1"))
        let last = try #require(try scratch.store("last").image(named: "localhost/sample:2"))
        #expect(first.id == last.id && first.diffIDs == last.diffIDs)
        for place in exact[1..<4] + exact[5...] + ["docker-archive:\(scratch("d.tar"))"] {
            try scratch.run("skopeo", "inspect", "--tls-verify=false", place)
        }
        let missing = #expect(throws: ImageError.self) {
            try copy(scratch, "docker-daemon:nothing:1", "dir:\(scratch("none"))") {
                $0.sourceOptions.daemonHost = host
            }
        }
        #expect(missing?.code == .notFound && missing?.description.contains("No such image") == true)
        let refused = #expect(throws: ImageError.self) {
            try copy(scratch, exact[0], "docker-daemon:refuse/it:1") {
                $0.destinationOptions.daemonHost = host
            }
        }
        #expect(refused?.description.contains("disk is full") == true, "\(String(describing: refused))")
        #expect(!File.exists(scratch("none")))
    }

    /// Two platforms, one of them behind an index of its own, and an artifact.
    private func listLayout(_ scratch: Scratch) throws -> TestLayout {
        let layout = try TestLayout(scratch("list"))
        let shared = try layout.layer(["shared": "yes"])
        let amd = try layout.image(
            nil, [shared, layout.layer(["arch": "amd64"])], platform: .init(architecture: "amd64"))
        let arm = try layout.image(
            nil, [shared, layout.layer(["arch": "arm64"])], platform: .init(architecture: "arm64"))
        let artifact = try layout.image(nil, [], platform: .init(os: "unknown", architecture: "unknown")) {
            manifest, _ in
            manifest.config.mediaType = "application/vnd.example.thing+json"
            manifest.layers = [try! layout.blob(Array("text".utf8), "text/plain")]
        }
        var inner = try layout.index(nil, [arm])
        inner.platform = arm.platform
        _ = try layout.index("all", [amd, inner, artifact])
        return layout
    }

    @Test func listsComeWhole() throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        let layout = try listLayout(scratch)
        let digest = try digest(layout)
        let all = { (job: inout CopyJob) in
            job.selection = .all
            job.form.preservesDigests = true
        }
        let places = [
            "oci:\(layout.path)", "docker://\(registry.host)/list:1", "dir:\(scratch("dir"))",
            "oci:\(scratch("out")):v1",
        ]
        for (source, destination) in zip(places, places.dropFirst()) {
            #expect(try copy(scratch, source, destination, all) == digest)
        }
        #expect(
            try File.names(in: "\(scratch("out"))/blobs/sha256").sorted()
                == File.names(in: "\(layout.path)/blobs/sha256").sorted())
        try scratch.run(
            "skopeo", "copy", "--src-tls-verify=false", places[1], "dir:\(scratch("theirs"))")

        let arm = try copy(scratch, places[1], "oci:\(scratch("arm")):v1") {
            $0.sourceOptions.platform = Platform(architecture: "arm64")
        }
        #expect(arm != digest)
        #expect(
            try ImageTransfer(store: scratch.store(), options: armOptions).pull(
                .layout(path: scratch("arm"), reference: nil)
            ).architecture == "arm64")
        #expect(
            try copy(scratch, places[0], "oci:\(scratch("only")):v1") { $0.selection = .indexOnly } == digest)
        #expect(try File.names(in: "\(scratch("only"))/blobs/sha256").count == 1)
        let archive = #expect(throws: ImageError.self) {
            try copy(scratch, places[0], "docker-archive:\(scratch("d.tar"))", all)
        }
        #expect(archive?.code == .unsupported && !File.exists(scratch("d.tar")))
    }

    private var armOptions: TransferOptions {
        var options = TransferOptions()
        options.platform = Platform(architecture: "arm64")
        return options
    }

    @Test func whatChangesIsChangedThroughout() throws {
        let scratch = try Scratch()
        let layout = try listLayout(scratch)
        try copy(scratch, "oci:\(layout.path)", "oci:\(scratch("zstd")):v1") {
            $0.selection = .all
            $0.form.compression = .zstd
        }
        try scratch.run(
            "skopeo", "copy", "--override-arch", "amd64", "oci:\(scratch("zstd")):v1",
            "dir:\(scratch("theirs"))")
        let error = #expect(throws: ImageError.self) {
            try copy(scratch, "oci:\(layout.path)", "oci:\(scratch("no")):v1") {
                $0.form.compression = .zstd
                $0.form.preservesDigests = true
            }
        }
        #expect(error?.description.contains("--preserve-digests") == true)
        #expect(!File.exists(scratch("no")))
        // From Docker's form to OCI's and back.
        try copy(scratch, "oci:\(scratch("zstd")):v1", "dir:\(scratch("docker"))") {
            $0.form.format = .v2s2
            $0.form.compression = .gzip
        }
        let manifest = try ImageManifest(json: JSON(parsing: File.read("\(scratch("docker"))/manifest.json")))
        #expect(manifest.mediaType == MediaType.dockerManifest)
        #expect(manifest.layers.allSatisfy { $0.mediaType == MediaType.dockerLayerGzip })
        try copy(scratch, "dir:\(scratch("docker"))", "dir:\(scratch("plain"))") {
            $0.form.decompresses = true
        }
        try scratch.run("skopeo", "copy", "dir:\(scratch("plain"))", "oci:\(scratch("back"))")
    }

    @Test func nothingIsSentTwice() throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        let layout = try scratch.sampleLayout()
        try copy(scratch, "oci:\(layout.path)", "docker://\(registry.host)/first:1")
        for target in ["docker://\(registry.host)/first:2", "docker://\(registry.host)/second:1"] {
            let recorder = Recorder()
            try copy(scratch, "docker://\(registry.host)/first:1", target) { $0.progress = recorder }
            #expect(recorder.count(.reused) == 2 && recorder.count(.done) == 0, "\(target)")
        }
        let shared = scratch("shared")
        try copy(scratch, "oci:\(layout.path)", "oci:\(scratch("a")):1") {
            $0.destinationOptions.sharedBlobs = shared
        }
        let recorder = Recorder()
        try copy(scratch, "oci:\(scratch("a")):1", "oci:\(scratch("b")):1") {
            $0.sourceOptions.sharedBlobs = shared
            $0.destinationOptions.sharedBlobs = shared
            $0.progress = recorder
        }
        #expect(recorder.count(.reused) == 2)
        #expect(try File.names(in: "\(scratch("b"))/blobs") == [])
        #expect(try File.names(in: "\(shared)/sha256").count == 4)
    }

    /// Many at once into one layout: no entry of its index is lost.
    @Test func simultaneous() throws {
        let scratch = try Scratch()
        let layout = try TestLayout(scratch("layout"))
        let shared = try layout.layer(["shared": String(repeating: "x", count: 100_000)])
        let tags = (1...12).map { "v\($0)" }
        for tag in tags { try layout.image(tag, [shared, layout.layer(["own": tag])]) }
        let from = layout.path
        try scratch.write("registries.conf", [])
        try Threads.parallel(limit: 12, tags) { tag in
            _ = try copy(scratch, "oci:\(from):\(tag)", "oci:\(scratch("out")):\(tag)")
        }
        let index = try ImageIndex(json: JSON(parsing: File.read("\(scratch("out"))/index.json")))
        #expect(
            Set(index.manifests.compactMap { $0.annotations[ContentDescriptor.referenceName] }) == Set(tags))
        #expect(
            try File.names(in: "\(scratch("out"))/blobs/sha256").sorted()
                == File.names(in: "\(layout.path)/blobs/sha256").sorted())
        #expect(try File.names(in: scratch("out")).sorted() == ["blobs", "index.json", "oci-layout"])
    }

    /// What a killed program left goes; what a living one has stays.
    @Test func leftoversAreSwept() throws {
        let scratch = try Scratch()
        let layout = try scratch.sampleLayout()
        try copy(scratch, "oci:\(layout.path)", "oci:\(scratch("out")):1")
        let (dead, living) = (
            "\(scratch("out"))/.apus-staging-1-dead", "\(scratch("out"))/.apus-staging-2-alive"
        )
        for directory in [dead, living] {
            try File.makeDirectories(directory)
            try File.replace("\(directory)/part", with: [1, 2, 3], durable: false)
        }
        let lock = try FileLock(directory: living)
        try copy(scratch, "oci:\(layout.path)", "oci:\(scratch("out")):2")
        #expect(!File.exists(dead))
        #expect(File.exists("\(living)/part"))
        _ = lock.raw
    }

    @Test(arguments: ["oci", "dir", "oci-archive", "docker-archive"])
    func liesLeaveNothing(_ transport: String) throws {
        let scratch = try Scratch()
        let layout = try scratch.sampleLayout()
        let manifest = try ImageManifest(json: JSON(parsing: File.read(layout.file(layout.manifests[0]))))
        let layer = layout.file(manifest.layers[0])
        var bytes = try File.read(layer)
        bytes[bytes.count / 2] ^= 4
        try File.replace(layer, with: bytes)
        let error = #expect(throws: ImageError.self) {
            try copy(scratch, "oci:\(layout.path)", "\(transport):\(scratch("out"))")
        }
        #expect(
            error?.description.contains(manifest.layers[0].digest) == true, "\(String(describing: error))")
        #expect(error?.description.contains("\n") == false)
        #expect(try File.names(in: scratch.path).sorted() == ["layout", "registries.conf"])
    }

    @Test func archivesAreReplacedWhole() throws {
        let scratch = try Scratch()
        let layout = try scratch.sampleLayout()
        for _ in 1...2 { try copy(scratch, "oci:\(layout.path)", "oci-archive:\(scratch("o.tar")):1") }
        try copy(scratch, "oci:\(layout.path)", "docker-archive:\(scratch("d.tar")):a/b:1") {
            $0.additionalNames = ["a/b:2", "c.d/e:3"]
        }
        #expect(
            try ImageSource(parsing: "docker-archive:\(scratch("d.tar"))").archiveTags()
                == ["a/b:1", "a/b:2", "c.d/e:3"])
        #expect(throws: ImageError.self) {
            try copy(scratch, "oci:\(layout.path)", "docker-archive:\(scratch("d.tar")):a/b:4")
        }
        #expect(throws: ImageError.self) {
            try copy(scratch, "oci:\(layout.path)", "dir:\(scratch("x"))") { $0.additionalNames = ["a/b:2"] }
        }
        try File.makeDirectories(scratch("full"))
        try scratch.write("full/file", [1])
        let error = #expect(throws: ImageError.self) {
            try copy(scratch, "oci:\(layout.path)", "dir:\(scratch("full"))")
        }
        #expect(error?.message.contains("holds no image") == true)
        #expect(try File.names(in: scratch("full")) == ["file"])
    }

    @Test func looksWithoutPulling() throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        let layout = try listLayout(scratch)
        let place = "docker://\(registry.host)/look:1"
        try copy(scratch, "oci:\(layout.path)", place) { $0.selection = .all }
        var options = armOptions
        options.registriesConfig = scratch("registries.conf")
        let image = try ImageInspection(ImageSource(parsing: place), options: options)
        #expect(Digest.sha256(of: image.rawManifest) == (try digest(layout)))
        let summary = try image.summary(listsTags: true)
        #expect(summary["Name"]?.string == "\(registry.host)/look")
        #expect(summary["Architecture"]?.string == "arm64")
        #expect(summary["RepoTags"]?.array?.compactMap(\.string) == ["1"])
        #expect(summary["Layers"]?.array?.count == 2)
        #expect(try image.config()["architecture"]?.string == "arm64")
        try RegistryPlace("\(registry.host)/look:1", options: options, pushes: true).delete()
        #expect(throws: ImageError.self) {
            try ImageInspection(ImageSource(parsing: place), options: options)
        }
    }

    /// Debian's registry keeps no account of what refers to what: then it is in an index of our own.
    @Test func referrers() throws {
        let scratch = try Scratch()
        let registry = try RegistryFixture(scratch)
        let layout = try scratch.sampleLayout()
        let image = layout.manifests[0]
        for (tag, type) in [
            ("sbom", "application/vnd.example.sbom"), ("other", "application/vnd.example.other"),
        ] {
            let artifact = try layout.image(nil, []) { manifest, _ in
                manifest.config.mediaType = "application/vnd.oci.empty.v1+json"
                manifest.artifactType = type
                manifest.subject = ContentDescriptor(
                    mediaType: image.mediaType, digest: image.digest, size: image.size)
                manifest.annotations = ["of": tag]
            }
            try layout.list(artifact, tag)
        }
        let name = "\(registry.host)/with/sbom"
        try copy(scratch, "oci:\(layout.path):docker.io/library/sample:1", "docker://\(name):1")
        for tag in ["sbom", "other", "sbom"] {
            try copy(scratch, "oci:\(layout.path):\(tag)", "docker://\(name):\(tag)")
        }
        var options = TransferOptions()
        options.registriesConfig = scratch("registries.conf")
        let place = try RegistryPlace("\(name):1", options: options)
        #expect(try place.referrers(artifactType: nil).map { $0.annotations["of"] } == ["sbom", "other"])
        let found = try place.referrers(artifactType: "application/vnd.example.sbom")
        #expect(found.count == 1 && found[0].annotations == ["of": "sbom"])
        #expect(try RegistryPlace("\(name):sbom", options: options).referrers(artifactType: nil).isEmpty)
    }
}

/// As much of a Docker daemon as loads an archive and gives it back.
private final class FakeDaemon {
    let socket: String
    private let pid: pid_t

    private static let program = """
        import http.server, os, socketserver, sys, urllib.parse
        path, kept = sys.argv[1], sys.argv[2]
        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *a): pass
            def address_string(self): return "-"
            def answer(self, status, body):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def do_GET(self):
                name = urllib.parse.unquote(self.path).split("/", 2)[2][:-4]
                if name != "team/sample:1":
                    return self.answer(404, b'{"message":"No such image: x"}')
                self.answer(200, open(kept, "rb").read())
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if b"refuse/it" in body:
                    return self.answer(200, b'{"stream":"Loading"}\\n{"error":"disk is full"}\\n')
                open(kept, "wb").write(body)
                self.answer(200, b'{"stream":"Loaded image: x"}\\n')
        class Server(socketserver.UnixStreamServer):
            def get_request(self):
                request, _ = super().get_request()
                return request, ("-", 0)
        Server(path, Handler).serve_forever()
        """

    init(_ scratch: Scratch) throws {
        socket = scratch("docker.sock")
        pid = try Spawn.start(
            "python3", ["python3", "-c", Self.program, socket, scratch("kept.tar")],
            descriptors: [nil, nil, nil])
        for _ in 0..<200 where !File.exists(socket) { usleep(50_000) }
    }

    deinit {
        kill(pid, SIGKILL)
        _ = try? Spawn.wait(pid)
    }
}
