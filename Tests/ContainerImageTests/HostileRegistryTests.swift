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
}
