import LayerArchive
import ScriptedHTTP
import Synchronization
import Testing

@testable import RegistryClient

/// Uploads that break, are cut into chunks, or meet a registry that lies.
@Suite struct BlobUploadTests {
    typealias Response = ScriptedServer.Response

    private static let bytes = Array("a layer's bytes".utf8)
    private static let digest = Digest.sha256(of: bytes)

    /// Runs an upload that can be resumed against a server that numbers its answers by method.
    private func upload(
        _ bytes: [UInt8] = bytes, announced: Digest? = nil, pieceLimit: Int64 = 4,
        _ handler: @escaping @Sendable (ScriptedServer.Request, Int) -> Response
    ) throws -> (result: Result<Bool, any Error>, requests: [ScriptedServer.Request]) {
        let counts = Mutex<[String: Int]>([:])
        let server = try ScriptedServer { request in
            let number = counts.withLock { counts in
                counts[request.method, default: 0] += 1
                return counts[request.method]!
            }
            return handler(request, number)
        }
        defer { server.stop() }
        let client = RegistryClientTests.client {
            $0.pushes = true
            $0.pieceLimit = pieceLimit
        }
        let digest = announced ?? Digest.sha256(of: bytes)
        let result = Result {
            try client.uploadBlob(
                RegistryClientTests.repository(server), digest: digest, size: Int64(bytes.count)
            ) { VerifyingSource(BytesSource(bytes), expected: digest) }
        }
        return (result, server.requests)
    }

    @Test func goesOnWhereTheRegistryStopped() throws {
        let (result, requests) = try upload { request, number in
            switch request.method {
            case "POST": Response(202, ["Location: /up?a=1"])
            case "PATCH" where number == 1: Response(503)
            case "PATCH": Response(202, ["Location: /up?a=3", "Range: 0-14"])
            case "GET": Response(204, ["Location: /up?a=2", "Range: 0-6"])
            case "PUT": Response(201, ["Docker-Content-Digest: \(Self.digest)"])
            default: Response(500)
            }
        }
        #expect(try result.get())
        #expect(requests.map(\.method) == ["POST", "PATCH", "GET", "PATCH", "PUT"])
        #expect(requests[1].headers["content-range"] == "0-14")
        #expect(requests[2].path == "/up?a=1")
        #expect(requests[3].path == "/up?a=2")
        #expect(requests[3].headers["content-range"] == "7-14")
        #expect(requests[3].body == "'s bytes")
        #expect(requests[4].path.hasPrefix("/up?a=3&digest=sha256%3A"))
        #expect(requests[4].body == "")
    }

    /// The blob is there; it is only the answer that did not come.
    @Test func aLostAnswerIsNoLoss() throws {
        let (result, requests) = try upload { request, _ in
            switch request.method {
            case "POST": Response(202, ["Location: /up"])
            case "PATCH": Response(202)
            case "PUT": Response(502)
            case "HEAD": Response(200, ["Content-Length: 15"])
            default: Response(404)
            }
        }
        #expect(try result.get())
        #expect(requests.map(\.method) == ["POST", "PATCH", "PUT", "GET", "HEAD"])
    }

    @Test func beginsAgainWhenTheRegistryForgot() throws {
        let (result, requests) = try upload { request, number in
            switch request.method {
            case "POST": Response(202, ["Location: /up"])
            case "PATCH": Response(number == 1 ? 500 : 202)
            case "PUT": Response(201)
            // A blob of another size is not this one.
            case "HEAD": Response(200, ["Content-Length: 14"])
            default: Response(404)
            }
        }
        #expect(try result.get())
        #expect(requests.map(\.method) == ["POST", "PATCH", "GET", "HEAD", "POST", "PATCH", "PUT"])
    }

    @Test func aRefusalAfterABreakIsFinal() throws {
        let (result, requests) = try upload { request, number in
            switch request.method {
            case "POST": Response(202, ["Location: /up"])
            case "PATCH": Response(number == 1 ? 500 : 400)
            case "GET": Response(204, ["Range: 0-6"])
            default: Response(404)
            }
        }
        let error = #expect(throws: RegistryError.self) { _ = try result.get() }
        #expect(error?.status == 400)
        // Once from the middle, once from the beginning.
        #expect(requests.filter { $0.method == "PATCH" }.count == 3)
    }

