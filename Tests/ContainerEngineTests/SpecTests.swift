import ContainerEngine
import ContainerMonitor
import ContainerNetwork
import JSONText
import Testing

@Suite struct SpecTests {
    @Test func aSpecSurvivesTheRecord() throws {
        var spec = ContainerSpec()
        spec.image = "docker.io/library/debian:12"
        spec.command = ["sh", "-c", "echo \"ü\""]
        spec.entrypoint = []
        spec.environment = ["A=1", "B="]
        spec.labels = ["a.b": "c"]
        spec.terminal = true
        spec.mounts = [try MountRequest(volume: "/a:/b:ro"), try MountRequest(tmpfs: "/tmp:size=1m,exec")]
        spec.ports = try PortMapping.parse("127.0.0.1:8080:80/udp")
        spec.resources.memory = 64 << 20
        spec.resources.nanoCPUs = 1_500_000_000
        spec.ulimits = [try UlimitRequest(parsing: "nofile=10:-1")]
        spec.devices = [try DeviceRequest(parsing: "/dev/fuse:/dev/f:rw")]
        spec.network = .container("abc")
        spec.ipcMode = .host
        spec.restart = .onFailure(maximum: 3)
        spec.stopTimeout = 0
        #expect(try ContainerSpec(json: JSON(parsing: spec.json.text())) == spec)
    }

    @Test(arguments: ["nofile", "nofile=", "nofile=a", "nofile=5:3", "bogus=1", "=1"])
    func refusesUlimits(_ text: String) {
        #expect(throws: EngineError.self) { try UlimitRequest(parsing: text) }
    }

    @Test(arguments: ["dev/null", "/dev/null:/x:q", "/a:/b:rwm:x"])
    func refusesDevices(_ text: String) {
        #expect(throws: EngineError.self) { try DeviceRequest(parsing: text) }
    }

    @Test(arguments: ["", "-a", "a b", "ü", "a/b", String(repeating: "x", count: 300)])
    func refusesNames(_ text: String) {
        #expect(throws: EngineError.self) { try ContainerName.validate(text) }
    }

    @Test func randomNamesAndIDsAreValid() throws {
        for attempt in 0..<5 { try ContainerName.validate(ContainerName.random(attempt: attempt)) }
        let id = ContainerName.randomID()
        #expect(id.utf8.count == 64 && id.allSatisfy(\.isHexDigit) && id != ContainerName.randomID())
    }

    @Test func pathsAreNormalised() throws {
        #expect(PathText.normalized("/a/./b/../../../c/") == "/c")
        #expect(PathText.normalized("") == "/")
    }
}
