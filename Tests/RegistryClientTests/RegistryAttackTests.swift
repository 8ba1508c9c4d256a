import RegistryClient
import ScriptedHTTP
import Synchronization
import Testing

/// What made clients give credentials to others, or go where a registry sends them.
@Suite struct RegistryAttackTests {
    typealias Response = ScriptedServer.Response

    private static let basic = Response(401, ["WWW-Authenticate: Basic realm=x"])

    /// The server by a name that is not loopback's, though it leads there.
    private static func elsewhere(_ server: ScriptedServer, insecure: Bool = false) -> Repository {
        Repository(registry: Registry(host: "0.0.0.0:\(server.port)", insecure: insecure), name: "a/b")
    }

    @discardableResult
    private func refuse(
        _ expected: RegistryError.Code, _ repository: Repository,
        by client: RegistryClient = RegistryClientTests.client(),
        sourceLocation: SourceLocation = #_sourceLocation
    ) -> String {
        let error = #expect(throws: RegistryError.self, sourceLocation: sourceLocation) {
            try client.manifest(repository, reference: "latest")
        }
        #expect(error?.code == expected, "\(error as Any)", sourceLocation: sourceLocation)
        return error?.description ?? ""
    }

    /// A registry that must be verified is asked by plain HTTP: because it has no TLS, and because an
    /// insecure mirror at the same host had none before (CVE-2014-5277, CVE-2025-6032).
    @Test(arguments: [false, true]) func plainHTTPIsNotTaken(afterAnInsecureMirror: Bool) throws {
        let server = try ScriptedServer { request in
            request.headers["authorization"] == nil ? Self.basic : Response(200, [], "{}")
        }
        defer { server.stop() }
        let client = RegistryClientTests.client()
        if afterAnInsecureMirror {
            _ = try client.manifest(Self.elsewhere(server, insecure: true), reference: "latest")
        }
        let before = server.requests.count
        #expect(before == (afterAnInsecureMirror ? 2 : 0))
        refuse(.tls, Self.elsewhere(server), by: client)
        #expect(server.requests.count == before)
    }
}
