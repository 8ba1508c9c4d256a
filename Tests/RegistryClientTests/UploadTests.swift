import LayerArchive
import LinuxSystem
import ScriptedHTTP
import Synchronization
import Testing

@testable import RegistryClient

@Suite struct UploadTests {
    typealias Response = ScriptedServer.Response

    private static let bytes = Array("a layer's bytes".utf8)
    private static let digest = Digest.sha256(of: bytes)

    private static func upload(_ server: ScriptedServer, mounting source: String? = nil) throws -> Bool {
        try RegistryClientTests.client { $0.pushes = true }.uploadBlob(
            RegistryClientTests.repository(server), digest: digest, size: Int64(bytes.count),
            mounting: source
        ) { VerifyingSource(BytesSource(bytes), expected: digest) }
    }

    /// One token, good for reading and writing, and for reading what is mounted.
    @Test func tokensAllowPushing() throws {
        let realm = Mutex("")
        let server = try ScriptedServer { request in
            if request.path.hasPrefix("/token?") { return Response(200, [], #"{"token":"T0K"}"#) }
            guard request.headers["authorization"] == "Bearer T0K" else {
                let host = realm.withLock { $0 }
                return Response(
                    401,
                    [
                        #"WWW-Authenticate: Bearer realm="http://\#(host)/token?x=1",scope="repository:a/b:pull""#
                    ])
            }
            if request.method == "HEAD" { return Response(404) }
            // From another scheme's point of view, as behind a proxy that ends TLS.
            if request.method == "POST" {
                let host = realm.withLock { $0 }
                return Response(202, ["Location: https://\(host)/v2/a/b/blobs/uploads/1?state=x"])
            }
            return Response(201)
        }
        defer { server.stop() }
        realm.withLock { $0 = server.host }
        let client = RegistryClientTests.client { $0.pushes = true }
        let repository = RegistryClientTests.repository(server)
        #expect(try !client.hasBlob(repository, digest: Self.digest, size: 15))
        #expect(
            try client.uploadBlob(
                repository, digest: Self.digest, size: Int64(Self.bytes.count), mounting: "c/d"
            ) { BytesSource(Self.bytes) })
        let tokens = server.requests.map(\.path).filter { $0.hasPrefix("/token") }
        try #require(tokens.count == 2)
        #expect(tokens[0].contains("&scope=repository%3Aa%2Fb%3Apull%2Cpush&"))
        #expect(!tokens[0].contains("c%2Fd"))
        #expect(
            tokens[1].contains("&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%2Fd%3Apull&"))
        let put = try #require(server.requests.last)
        #expect(put.method == "PUT")
        #expect(put.path == "/v2/a/b/blobs/uploads/1?state=x&digest=sha256%3A\(Self.digest.hex)")
        #expect(put.body == "a layer's bytes")
        #expect(put.headers["expect"] == nil)
    }

    @Test func startsAnewAfterAFailure() throws {
        let failures = Mutex(2)
        let server = try ScriptedServer { request in
            switch request.method {
            case "POST": return Response(202, ["Location: /up"])
            case "PUT":
                return failures.withLock { left in
                    left -= 1
                    return left >= 0 ? Response(503, ["Retry-After: 0"]) : Response(201)
                }
            default: return Response(404)
            }
        }
        defer { server.stop() }
        #expect(try Self.upload(server))
        #expect(server.requests.filter { $0.method == "POST" }.count == 3)
    }

    @Test func takesOverWhatIsThere() throws {
        let server = try ScriptedServer { request in
            request.path.contains("?mount=sha256%3A") && request.path.hasSuffix("&from=c%2Fd")
                ? Response(201) : Response(500)
        }
        defer { server.stop() }
        #expect(try !Self.upload(server, mounting: "c/d"))
        #expect(server.requests.count == 1)
    }

    /// Where a registry sends us must not get our password, nor be plain HTTP elsewhere.
    @Test(arguments: ["http://elsewhere.invalid/up", "ftp://x/up", "//x/up", ""])
    func refusesOddPlaces(_ location: String) throws {
        let server = try ScriptedServer { _ in Response(202, ["Location: \(location)"]) }
        defer { server.stop() }
        let error = #expect(throws: RegistryError.self) { _ = try Self.upload(server) }
        #expect(error?.code == .malformed)
        #expect(server.requests.count == 1)
    }

