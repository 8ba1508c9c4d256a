import JSONText
import Testing

@testable import RegistryClient

@Suite struct AuthFileTests {
    @Test func longestKeyWins() throws {
        let json = try JSON(
            parsing: """
                {"auths":{"r.example:5000":{"auth":"YTox"},"r.example:5000/team":{"auth":"YToy"},
                "r.example:5000/team/app":{"auth":"YToz"},"https://index.docker.io/v1/":{"auth":"aHVi\\nOjE="},
                "other":{"username":"u","password":"p"},"tok":{"identitytoken":"t"},"empty":{}}}
                """)
        func password(_ registry: String, _ name: String) throws -> Credentials? {
            try AuthFile.find(registry: registry, name: name, in: json)
        }
        #expect(try password("r.example:5000", "team/app") == .password(user: "a", password: "3"))
        #expect(try password("r.example:5000", "team/other") == .password(user: "a", password: "2"))
        #expect(try password("r.example:5000", "teams") == .password(user: "a", password: "1"))
        #expect(try password("docker.io", "library/debian") == .password(user: "hub", password: "1"))
        #expect(try password("other", "x") == .password(user: "u", password: "p"))
        #expect(try password("tok", "x") == .identityToken("t"))
        #expect(try password("empty", "x") == nil)
        #expect(try password("r.example", "team") == nil)
    }

    @Test func challenges() {
        #expect(
            Challenge.parse(#"Basic realm="a \"b\", c", Bearer realm=x,service="y z""#) == [
                Challenge(scheme: "basic", parameters: ["realm": #"a "b", c"#]),
                Challenge(scheme: "bearer", parameters: ["realm": "x", "service": "y z"]),
            ])
        #expect(Challenge.parse("Negotiate") == [Challenge(scheme: "negotiate")])
        #expect(Challenge.parse("=,\"") == [])
    }

    @Test func origins() {
        #expect(HTTPURL("https://H:443/a")?.origin == "https://h")
        #expect(HTTPURL("http://h:443/a?b")?.origin == "http://h:443")
        #expect(HTTPURL("https://h\\@evil/")?.authority == "h")
        #expect(HTTPURL("https://a@h/") == nil)
        #expect(HTTPURL("file:///x") == nil)
    }
}
