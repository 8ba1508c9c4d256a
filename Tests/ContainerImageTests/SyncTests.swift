import LinuxSystem
import Testing

@testable import ContainerImage

@Suite struct SyncTests {
    @Test(arguments: [
        ("1.2.3", "1.2.3", true), ("1.2", "1.2.9", true), ("1.2", "1.3.0", false),
        (">= 1.2, < 2", "1.9.0", true),
        (">=1.2 <2", "2.0.0", false), ("^1.2", "1.9.9", true), ("^1.2", "2.0.0", false),
        ("^0.2.3", "0.2.9", true),
        ("^0.2.3", "0.3.0", false), ("~1.2.3", "1.2.9", true), ("~1.2.3", "1.3.0", false),
        ("~1", "1.9.0", true),
        ("1.x", "1.7.2", true), ("*", "7.0.0", true), ("1.2 - 1.4", "1.4.9", true),
        ("1.2 - 1.4", "1.5.0", false),
        ("< 1 || > 3", "4.0.1", true), ("> 3", "3.0.1", false), ("< 1 || > 3", "2.0.0", false),
        ("!=1.2.3", "1.2.3", false),
        (">1.2", "1.2.9", false), (">1.2", "1.3.0", true), ("<=1.2", "1.2.9", true),
        (">=1.0.0", "1.1.0-rc.1", false),
        (">=1.1.0-0", "1.1.0-rc.1", true), ("=v1.2.3", "v1.2.3", true),
    ])
    func constraints(_ constraint: String, _ version: String, _ accepted: Bool) throws {
        let constraint = try #require(VersionConstraint(constraint))
        #expect(constraint.accepts(try #require(SemanticVersion(version))) == accepted)
    }

    @Test(arguments: ["", ">", "1.2.3.4", "latest", ">> 1", "1 - "]) func noConstraints(_ text: String) {
        #expect(VersionConstraint(text) == nil)
    }

    @Test func order() throws {
        let order = [
            "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-2.x", "1.0.0", "1.0.1", "1.10.0",
        ]
        let versions = try [
            "1.0.0-2.x", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0", "1.0.1", "1.10.0",
        ]
        .map { try #require(SemanticVersion($0)) }
        #expect(versions == versions.sorted())
        #expect(order.compactMap { SemanticVersion($0) }.count == order.count)
        #expect(
            SemanticVersion("12-jammy") != nil && SemanticVersion("1.-1") == nil && SemanticVersion("") == nil
        )
    }

    @Test func files() throws {
        let scratch = try Scratch()
        try scratch.write(
            "sync.yml",
            Array(
                """
                registry.example:
                  images:
                    a/b: [1.20, "sha256:\(String(repeating: "ab", count: 32))"]
                    c: [latest]
                  credentials: {username: u, password: p}
                  tls-verify: false
                """.utf8))
        try scratch.write("registries.conf", [])
        var options = TransferOptions()
        options.registriesConfig = scratch("registries.conf")
        var failures: [ImageError] = []
        let sources = try SyncFile(scratch("sync.yml")).sources(options: options) { failures.append($0) }
        #expect(failures.isEmpty)
        #expect(
            sources.flatMap(\.images).map(\.name) == [
                "registry.example/a/b:1.20",
                "registry.example/a/b@sha256:\(String(repeating: "ab", count: 32))",
                "registry.example/c:latest",
            ])
        #expect(sources[0].options.credentials == "u:p" && sources[0].options.verifyTLS == false)
        for text in ["a: {image: {}}", "[1, 2]", "a: {images: {b: 7}}", "a: {images: {b: ["] {
            try scratch.write("bad.yml", Array(text.utf8))
            #expect(throws: ImageError.self, "\(text)") { try SyncFile(scratch("bad.yml")) }
        }
    }
}
