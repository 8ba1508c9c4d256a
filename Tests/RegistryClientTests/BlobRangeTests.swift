import LayerArchive
import ScriptedHTTP
import Testing

@testable import RegistryClient

/// Parts of blobs, from servers that know them and from others.
@Suite struct BlobRangeTests {
    typealias Response = ScriptedServer.Response
    private static let digest = Digest.sha256(of: Array("0123456789".utf8))

    private func read(
        _ range: Range<Int64> = 2..<7, change: (inout RegistryOptions) -> Void = { _ in },
        _ handler: @escaping @Sendable (ScriptedServer.Request) -> Response
    ) throws -> (text: String, requests: [ScriptedServer.Request]) {
        let server = try ScriptedServer(handler)
        defer { server.stop() }
        let source = RegistryClientTests.client(change).blob(
            RegistryClientTests.repository(server), digest: Self.digest, size: 10, range: range)
        let bytes = try source.readAll(limit: 100)
        return (String(decoding: bytes, as: UTF8.self), server.requests)
    }

    private static func part(_ request: ScriptedServer.Request, cut: Int? = nil) -> Response {
        let bounds = (request.headers["range"] ?? "").dropFirst(6).split(separator: "-").compactMap {
            Int($0)
        }
        let text = Array("0123456789")[bounds[0]...bounds[1]]
        var response = Response(206, ["Content-Range: bytes \(bounds[0])-\(bounds[1])/10"], String(text))
        response.cut = cut
        return response
    }

    @Test func aPart() throws {
        let (text, requests) = try read { Self.part($0) }
        #expect(text == "23456")
        #expect(requests.count == 1)
        #expect(requests[0].headers["range"] == "bytes=2-6")
        #expect(requests[0].headers["accept-encoding"] == "identity")
    }

    @Test func goesOnAfterABrokenConnection() throws {
        let (text, requests) = try read { request in
            Self.part(request, cut: request.headers["range"] == "bytes=2-6" ? 3 : nil)
        }
        #expect(text == "23456")
        #expect(requests.map { $0.headers["range"] } == ["bytes=2-6", "bytes=5-6"])
    }

    @Test(arguments: [
        Response(206, [], "23456"),
        Response(206, ["Content-Range: bytes 3-7/10"], "34567"),
        Response(206, ["Content-Range: bytes 2-6/11"], "23456"),
        Response(206, ["Content-Type: multipart/byteranges; boundary=x"], "--x"),
    ])
    func otherAnswers(_ response: Response) {
        let error = #expect(throws: RegistryError.self) { try read { _ in response } }
        #expect(error?.code == .malformed)
    }

    @Test func aServerWithoutRanges() {
        let error = #expect(throws: RegistryError.self) { try read { _ in Response(200, [], "0123456789") } }
        #expect(error?.code == .noRanges)
    }

    @Test func moreThanWasAskedForIsLeftThere() throws {
        let (text, _) = try read { _ in Response(206, ["Content-Range: bytes 2-6/10"], "23456789") }
        #expect(text == "23456")
    }

    @Test func aServerThatNeverSendsAll() {
        let error = #expect(throws: RegistryError.self) {
            try read {
                $0.retries = 2
            } _: { request in
                Self.part(request, cut: 0)
            }
        }
        #expect(error?.code == .connection)
    }
}
