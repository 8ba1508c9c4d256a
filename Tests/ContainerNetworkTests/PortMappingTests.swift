import ContainerNetwork
import JSONText
import Testing

@Suite struct PortMappingTests {
    @Test(arguments: [
        ("80", "80/tcp"), ("8080:80", "0.0.0.0:8080->80/tcp"), ("8080:80/udp", "0.0.0.0:8080->80/udp"),
        ("127.0.0.1:8080:80/TCP", "127.0.0.1:8080->80/tcp"), ("127.0.0.1::80", "80/tcp"),
        ("localhost:1:2", "127.0.0.1:1->2/tcp"), ("0.0.0.0:1:2", "0.0.0.0:1->2/tcp"), (":80", "80/tcp"),
        ("8000-8010:80", "0.0.0.0:8000-8010->80/tcp"), ("0:80", "80/tcp"), ("::80", "80/tcp"),
    ])
    func parsesOne(_ text: String, _ expected: String) throws {
        let mappings = try PortMapping.parse(text)
        #expect(mappings.map(\.description) == [expected])
        #expect(try mappings.map { try PortMapping(json: $0.json) } == mappings)
    }

    @Test func parsesRanges() throws {
        #expect(
            try PortMapping.parse("8000-8002:80-82/udp").map(\.description) == [
                "0.0.0.0:8000->80/udp", "0.0.0.0:8001->81/udp", "0.0.0.0:8002->82/udp",
            ])
        #expect(try PortMapping.parse("80-81").map(\.description) == ["80/tcp", "81/tcp"])
        #expect(try PortMapping.parse("127.0.0.1::53/udp")[0].hostIP == "127.0.0.1")
    }

    @Test(arguments: [
        "", ":", "a", "80:", "1:2:3:4:5", "65536", "80/sctp", "80/", "9-8:80-81", "1-3:1-2", "1.2.3:80:80",
        "[::1]:80:80", "-1", "8080:0", "+80", "80-:80", "8080:80/tcp/udp", "300.1.1.1:1:1",
    ])
    func refuses(_ text: String) {
        #expect(throws: NetworkError.self) { try PortMapping.parse(text) }
    }
}