    /// The place for an upload is another server's, which asks for the password (CVE-2026-50151).
    @Test func otherServersGetNoPassword() throws {
        let second = try ScriptedServer { _ in Response(401, ["WWW-Authenticate: Basic realm=x"]) }
        defer { second.stop() }
        let server = try ScriptedServer { request in
            request.headers["authorization"] == nil
                ? Response(401, ["WWW-Authenticate: Basic realm=x"]) : Response(200)
        }
        defer { server.stop() }
        let client = RegistryClientTests.client { $0.pushes = true }
        let repository = RegistryClientTests.repository(server)
        #expect(try client.hasBlob(repository, digest: Self.digest, size: 0))
        let error = #expect(throws: RegistryError.self) {
            try client.send(
                "PUT", "http://\(second.host)/up", to: repository,
                body: HTTPBody(size: 15) { BytesSource(Self.bytes) })
        }
        #expect(error?.code == .unauthorized)
        #expect(second.requests.map { $0.headers["authorization"] } == [nil])
        #expect(server.requests.last?.headers["authorization"] != nil)
    }

    @Test func redirectionsEndAnUpload() throws {
        let server = try ScriptedServer { request in
            request.method == "POST"
                ? Response(202, ["Location: /up"]) : Response(307, ["Location: http://127.0.0.1:1/x"])
        }
        defer { server.stop() }
        let error = #expect(throws: RegistryError.self) { _ = try Self.upload(server) }
        #expect(error?.status == 307)
    }

    @Test func wrongBytesAreNotFinished() throws {
        let server = try ScriptedServer { _ in Response(202, ["Location: /up"]) }
        defer { server.stop() }
        let error = #expect(throws: RegistryError.self) {
            _ = try RegistryClientTests.client().uploadBlob(
                RegistryClientTests.repository(server), digest: Self.digest, size: 5
            ) { VerifyingSource(BytesSource(Array("wrong".utf8)), expected: Self.digest) }
        }
        #expect(error?.code == .source)
    }

    @Test func loginAsksForNoRights() throws {
        let realm = Mutex("")
        let server = try ScriptedServer { request in
            if request.path.hasPrefix("/token") { return Response(200, [], #"{"token":"T0K"}"#) }
            if request.headers["authorization"] == "Bearer T0K" { return Response(200) }
            let host = realm.withLock { $0 }
            return Response(401, [#"WWW-Authenticate: Bearer realm="http://\#(host)/token",service="s""#])
        }
        defer { server.stop() }
        realm.withLock { $0 = server.host }
        try RegistryClientTests.client().ping(Registry(host: server.host))
        #expect(server.requests.contains { $0.path == "/token?service=s&account=ada" })
        #expect(server.requests.last?.path == "/v2/")
    }
}

@Suite struct AuthFileWriteTests {
    private func with(_ contents: String?, _ body: (AuthFile, String) throws -> Void) throws {
        let directory = "/tmp/apus-auth-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        defer { try? File.removeTree(directory) }
        if let contents {
            try File.makeDirectories(directory)
            try File.replace("\(directory)/auth.json", with: Array(contents.utf8), durable: false)
        }
        try body(AuthFile(explicit: "\(directory)/auth.json"), directory)
    }

    @Test func makesTheFileAndItsDirectory() throws {
        try with(nil) { file, directory in
            try file.save(user: "ada", password: "l:ove\u{e9} \"", for: "r.example:5000/team")
            let modes = try [directory, file.written].map { try File.status($0).st_mode & 0o777 }
            #expect(modes == [0o700, 0o600])
            #expect(
                try file.credentials(for: "r.example:5000/team")
                    == .password(user: "ada", password: "l:ove\u{e9} \""))
            #expect(try file.credentials(for: "r.example:5000") == nil)
            #expect(try file.remove("r.example:5000/team"))
            #expect(try !file.remove("r.example:5000/team"))
        }
    }

    @Test func replacesOldSecretsAndKeepsTheRest() throws {
        try with(#"{"x":1.50,"auths":{"r":{"identitytoken":"t","email":"e"},"o":{"auth":"YTpi"}}}"#) {
            file, _ in
            try file.save(user: "a", password: "b", for: "r")
            let text = String(try File.readText(file.written).filter { !" \t\n".contains($0) })
            #expect(
                text
                    == #"{"x":1.50,"auths":{"r":{"email":"e","auth":"YTpi"},"o":{"auth":"YTpi"}}}"#)
        }
    }

    @Test(arguments: ["[]", "{", #"{"auths":[]}"#]) func leavesABrokenFileAlone(_ contents: String) throws {
        try with(contents) { file, _ in
            #expect(throws: RegistryError.self) { try file.save(user: "a", password: "b", for: "r") }
            let text = try File.readText(file.written)
            #expect(text == contents)
        }
    }

    @Test func keepsALink() throws {
        try with("{}") { file, directory in
            let link = "\(directory)/link.json"
            try File.makeSymbolicLink(to: "auth.json", link)
            try AuthFile(explicit: link).save(user: "a", password: "b", for: "r")
            #expect(try file.credentials(for: "r") == .password(user: "a", password: "b"))
        }
    }

    /// Another host, whose name begins or ends as one that there is a password, or a helper, for
    /// (CVE-2026-59891, CVE-2026-105769).
    @Test func hostsThatLookAlike() throws {
        try with(
            #"{"auths":{"r.example:5000":{"auth":"YTox"}},"credHelpers":{"h.example":"is-not-there"}}"#
        ) { file, _ throws in
            for host in [
                "xr.example:5000", "r.example:5000.evil", "r.example:50001", "r.example:500", "r.example",
                "h.example.evil", "xh.example", "h.example:443",
            ] {
                #expect(
                    try file.credentials(registry: host, name: "r.example:5000/h.example") == nil, "\(host)")
            }
            #expect(
                try file.credentials(registry: "r.example:5000", name: "x")
                    == .password(user: "a", password: "1"))
            #expect(throws: RegistryError.self) { try file.credentials(registry: "h.example", name: "x") }
        }
    }

    /// Many that log in at once lose nothing.
    @Test func simultaneous() throws {
        try with(nil) { file, _ in
            _ = try Threads.parallel(limit: 8, Array(0..<40)) {
                try file.save(user: "u\($0)", password: "p", for: "r\($0)")
            }
            for number in 0..<40 {
                #expect(
                    try file.credentials(for: "r\(number)") == .password(user: "u\(number)", password: "p"))
            }
        }
    }
}
