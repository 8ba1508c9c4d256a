import LayerArchive
import LinuxSystem
import OCISpec
import RegistryClient
import ScriptedHTTP
import Synchronization
import Testing

@Suite struct RegistryClientTests {
    typealias Response = ScriptedServer.Response

    static func client(_ change: (inout RegistryOptions) -> Void = { _ in }) -> RegistryClient {
        var options = RegistryOptions()
        options.authFile = "/dev/null-does-not-exist"
        options.credentials = .password(user: "ada", password: "s:cret")
        options.firstPauseMilliseconds = 1
        change(&options)
        return RegistryClient(options)
    }

    static func repository(_ server: ScriptedServer) -> Repository {
        Repository(registry: Registry(host: server.host), name: "a/b")
    }

    static func readAll(_ source: BlobSource) throws -> [UInt8] { try source.readAll(limit: 64 << 20) }

    @Test func manifestOverHTTPOnLoopback() throws {
        let server = try ScriptedServer { _ in
            Response(200, ["Content-Type: \(MediaType.ociManifest); charset=utf-8"], "{}")
        }
        defer { server.stop() }
        let manifest = try Self.client().manifest(Self.repository(server), reference: "latest")
        #expect(manifest.bytes == Array("{}".utf8))
        #expect(manifest.mediaType == MediaType.ociManifest)
        let request = try #require(server.requests.first)
        #expect(request.path == "/v2/a/b/manifests/latest")
        #expect(request.headers["accept"]?.contains(MediaType.dockerIndex) == true)
        // Nobody asked: no credentials are shown.
        #expect(request.headers["authorization"] == nil)
    }

