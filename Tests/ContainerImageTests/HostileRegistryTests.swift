import ContainerImage
import ContainerStorage
import JSONText
import LayerArchive
import LinuxSystem
import OCISpec
import ScriptedHTTP
import Testing

/// Registries that lie, or that want what is not theirs.
@Suite struct HostileRegistryTests {
    typealias Response = ScriptedServer.Response

    /// A registry that gives what a layout has.
    /// - Parameters:
    ///   - image: what every tag leads to.
    ///   - change: changes an answer.
    private func serve(
        _ layout: TestLayout, _ image: ContentDescriptor,
        _ change: @escaping @Sendable (ScriptedServer.Request, inout Response) -> Void = { _, _ in }
    ) throws -> ScriptedServer {
        let (blobs, top) = ("\(layout.path)/blobs/sha256", image.digest)
        return try ScriptedServer { request in
            let name = request.path.split(separator: "/").last.map(String.init) ?? ""
            let digest = name.hasPrefix("sha256:") ? name : top
            var response = Response(404)
            if let bytes = try? File.read("\(blobs)/\(digest.dropFirst(7))") {
                response = Response(200)
                response.body = bytes
            }
            change(request, &response)
            return response
        }
    }

    /// Pulls, is refused, and has nothing of it.
    @discardableResult
    private func refuse(
        _ expected: ImageError.Code, _ scratch: Scratch, _ name: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> String {
        let store = try scratch.store()
        let options = try scratch.options()
        let error = #expect(throws: ImageError.self, sourceLocation: sourceLocation) {
            try ImageTransfer(store: store, options: options).pull(ImageSource(parsing: name))
        }
        #expect(error?.code == expected, "\(error as Any)", sourceLocation: sourceLocation)
        #expect(store.leftovers == [], sourceLocation: sourceLocation)
        return error?.description ?? ""
    }

    private static let basic = Response(401, ["WWW-Authenticate: Basic realm=x"])