    @Test(arguments: [false, true]) func sendsChunksWhereABodyIsTooLarge(_ wantsLarge: Bool) throws {
        let bytes = (0..<3_000_000).map { UInt8($0 & 0x7F) }
        let (result, requests) = try upload(bytes, pieceLimit: 1 << 30) { request, _ in
            if request.body.utf8.count > 1_400_000 { return Response(413) }
            switch request.method {
            case "POST":
                return Response(
                    202, ["Location: /up"] + (wantsLarge ? ["OCI-Chunk-Min-Length: 2000000"] : []))
            case "PATCH": return Response(202)
            default: return Response(201)
            }
        }
        guard !wantsLarge else {
            let error = #expect(throws: RegistryError.self) { _ = try result.get() }
            #expect(error?.status == 413)
            return
        }
        #expect(try result.get())
        let chunks = requests.filter { $0.method == "PATCH" && $0.body.utf8.count <= 1_400_000 }
        #expect(chunks.map(\.body).joined() == String(decoding: bytes, as: UTF8.self))
        #expect(
            chunks.map { $0.headers["content-range"] } == ["0-1048575", "1048576-2097151", "2097152-2999999"])
    }

    @Test func takesUpWhatDidNotAllArrive() throws {
        let (result, requests) = try upload { request, number in
            switch request.method {
            case "POST": Response(202, ["Location: /up"])
            case "PATCH": Response(202, [number == 1 ? "Range: 0-9" : "Range: 0-14"])
            default: Response(201)
            }
        }
        #expect(try result.get())
        #expect(requests.map { $0.headers["content-range"] } == [nil, "0-14", "10-14", nil])
    }

    @Test(arguments: [
        ("POST", Response(201)), ("POST", Response(202)), ("POST", Response(202, ["Location: mailto:x"])),
        ("PATCH", Response(202, ["Range: 0-99"])), ("PATCH", Response(202, ["Range: bytes"])),
        ("PUT", Response(201, ["Docker-Content-Digest: sha256:\(String(repeating: "0", count: 64))"])),
    ])
    func lies(_ method: String, _ lie: Response) throws {
        let (result, requests) = try upload { request, _ in
            switch request.method {
            case method: lie
            case "POST": Response(202, ["Location: /up"])
            case "PATCH": Response(202)
            default: Response(201)
            }
        }
        let error = #expect(throws: RegistryError.self) { _ = try result.get() }
        #expect(error?.code == .malformed)
        #expect(requests.filter { $0.method == method }.count == 1)
    }

    /// 500 storms and 429 storms end.
    @Test(arguments: [500, 429]) func storms(_ status: Int) throws {
        let (result, requests) = try upload { _, _ in Response(status) }
        #expect(throws: RegistryError.self) { _ = try result.get() }
        #expect(requests.count <= 12)
    }

    @Test func wrongBytesAreNotFinished() throws {
        let other = Digest.sha256(of: Array("other".utf8))
        let (result, requests) = try upload(announced: other) { request, _ in
            request.method == "POST" ? Response(202, ["Location: /up"]) : Response(202)
        }
        let error = #expect(throws: RegistryError.self) { _ = try result.get() }
        #expect(error?.code == .source)
        #expect(!requests.contains { $0.method == "PUT" })
    }

    /// A token that expired on the way: the body is sent again from its beginning.
    @Test func asksForANewToken() throws {
        let (result, requests) = try upload(pieceLimit: 1 << 20) { request, number in
            switch request.method {
            case "POST": Response(202, ["Location: /up"])
            case "PUT" where number == 1: Response(401, [#"WWW-Authenticate: Basic realm="r""#])
            default: Response(201)
            }
        }
        #expect(try result.get())
        #expect(requests.last?.body == "a layer's bytes")
        #expect(requests.last?.headers["authorization"]?.hasPrefix("Basic ") == true)
    }

    @Test func manifestsMustArriveAsTheyAre() throws {
        let server = try ScriptedServer { _ in Response(201, ["Docker-Content-Digest: \(Self.digest)"]) }
        defer { server.stop() }
        let error = #expect(throws: RegistryError.self) {
            try RegistryClientTests.client().putManifest(
                RegistryClientTests.repository(server), reference: "1", Array("{}".utf8), mediaType: "x/y")
        }
        #expect(error?.description.contains("instead of") == true)
    }

    @Test func places() throws {
        func place(_ location: String, at registry: String = "r.example:5000") -> String? {
            BlobUpload.place(
                location, from: HTTPURL("https://\(registry)/v2/a/blobs/uploads/?mount=x")!,
                at: Registry(host: registry))
        }
        #expect(place("/v2/a/blobs/uploads/1?s=a/b") == "/v2/a/blobs/uploads/1?s=a/b")
        #expect(place("1?s") == "/v2/a/blobs/uploads/1?s")
        #expect(place("?s=1") == "/v2/a/blobs/uploads/?s=1")
        #expect(place("https://R.example:5000/up?x") == "/up?x")
        #expect(place("http://r.example:5000/up") == "/up")
        #expect(place("https://other.example/up?x") == "https://other.example/up?x")
        for location in [
            "", "//x/up", "http://other.example/up", "ftp://r.example:5000/up", "file:/x", "/a b",
        ] {
            #expect(place(location) == nil)
        }
        // Behind another host's answer, what is relative is relative to that one.
        #expect(
            BlobUpload.place("/2", from: HTTPURL("https://cdn.example/1")!, at: Registry(host: "r.example"))
                == "https://cdn.example/2")
    }

    @Test(arguments: ["", "../sh", "/bin/sh"]) func helpersAreNames(_ name: String) {
        #expect(throws: RegistryError.self) { try CredentialHelper(name) }
    }
}
