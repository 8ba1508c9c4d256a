import LayerArchive
import OCISpec
import ScriptedHTTP
import Synchronization
import Testing

@testable import RegistryClient

@Suite struct ListTests {
    private func client() -> RegistryClient {
        var options = RegistryOptions()
        options.retries = 0
        options.firstPauseMilliseconds = 1
        return RegistryClient(options)
    }

    @Test func pages() throws {
        let server = try ScriptedServer { request in
            switch request.path {
            case "/v2/a/tags/list":
                .init(
                    200, ["Link: </v2/a/tags/list?last=2&n=2>; rel=\"next\""],
                    #"{"name":"a","tags":["1","2"]}"#)
            case "/v2/a/tags/list?last=2&n=2":
                .init(200, ["Link: <?last=3>; rel=next"], #"{"tags":["3"]}"#)
            case "/v2/a/tags/list?last=3": .init(200, [], #"{"tags":null}"#)
            default: .init(404)
            }
        }
        defer { server.stop() }
        let repository = Repository(registry: Registry(host: server.host), name: "a")
        #expect(try client().tags(repository) == ["1", "2", "3"])
    }

    @Test(arguments: [
        ("</v2/a/tags/list>; rel=\"next\"", #"{"tags":["1"]}"#),
        ("<https://elsewhere.example/v2/a/tags/list?n=1>; rel=\"next\"", #"{"tags":["1"]}"#),
        ("<file:///etc/passwd>; rel=\"next\"", #"{"tags":["1"]}"#), ("", #"{"tags":{"a":1}}"#),
        ("", #"{"tags":[1]}"#), ("", "no JSON"),
    ])
    func lies(_ link: String, _ body: String) throws {
        let server = try ScriptedServer { _ in .init(200, link.isEmpty ? [] : ["Link: \(link)"], body) }
        defer { server.stop() }
        let repository = Repository(registry: Registry(host: server.host), name: "a")
        let error = #expect(throws: RegistryError.self) { try client().tags(repository) }
        #expect(error?.code == .malformed, "\(String(describing: error))")
    }

    @Test func searches() throws {
        let server = try ScriptedServer { request in
            request.path.hasPrefix("/v1/search?q=a%20b&n=2")
                ? .init(
                    200, [],
                    #"{"results":[{"name":"x/a","description":"one\u001b[31m","star_count":7,"is_official":true},{"name":"y"},{"name":"z"}]}"#
                )
                : .init(404)
        }
        defer { server.stop() }
        let results = try #require(try client().search(Registry(host: server.host), term: "a b", limit: 2))
        #expect(results.map(\.name) == ["x/a", "y"])
        #expect(results[0].stars == 7 && results[0].isOfficial)
        #expect(!results[0].description.contains("\u{1b}"))
        #expect(try client().search(Registry(host: server.host), term: "c", limit: 2) == nil)
    }

    @Test func deletes() throws {
        let server = try ScriptedServer { request in .init(request.method == "DELETE" ? 202 : 405) }
        defer { server.stop() }
        let repository = Repository(registry: Registry(host: server.host), name: "a/b")
        let digest = Digest.sha256(of: [1])
        try client().deleteManifest(repository, digest: digest)
        #expect(server.requests.map(\.path) == ["/v2/a/b/manifests/\(digest)"])
    }

    @Test func referrersOfARegistryThatKnowsThem() throws {
        let digest = Digest.sha256(of: [1])
        let server = try ScriptedServer { request in
            func page(_ type: String) -> String {
                #"{"schemaVersion":2,"manifests":[{"mediaType":"m","digest":"\#(digest)","size":1,"artifactType":"\#(type)"}]}"#
            }
            switch request.path {
            case "/v2/a/referrers/\(digest)?artifactType=x%2Fy":
                return .init(200, ["Link: </v2/a/referrers/next>; rel=\"next\""], page("x/y"))
            case "/v2/a/referrers/next": return .init(200, [], page("z"))
            default: return .init(404)
            }
        }
        defer { server.stop() }
        let repository = Repository(registry: Registry(host: server.host), name: "a")
        let found = try client().referrers(repository, to: digest, artifactType: "x/y")
        #expect(found.map(\.artifactType) == ["x/y"])
        #expect(try client().referrers(repository, to: digest).isEmpty)
    }
}
