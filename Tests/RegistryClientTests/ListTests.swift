import LayerArchive
import OCISpec
import ScriptedHTTP
import Synchronization
import Testing

@testable import RegistryClient

@Suite struct ListTests {
    private func client(pageLimit: Int = 10) -> RegistryClient {
        var options = RegistryOptions()
        options.pageLimit = pageLimit
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

    /// A list that leads elsewhere, or back to itself (GHSA-h7vf-4x9w-h99v, CVE-2026-88887).
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
        #expect(server.requests.count == 1)
    }

    /// Each page names another one.
    @Test func endlessPages() throws {
        let count = Mutex(0)
        let server = try ScriptedServer { _ in
            let page = count.withLock {
                $0 += 1
                return $0
            }
            return .init(200, ["Link: <?last=\(page)>; rel=next"], #"{"tags":["\#(page)"]}"#)
        }
        defer { server.stop() }
        let repository = Repository(registry: Registry(host: server.host), name: "a")
        let error = #expect(throws: RegistryError.self) { try client(pageLimit: 3).tags(repository) }
        #expect(error?.code == .tooLarge && error?.message.contains("3 pages") == true, "\(error as Any)")
        #expect(server.requests.count == 4)
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