    /// A mirror that asks for the password that the user gave for the image's registry
    /// (containers/image #625, CVE-2026-103868).
    @Test(arguments: [true, false]) func mirrorsGetNoCredentials(_ isPassword: Bool) throws {
        let scratch = try Scratch()
        let layout = try scratch.sampleLayout()
        let mirror = try ScriptedServer { _ in Self.basic }
        defer { mirror.stop() }
        let server = try serve(layout, layout.manifests[0]) { request, response in
            if request.headers["authorization"] == nil { response = Self.basic }
        }
        defer { server.stop() }
        try scratch.write("auth.json", Array("{}".utf8))
        let registries = """
            [[registry]]
            location = "\(server.host)"
            [[registry.mirror]]
            location = "localhost:\(mirror.port)"
            """
        let options = try scratch.options(registries: registries) {
            $0.authFile = scratch("auth.json")
            if isPassword { $0.credentials = "ada:lovelace" } else { $0.registryToken = "T0K" }
        }
        let recorder = Recorder()
        _ = try ImageTransfer(store: scratch.store(), options: options, progress: recorder)
            .pull(ImageSource(parsing: "\(server.host)/x:1"))
        #expect(recorder.warnings.count == 1)
        #expect(mirror.requests.map { $0.headers["authorization"] } == [nil])
        #expect(
            server.requests.last?.headers["authorization"]
                == (isPassword ? "Basic YWRhOmxvdmVsYWNl" : "Bearer T0K"))
    }

    /// A layer that is to be had elsewhere, with our credentials (CVE-2020-15157, CVE-2026-49349).
    @Test(arguments: [
        MediaType.ociLayerGzip, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ])
    func layersElsewhereAreNotAskedFor(_ type: String) throws {
        let scratch = try Scratch()
        let second = try ScriptedServer { _ in Response(200) }
        defer { second.stop() }
        let layout = try TestLayout(scratch("layout"))
        let layer = try layout.layer(["a": "a"])
        let image = try layout.image(nil, [layer]) { manifest, _ in
            manifest.layers[0].mediaType = type
            manifest.layers[0].urls = ["http://\(second.host)/x"]
        }
        try File.unlink(layout.file(layer.descriptor))
        let server = try serve(layout, image)
        defer { server.stop() }
        try refuse(.notFound, scratch, "\(server.host)/x:1")
        #expect(second.requests.isEmpty)
    }

    /// Other bytes than those of the digest that was asked for, which the answer claims to have: of an
    /// image, and of a member of an index (CVE-2023-33959, CVE-2014-8179).
    @Test(arguments: [false, true]) func otherBytesForADigest(ofAMember: Bool) throws {
        let scratch = try Scratch()
        let layout = try TestLayout(scratch("layout"))
        let layers = [try layout.layer(["a": "a"])]
        let (good, evil) = (
            try layout.image(nil, layers),
            try layout.image(nil, layers) { $1.created = "2020-01-01T00:00:00Z" }
        )
        let top = ofAMember ? try layout.index(nil, [good]) : good
        let bytes = try File.read(layout.file(evil))
        let digest = good.digest
        let server = try serve(layout, top) { request, response in
            guard request.path.hasSuffix(digest) else { return }
            response.headers = ["Docker-Content-Digest: \(digest)"]
            response.body = bytes
        }
        defer { server.stop() }
        let text = try refuse(.corrupt, scratch, "\(server.host)/x@\(top.digest)")
        #expect(text.contains("the bytes of \(digest) have the digest \(evil.digest)"), "\(text)")
    }

    /// A document is the same thing whatever the registry calls it, or it is refused (CVE-2021-41190).
    @Test func contentTypesDoNotChangeADocument() throws {
        let types = [
            MediaType.ociManifest, MediaType.ociIndex, MediaType.dockerManifest, MediaType.dockerIndex,
            "application/json", "",
        ]
        let scratch = try Scratch()
        let layout = try scratch.sampleLayout()
        let image = layout.manifests[0]
        var manifest = try ImageManifest(json: JSON(parsing: File.read(layout.file(image))))
        manifest.mediaType = nil
        let bare = try layout.blob(manifest.json.bytes(), "")
        var index = ImageIndex(manifests: [image])
        index.mediaType = nil
        let bareIndex = try layout.blob(index.json.bytes(), "")
        for top in [image, try layout.index(nil, [image]), bare, bareIndex] {
            var read: Set<String> = []
            for (number, type) in types.enumerated() {
                let server = try serve(layout, top) { request, response in
                    if request.path.contains("/manifests/"), !request.path.contains("sha256:") {
                        response.headers = ["Content-Type: \(type)"]
                    }
                }
                defer { server.stop() }
                let store = try scratch.store("store-\(top.digest.suffix(8))-\(number)")
                let options = try scratch.options()
                do {
                    let record = try ImageTransfer(store: store, options: options).pull(
                        ImageSource(parsing: "\(server.host)/x:1"))
                    read.insert("\(record.manifestDigest)")
                } catch {
                    #expect(error.code == .malformed, "\(error)")
                    #expect(store.leftovers == [])
                }
            }
            #expect(read == [top == bare ? bare.digest : image.digest])
        }
    }

    /// A digest that holds for a part of the bytes only: schema 1 was digested without its signatures
    /// (CVE-2026-111361).
    @Test func signedManifestsAreDigestedWhole() throws {
        let payload = Array(#"{"schemaVersion":1,"name":"x","tag":"1","fsLayers":[],"history":[]}"#.utf8)
        let (digest, length) = (Digest.sha256(of: payload), payload.count - 1)
        let protected = Base64.encode(Array(#"{"formatLength":\#(length),"formatTail":"fQ"}"#.utf8))
        let server = try ScriptedServer { _ in
            var response = Response(
                200,
                ["Content-Type: \(MediaType.dockerSchema1Signed)", "Docker-Content-Digest: \(digest)"])
            response.body =
                payload.dropLast() + Array(#","signatures":[{"protected":"\#(protected)"}]}"#.utf8)
            return response
        }
        defer { server.stop() }
        try refuse(.corrupt, Scratch(), "\(server.host)/x@\(digest)")
    }
}
