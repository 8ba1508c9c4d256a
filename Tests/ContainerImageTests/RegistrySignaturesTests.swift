import ImageTrust
import JSONText
import LayerArchive
import OCISpec
import RegistryClient
import ScriptedHTTP
import Testing

@testable import ContainerImage

/// Signatures without end, from a registry or a web server (CVE-2023-46737, CVE-2024-29902,
/// CVE-2024-29903, CVE-2023-33957, CVE-2023-33958, CVE-2024-45395).
@Suite struct RegistrySignaturesTests {
    typealias Response = ScriptedServer.Response

    private let manifest = Digest.sha256(of: [1])

    /// - Parameter place: what registries.d says of the server.
    private func refuse(
        _ server: ScriptedServer, _ place: String, saying text: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let scratch = try Scratch()
        try scratch.write(
            "places.yaml", Array("docker:\n  \(server.host):\n    \(place)\n".utf8))
        let signatures = RegistrySignatures(
            client: RegistryClient(),
            repository: Repository(registry: Registry(host: server.host), name: "a/b"),
            places: try SignaturePlaces.load(scratch.path))
        let error = #expect(throws: ImageError.self, sourceLocation: sourceLocation) {
            try signatures.read(manifest)
        }
        #expect(error?.code == .limit, "\(error as Any)", sourceLocation: sourceLocation)
        #expect(
            error?.description.contains(text) == true, "\(error as Any)", sourceLocation: sourceLocation)
    }

    /// Too many, too large, and too much together: no blob is asked for.
    @Test(arguments: [
        (129, 100, "more than 128 are"), (1, 1 << 40, "more than 4194304 bytes of one"),
        (128, 4 << 20, "more than 16777216 bytes of all"),
    ])
    func attachments(_ count: Int, _ size: Int64, _ why: String) throws {
        let layers = (0..<count).map { number in
            ContentDescriptor(
                mediaType: SigstoreSignature.payloadMediaType,
                digest: "\(Digest.sha256(of: [UInt8(number)]))", size: size)
        }
        let config = ContentDescriptor(
            mediaType: MediaType.ociConfig, digest: "\(Digest.sha256(of: []))", size: 0)
        let document = ImageManifest(config: config, layers: layers).json.bytes()
        let tag = "/v2/a/b/manifests/\(RegistrySignatures.tag(manifest))"
        let server = try ScriptedServer { request in
            guard request.path == tag else { return Response(404) }
            var response = Response(200, ["Content-Type: \(MediaType.ociManifest)"])
            response.body = document
            return response
        }
        defer { server.stop() }
        try refuse(server, "use-sigstore-attachments: true", saying: why)
        #expect(server.requests.map(\.path) == [tag])
    }

    /// A lookaside that has any signature that it is asked for.
    @Test(arguments: [(2, 129, "more than 128 are"), (4 << 20, 5, "more than 16777216 bytes of all")])
    func lookaside(_ size: Int, _ requests: Int, _ why: String) throws {
        let signature = [0x90] + [UInt8](repeating: 1, count: size - 1)
        let server = try ScriptedServer { _ in
            var response = Response(200)
            response.body = signature
            return response
        }
        defer { server.stop() }
        try refuse(server, "lookaside: http://\(server.host)/sigs", saying: why)
        #expect(server.requests.count == requests)
    }
}
