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

    /// A registry names an address that only this machine or its network has as its token server, in all
    /// spellings of one (CVE-2026-48978, CVE-2026-33540, CVE-2026-33990, CVE-2026-65388).
    @Test(arguments: [
        "169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "localhost", "a.localhost.",
        "0.0.0.0", "2130706433", "0x7f.1", "0177.1", "%31%32%37.0.0.1", "１２７.0.0.1", "[::1]", "[::]",
        "[fe80::1]", "[fe80::1%25lo]", "[fd00::1]", "[::ffff:169.254.169.254]", "[::127.0.0.1]",
        "[64:ff9b::10.0.0.1]", "[::ffff:7f00:1]",
    ])
    func tokenServersInsideAreRefused(_ host: String) throws {
        let server = try ScriptedServer { _ in
            Response(401, ["WWW-Authenticate: Bearer realm=\"http://\(host):1/token\""])
        }
        defer { server.stop() }
        let repository =
            host == "0.0.0.0"
            ? RegistryClientTests.repository(server) : Self.elsewhere(server, insecure: true)
        let text = refuse(.unauthorized, repository)
        #expect(text.contains("http://\(host):1/token"), "\(text)")
        #expect(server.requests.count == 1)
    }

    /// A local registry has its token server beside it.
    @Test(arguments: ["127.0.0.1", "localhost"]) func tokenServersBesideTheRegistry(_ host: String) throws {
        let tokens = try ScriptedServer { _ in Response(200, [], #"{"token":"T0K"}"#) }
        defer { tokens.stop() }
        let server = try ScriptedServer { request in
            request.headers["authorization"] == "Bearer T0K"
                ? Response(200, [], "{}")
                : Response(401, ["WWW-Authenticate: Bearer realm=\"http://127.0.0.1:\(tokens.port)/token\""])
        }
        defer { server.stop() }
        let repository = Repository(registry: Registry(host: "\(host):\(server.port)"), name: "a/b")
        _ = try RegistryClientTests.client().manifest(repository, reference: "latest")
        #expect(tokens.requests.count == 1)
    }

    /// A token server sends the request, with the password, on to another server (CVE-2026-48978).
    @Test func tokenRequestsStayAtTheirServer() throws {
        let second = try ScriptedServer { _ in Response(200, [], #"{"token":"T0K"}"#) }
        defer { second.stop() }
        let tokens = try ScriptedServer { _ in Response(307, ["Location: http://\(second.host)/token"]) }
        defer { tokens.stop() }
        let server = try ScriptedServer { _ in
            Response(401, ["WWW-Authenticate: Bearer realm=\"http://\(tokens.host)/token\""])
        }
        defer { server.stop() }
        let text = refuse(.unauthorized, RegistryClientTests.repository(server))
        #expect(text.contains("http://\(second.host)/token"), "\(text)")
        #expect(second.requests.isEmpty)
    }

    /// A registry, which asks for the password or does not, sends us to another server, which asks for it
    /// for itself (CVE-2020-15157, GHSA-vh4v-2xq2-g5cg).
    @Test(arguments: [true, false]) func challengesOfOtherServersAreNotAnswered(_ asks: Bool) throws {
        let host = Mutex("")
        let second = try ScriptedServer { request in
            request.path.hasPrefix("/token")
                ? Response(200, [], #"{"token":"T0K"}"#)
                : Response(
                    401, ["WWW-Authenticate: Bearer realm=\"http://\(host.withLock { $0 })/token\""])
        }
        defer { second.stop() }
        host.withLock { $0 = second.host }
        let server = try ScriptedServer { request in
            asks && request.headers["authorization"] == nil
                ? Self.basic : Response(307, ["Location: http://\(second.host)/x"])
        }
        defer { server.stop() }
        refuse(.unauthorized, RegistryClientTests.repository(server))
        #expect(second.requests.map(\.path) == ["/x"])
        #expect(second.requests.allSatisfy { $0.headers["authorization"] == nil })
    }

    /// A token without end (CVE-2020-1702, CVE-2021-21285).
    @Test func hugeTokensAreRefused() throws {
        let host = Mutex("")
        let server = try ScriptedServer { request in
            guard request.path.hasPrefix("/token") else {
                return Response(
                    401, ["WWW-Authenticate: Bearer realm=\"http://\(host.withLock { $0 })/token\""])
            }
            return Response(200, [], #"{"token":""# + String(repeating: "x", count: 2 << 20) + #""}"#)
        }
        defer { server.stop() }
        host.withLock { $0 = server.host }
        refuse(.tooLarge, RegistryClientTests.repository(server))
    }
}