    @Test func verifiedTLSIsNotGivenUpWhenDemanded() throws {
        let server = try ScriptedServer { _ in Response(200, [], "{}") }
        defer { server.stop() }
        let client = Self.client {
            $0.verifyTLS = true
            $0.retries = 0
        }
        #expect(throws: RegistryError.self) {
            try client.manifest(Self.repository(server), reference: "latest")
        }
        #expect(server.requests.isEmpty)
    }

    @Test func statusAndMessageAreInTheError() throws {
        let server = try ScriptedServer { _ in
            Response(
                404, [], #"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest\u001b[31m unknown"}]}"#)
        }
        defer { server.stop() }
        let error = #expect(throws: RegistryError.self) {
            try Self.client().manifest(Self.repository(server), reference: "v1")
        }
        #expect(error?.code == .notFound)
        #expect(
            error?.description
                == "get http://\(server.host)/v2/a/b/manifests/v1: status 404: manifest [31m unknown")
        #expect(server.requests.count == 1)
    }

    @Test func basicAuthentication() throws {
        let server = try ScriptedServer { request in
            request.headers["authorization"] == "Basic YWRhOnM6Y3JldA=="
                ? Response(200, [], "{}") : Response(401, [#"WWW-Authenticate: Basic realm="x, y""#])
        }
        defer { server.stop() }
        let client = Self.client()
        _ = try client.manifest(Self.repository(server), reference: "latest")
        _ = try client.manifest(Self.repository(server), reference: "latest")
        // The answer to the challenge is remembered.
        #expect(server.requests.count == 3)
    }

    @Test func missingCredentials() throws {
        let server = try ScriptedServer { _ in Response(401, ["WWW-Authenticate: Basic realm=x"]) }
        defer { server.stop() }
        let path = "/tmp/apus-auth-\(getpid())-\(server.port).json"
        try File.replace(path, with: Array("{}".utf8))
        defer { try? File.unlink(path) }
        let client = Self.client {
            $0.credentials = nil
            $0.authFile = path
        }
        let error = #expect(throws: RegistryError.self) {
            try client.manifest(Self.repository(server), reference: "latest")
        }
        #expect(error?.code == .unauthorized)
        #expect(error?.message.contains("--creds") == true)
    }

    @Test func bearerToken() throws {
        let host = Mutex("")
        let server = try ScriptedServer { request in
            if request.path.hasPrefix("/token?") {
                guard
                    request.path
                        == "/token?x=1&service=reg%20istry&scope=repository%3Aa%2Fb%3Apull&account=ada",
                    request.headers["authorization"] == "Basic YWRhOnM6Y3JldA=="
                else { return Response(403, [], request.path) }
                return Response(200, [], #"{"token":"T0K","expires_in":300}"#)
            }
            if request.headers["authorization"] == "Bearer T0K" { return Response(200, [], "{}") }
            let realm = host.withLock { $0 }
            return Response(
                401,
                [
                    #"WWW-Authenticate: Basic realm="no", Bearer realm="http://\#(realm)/token?x=1",service="reg istry",scope="repository:a/b:pull""#
                ])
        }
        defer { server.stop() }
        host.withLock { $0 = server.host }
        _ = try Self.client().manifest(Self.repository(server), reference: "latest")
        #expect(server.requests.map(\.path).filter { $0.hasPrefix("/v2/") }.count == 2)
    }

    @Test func credentialsStayWithTheirHost() throws {
        let blob = Array("content".utf8)
        let store = try ScriptedServer { request in
            request.headers["authorization"] == nil ? Response(200, [], "content") : Response(400)
        }
        defer { store.stop() }
        let target = "http://\(store.host)/signed?key=1"
        let server = try ScriptedServer { request in
            request.headers["authorization"] == nil
                ? Response(401, ["WWW-Authenticate: Basic realm=x"]) : Response(307, ["Location: \(target)"])
        }
        defer { server.stop() }
        let source = Self.client().blob(Self.repository(server), digest: .sha256(of: blob), size: 7)
        #expect(try Self.readAll(source) == blob)
        #expect(store.requests.first?.path == "/signed?key=1")
    }

    @Test(arguments: [
        "file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/", "http://u:p@127.0.0.1/",
    ])
    func redirectionsElsewhereAreRefused(_ location: String) throws {
        let server = try ScriptedServer { _ in Response(302, ["Location: \(location)"]) }
        defer { server.stop() }
        let error = #expect(throws: RegistryError.self) {
            try Self.client().manifest(Self.repository(server), reference: "latest")
        }
        #expect(error?.code == .malformed)
    }

    /// Ten, for a registry as for any web server.
    @Test(arguments: [10, 11]) func redirectionsAreCounted(_ redirections: Int) throws {
        let count = Mutex(0)
        let server = try ScriptedServer { _ in
            let isLast = count.withLock { count in
                count += 1
                return count > redirections
            }
            return isLast ? Response(200, [], "{}") : Response(302, ["Location: /further"])
        }
        defer { server.stop() }
        func follow(_ body: () throws -> [UInt8]) throws {
            count.withLock { $0 = 0 }
            if redirections == 10 {
                #expect(try body() == Array("{}".utf8))
            } else {
                let error = #expect(throws: RegistryError.self) { try body() }
                #expect(error?.code == .malformed && error?.message == "more than 10 redirections")
            }
        }
        try follow { try Self.client().manifest(Self.repository(server), reference: "latest").bytes }
        try follow { try HTTPDownload("http://\(server.host)/file").readAll(limit: 100) }
    }

    @Test func endlessRedirectionsEnd() throws {
        let server = try ScriptedServer { _ in Response(302, ["Location: /v2/a/b/manifests/latest"]) }
        defer { server.stop() }
        #expect(throws: RegistryError.self) {
            try Self.client().manifest(Self.repository(server), reference: "latest")
        }
        #expect(server.requests.count == 11)
    }

    @Test func serverErrorsAreTriedAgain() throws {
        let count = Mutex(0)
        let server = try ScriptedServer { _ in
            switch count.withLock({
                $0 += 1
                return $0
            }) {
            case 1: Response(503)
            case 2: Response(429, ["Retry-After: 0"])
            default: Response(200, [], "{}")
            }
        }
        defer { server.stop() }
        _ = try Self.client().manifest(Self.repository(server), reference: "latest")
        #expect(server.requests.count == 3)
    }

    @Test func serverErrorsAreNotTriedForEver() throws {
        let server = try ScriptedServer { _ in Response(500) }
        defer { server.stop() }
        let error = #expect(throws: RegistryError.self) {
            try Self.client { $0.retries = 2 }.manifest(Self.repository(server), reference: "latest")
        }
        #expect(error?.code == .unavailable)
        #expect(server.requests.count == 3)
    }

    /// The connection breaks again and again; the blob arrives all the same, by ranges.
    @Test(arguments: [true, false]) func brokenDownloadsGoOn(ranges: Bool) throws {
        let blob = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 * 7 + $0 >> 8) }
        let server = try ScriptedServer { request in
            var response = Response(200)
            response.body = blob
            if ranges, let range = request.headers["range"],
                let start = Int(range.dropFirst("bytes=".count).dropLast())
            {
                response.status = 206
                response.headers = ["Content-Range: bytes \(start)-\(blob.count - 1)/\(blob.count)"]
                response.body = Array(blob[start...])
                response.cut = 700_000
            } else {
                response.cut = request.headers["range"] == nil ? 1_000_000 : nil
            }
            return response
        }
        defer { server.stop() }
        let source = Self.client().blob(
            Self.repository(server), digest: .sha256(of: blob), size: Int64(blob.count))
        #expect(try Self.readAll(source) == blob)
        #expect(server.requests.count == (ranges ? 4 : 2))
    }

    /// A transfer that was paused because its head came with more of its body than fits must not be
    /// waited for: that took a second each.
    @Test func bodiesThatComeWithTheirHeadsAreNotWaitedFor() throws {
        let blob = [UInt8](repeating: 7, count: 60_000)
        let server = try ScriptedServer { _ in
            var response = Response(200)
            response.body = blob
            return response
        }
        defer { server.stop() }
        let client = Self.client()
        let start = ContinuousClock.now
        for _ in 0..<60 {
            let source = client.blob(
                Self.repository(server), digest: .sha256(of: blob), size: Int64(blob.count))
            #expect(try Self.readAll(source) == blob)
        }
        #expect(start.duration(to: .now) < .seconds(6))
    }

    /// What another process has of it already is not asked for.
    @Test func downloadsBeginFurtherOn() throws {
        let blob = Array("content".utf8)
        let server = try ScriptedServer { request in
            guard request.headers["range"] == "bytes=3-" else { return Response(416) }
            return Response(206, ["Content-Range: bytes 3-6/7"], "tent")
        }
        defer { server.stop() }
        func source() -> BlobSource {
            Self.client().blob(Self.repository(server), digest: .sha256(of: blob), size: 7)
        }
        let rest = source()
        #expect(rest.resume(at: 3))
        #expect(try Self.readAll(rest) == Array("tent".utf8))
        let all = source()
        #expect(all.resume(at: 7))
        #expect(try Self.readAll(all) == [])
        #expect(server.requests.count == 1)
        #expect(!source().resume(at: 8))
        let other = source()
        #expect(other.resume(at: 2))
        #expect(throws: RegistryError.self) { try Self.readAll(other) }
        #expect(!other.wasInterrupted)
    }

    @Test(arguments: ["bytes 3-6/8", "bytes 2-6/7", "bytes 3-5/7", ""])
    func rangesThatAreOthersAreRefused(_ range: String) throws {
        let server = try ScriptedServer { _ in Response(206, ["Content-Range: \(range)"], "tent") }
        defer { server.stop() }
        let source = Self.client().blob(Self.repository(server), digest: .sha256(of: []), size: 7)
        #expect(source.resume(at: 3))
        let error = #expect(throws: RegistryError.self) { try Self.readAll(source) }
        #expect(error?.code == .malformed)
    }

    @Test func wrongSizesAreRefused() throws {
        let server = try ScriptedServer { _ in Response(200, [], "longer than said") }
        defer { server.stop() }
        let source = Self.client().blob(Self.repository(server), digest: .sha256(of: []), size: 3)
        let error = #expect(throws: RegistryError.self) { try Self.readAll(source) }
        #expect(error?.code == .malformed)
    }

    /// CVE-2020-1702
    @Test func hugeManifestsAreRefused() throws {
        let server = try ScriptedServer { _ in
            var response = Response(200)
            response.body = Array(repeating: 0x20, count: 5 << 20)
            return response
        }
        defer { server.stop() }
        let error = #expect(throws: RegistryError.self) {
            try Self.client().manifest(Self.repository(server), reference: "a")
        }
        #expect(error?.code == .tooLarge)
    }

    @Test func nobodyListens() throws {
        let server = try ScriptedServer { _ in Response() }
        server.stop()
        let error = #expect(throws: RegistryError.self) {
            try Self.client().manifest(Self.repository(server), reference: "latest")
        }
        #expect(error?.code == .connection)
        #expect(error?.description.contains(server.host) == true)
    }

    @Test func loopback() {
        for host in ["localhost", "localhost:5000", "127.0.0.1", "127.8.9.1:80", "[::1]:5000"] {
            #expect(Registry(host: host).isLoopback, "\(host)")
        }
        for host in ["127.0.0.1.example.com", "localhost.example.com", "10.0.0.1", "127.0.0.999"] {
            #expect(!Registry(host: host).isLoopback, "\(host)")
        }
    }
}
