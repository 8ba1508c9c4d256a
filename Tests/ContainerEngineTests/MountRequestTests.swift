import ContainerEngine
import Testing

@Suite struct MountRequestTests {
    @Test func bindOfAnAbsolutePath() throws {
        let mount = try MountRequest(volume: "/srv/data:/data:ro,rshared")
        #expect(
            mount
                == MountRequest(
                    .bind, source: "/srv/data", destination: "/data", readOnly: true, options: ["rshared"]))
    }

    @Test func namedAndAnonymousVolumes() throws {
        #expect(
            try MountRequest(volume: "data:/var/lib")
                == MountRequest(.volume, source: "data", destination: "/var/lib"))
        #expect(
            try MountRequest(volume: "/cache")
                == MountRequest(.volume, destination: "/cache", anonymous: true))
        #expect(try MountRequest(volume: "/cache:ro").readOnly)
    }

    @Test(arguments: [
        "", "a:b", "/a:/", "/a:/b:bogus", "a:b:c:d", ":/b", "../x y:/b:zz", "na me:/data", "/a:b", "-x:/data",
    ])
    func refusesVolumes(_ text: String) {
        #expect(throws: EngineError.self) { try MountRequest(volume: text) }
    }

    @Test func mountSyntax() throws {
        #expect(
            try MountRequest(mount: "type=bind,src=/a,dst=/b,readonly")
                == MountRequest(.bind, source: "/a", destination: "/b", readOnly: true))
        #expect(
            try MountRequest(mount: "type=tmpfs,target=/run,tmpfs-size=1m,tmpfs-mode=700")
                == MountRequest(.tmpfs, destination: "/run", options: ["size=1m", "mode=700"]))
    }

    @Test(arguments: [
        "type=bind,dst=/b", "type=nfs,dst=/b", "src=/a", "type=bind,src=/a,dst=b", "type=volume,dst=/b,foo=1",
    ])
    func refusesMounts(_ text: String) {
        #expect(throws: EngineError.self) { try MountRequest(mount: text) }
    }

    @Test func temporaryFileSystems() throws {
        #expect(
            try MountRequest(tmpfs: "/t:size=1m,notmpcopyup")
                == MountRequest(.tmpfs, destination: "/t", options: ["size=1m"]))
    }

    @Test func destinationsAreNormalised() throws {
        #expect(try MountRequest(volume: "/a:/b/../c//d/.").destination == "/c/d")
    }

    @Test func survivesTheRecord() throws {
        let mount = try MountRequest(mount: "type=tmpfs,target=/run,tmpfs-size=1m,readonly")
        #expect(try MountRequest(json: mount.json) == mount)
    }
}
