import JSONText
import OCISpec
import Testing

@Suite struct ImageDocumentTests {
    @Test func manifestKeepsWhatItDoesNotKnow() throws {
        let text =
            #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#
            + #""config":{"mediaType":"m","digest":"sha256:aa","size":2,"data":"e30="},"layers":[],"x-new":[1.50]}"#
        #expect(try ImageManifest(json: JSON(parsing: text)).json.text() == text)
    }

    @Test func configRoundTrip() throws {
        let text = """
            {"architecture":"arm64","os":"linux","variant":"v8","config":{"ExposedPorts":{"80/tcp":{}},\
            "Env":["A=b"],"Cmd":["sh"],"Labels":{"a":"1"},"ArgsEscaped":true},\
            "rootfs":{"type":"layers","diff_ids":["sha256:00"]},"history":[{"created_by":"x","empty_layer":true}],\
            "docker_version":"20"}
            """
        let config = try ImageConfig(json: JSON(parsing: text))
        #expect(config.config.exposedPorts == ["80/tcp"])
        #expect(config.config.cmd == ["sh"])
        #expect(config.platform == Platform(architecture: "arm64", variant: "v8"))
        let again = try ImageConfig(json: config.json)
        #expect(again == config)
        #expect(config.json == (try JSON(parsing: text)))
    }

    @Test(arguments: [
        (#"{"schemaVersion":1,"config":{}}"#, "schemaVersion: is 1, only 2 is supported"),
        (#"{"schemaVersion":2,"config":[]}"#, "config: expected an object, found an array"),
        (
            #"{"schemaVersion":2,"config":{"digest":"d","size":"7"}}"#,
            "config.size: expected a number, found a string"
        ),
        (
            #"{"schemaVersion":2,"config":{"digest":"d","size":7},"layers":[{"digest":"d","size":-1}]}"#,
            "layers[0].size: is negative"
        ),
    ])
    func wrongTypesAreNamed(_ text: String, _ message: String) throws {
        let json = try JSON(parsing: text)
        let error = #expect(throws: JSONError.self) { try ImageManifest(json: json) }
        #expect(error?.description == message)
    }

    @Test func platformText() {
        #expect(Platform(parsing: "linux/x86_64")?.description == "linux/amd64")
        #expect(Platform(parsing: "aarch64")?.description == "linux/arm64")
        #expect(Platform(parsing: "linux/arm/7")?.description == "linux/arm/v7")
        #expect(Platform(parsing: "linux//v7") == nil)
        #expect(Platform(parsing: "a/b/c/d") == nil)
    }

    @Test func platformDistance() throws {
        func distance(_ wanted: String, _ offered: String) -> Int? {
            Platform(parsing: wanted)!.distance(to: Platform(parsing: offered)!)
        }
        #expect(distance("linux/amd64", "linux/amd64") == 0)
        #expect(distance("linux/amd64", "linux/amd64/v3") == nil)
        #expect(distance("linux/amd64/v3", "linux/amd64") != nil)
        #expect(distance("linux/arm64", "linux/arm64/v8") == 0)
        #expect(distance("linux/arm/v7", "linux/arm/v6")! < distance("linux/arm/v7", "linux/arm/v5")!)
        #expect(distance("linux/arm/v6", "linux/arm/v7") == nil)
        #expect(distance("linux/amd64", "windows/amd64") == nil)
    }
}
