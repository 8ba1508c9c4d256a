import LayerArchive
import RegistryClient
import Testing

@testable import ContainerImage

@Suite struct TOMLTests {
    @Test func everything() throws {
        let toml = try TOML(
            parsing: #"""
                # comment
                a = "x\t\"y\"\u00e9" # more
                b = 'raw\n'
                c = [1, 2_000, 0xff,
                  -3, ] 
                d.e."f g" = true
                h = { i = 1.5, j = ["k"] }
                long = """
                one \
                   two
                three"""
                when = 2024-01-02T03:04:05Z

                [t]
                x = false
                [t.u]
                y = 1
                [[list]]
                n = 1
                [[list.inner]]
                m = "a"
                [[list.inner]]
                m = "b"
                [list.sub]
                z = 1
                [[list]]
                n = 2
                [list.sub]
                z = 2
                """#)
        #expect(toml["a"] == .string("x\t\"y\"é"))
        #expect(toml["b"] == .string("raw\\n"))
        #expect(toml["c"] == .array([.integer(1), .integer(2000), .integer(255), .integer(-3)]))
        #expect(toml["d"]?["e"]?["f g"] == .bool(true))
        #expect(toml["h"] == .table(["i": .float(1.5), "j": .array([.string("k")])]))
        #expect(toml["long"] == .string("one two\nthree"))
        #expect(toml["t"] == .table(["x": .bool(false), "u": .table(["y": .integer(1)])]))
        let list = try #require(toml["list"]?.array)
        #expect(list.count == 2)
        #expect(list[0]["inner"]?.array?.compactMap { $0["m"]?.string } == ["a", "b"])
        #expect(list[1] == .table(["n": .integer(2), "sub": .table(["z": .integer(2)])]))
    }

    @Test(arguments: [
        ("a = ", 1), ("a = 1 b = 2", 1), ("\na = \"x", 2), ("a = 1\na = 2", 2), ("[a]\n[a]", 2), ("[a", 1),
        ("a = [1, 2", 1), ("a = \"\\q\"", 1), ("= 1", 1), ("a = nope", 1), ("a = 1\n[a.b]", 2),
    ])
    func refused(_ text: String, _ line: Int) {
        let error = #expect(throws: TOMLError.self) { try TOML(parsing: text) }
        #expect(error?.line == line)
    }

    @Test func deep() {
        #expect(throws: TOMLError.self) { try TOML(parsing: "a = " + String(repeating: "[", count: 100_000)) }
    }
}

@Suite struct RegistriesTests {
    private func config(_ text: String) throws -> RegistriesConfig {
        var config = RegistriesConfig()
        try config.merge(text: text, path: "test.conf")
        return config
    }

    private func candidates(_ config: RegistriesConfig, _ name: String) throws -> [String] {
        try config.candidates(for: ImageName(parsing: name)).map(\.canonical)
    }

    @Test func shortNames() throws {
        let config = try config(
            """
            unqualified-search-registries = ["one.example", "two.example:5000"]
            [aliases]
            "debian" = "docker.io/library/debian"
            "team/app" = "quay.io/team/app"
            """)
        #expect(try candidates(config, "debian:12") == ["docker.io/library/debian:12"])
        #expect(try candidates(config, "team/app") == ["quay.io/team/app:latest"])
        #expect(try candidates(config, "x/y") == ["one.example/x/y:latest", "two.example:5000/x/y:latest"])
        #expect(try candidates(config, "z.example/x") == ["z.example/x:latest"])
        #expect(
            config.localCandidates(for: try ImageName(parsing: "debian")).map(\.canonical) == [
                "localhost/debian:latest", "docker.io/library/debian:latest", "one.example/debian:latest",
                "two.example:5000/debian:latest",
            ])
    }

    @Test func noRegistryNoGuess() throws {
        let error = #expect(throws: ImageError.self) { try candidates(try config(""), "debian") }
        #expect(error?.code == .ambiguousName)
        let strict = try config(
            "unqualified-search-registries = [\"a\", \"b\"]\nshort-name-mode = \"enforcing\"")
        #expect(throws: ImageError.self) { try candidates(strict, "debian") }
    }

    @Test func laterFilesWin() throws {
        var config = try config(
            "[aliases]\na = \"x.y/a\"\nb = \"x.y/b\"\n[[registry]]\nlocation = \"r\"\nblocked = true")
        try config.merge(
            text: "[aliases]\na = \"x.y/c\"\nb = \"\"\n[[registry]]\nlocation = \"r\"", path: "b.conf")
        #expect(config.aliases == ["a": "x.y/c"])
        #expect(config.registries.map(\.blocked) == [false])
    }

    private func endpoints(_ config: RegistriesConfig, _ name: String) throws -> [String] {
        try config.endpoints(for: ImageReference(parsing: name).tagged).map {
            "\($0.repository)" + ($0.repository.registry.insecure ? " insecure" : "")
                + ($0.isMirror ? " mirror" : "")
        }
    }

    /// Of hosts that look alike too (CVE-2026-59891).
    @Test func locationsAndMirrors() throws {
        let config = try config(
            """
            [[registry]]
            prefix = "example.com/foo"
            location = "internal.example:5000/bar"
            insecure = true
            [[registry.mirror]]
            location = "mirror.example/m"
            [[registry.mirror]]
            location = "digests.example"
            insecure = true
            pull-from-mirror = "digest-only"
            [[registry]]
            location = "example.com/foo/closed"
            blocked = true
            [[registry]]
            prefix = "*.corp.example"
            insecure = true
            """)
        #expect(
            try endpoints(config, "example.com/foo/x:1") == [
                "mirror.example/m/x mirror", "internal.example:5000/bar/x insecure",
            ])
        #expect(
            try endpoints(config, "example.com/foo@\(NameTests.digest)") == [
                "mirror.example/m mirror", "digests.example/ insecure mirror",
                "internal.example:5000/bar insecure",
            ])
        #expect(try endpoints(config, "example.com/food") == ["example.com/food"])
        #expect(try endpoints(config, "a.b.corp.example:5000/x") == ["a.b.corp.example:5000/x insecure"])
        #expect(try endpoints(config, "corp.example/x") == ["corp.example/x"])
        #expect(try endpoints(config, "evilcorp.example/x") == ["evilcorp.example/x"])
        let error = #expect(throws: ImageError.self) { try endpoints(config, "example.com/foo/closed/x") }
        #expect(error?.code == .blocked)
    }

    @Test(arguments: [
        "unqualified-search-registries = \"x\"", "short-name-mode = \"maybe\"", "aliases = 1",
        "[[registry]]\nblocked = true",
        "[[registry]]\nlocation = \"x\"\ninsecure = \"yes\"", "[registry]",
    ])
    func wrongTypes(_ text: String) {
        let error = #expect(throws: ImageError.self) { try config(text) }
        #expect(error?.code == .configuration)
        #expect(error?.description.contains("test.conf") == true)
    }

    @Test func oldFormat() throws {
        let config = try config(
            "[registries.search]\nregistries = ['a.b']\n[registries.insecure]\nregistries = ['c.d']\n"
                + "[registries.block]\nregistries = ['e.f']")
        #expect(config.searchRegistries == ["a.b"])
        #expect(try endpoints(config, "c.d/x") == ["c.d/x insecure"])
        #expect(throws: ImageError.self) { try endpoints(config, "e.f/x") }
    }
}
