import JSONText
import Testing

@testable import ContainerRuntime

@Suite struct SystemdUnitTests {
    @Test(arguments: [
        ("-.slice", "/"), ("a.slice", "/a.slice"), ("a-b.slice", "/a.slice/a-b.slice"),
        ("test-a-b.slice", "/test.slice/test-a.slice/test-a-b.slice"),
        ("system.slice", "/system.slice"),
    ])
    func slicesExpand(slice: String, path: String) throws {
        #expect(try SystemdUnit.expand(slice) == path)
    }

    @Test(arguments: [
        "", ".slice", "a", "a.scope", "-a.slice", "a-.slice", "a--b.slice", "--.slice", "a/b.slice",
        "../a.slice", "a b.slice", "a\n.slice", "ä.slice",
    ])
    func badSlicesAreRefused(slice: String) {
        #expect(throws: CgroupError(.invalid, "invalid slice name: \(slice)")) {
            try SystemdUnit.expand(slice)
        }
    }

    @Test func pathsNameSlicePrefixAndName() throws {
        let unit = try SystemdUnit(cgroupsPath: "machine-web.slice:libpod:12ab", id: "c", isUser: false)
        #expect(unit.name == "libpod-12ab.scope")
        #expect(unit.slice == "machine-web.slice")
        #expect(
            try unit.place(below: "/").absolute
                == "/machine.slice/machine-web.slice/libpod-12ab.scope")
    }

    @Test(arguments: [nil, "", ":apus:c"])
    func whatIsLeftOutHasADefault(path: String?) throws {
        let system = try SystemdUnit(cgroupsPath: path, id: "c", isUser: false)
        #expect(system.name == "apus-c.scope")
        #expect(system.slice == "system.slice")
        let user = try SystemdUnit(cgroupsPath: path, id: "c", isUser: true)
        #expect(user.slice == "user.slice")
        #expect(
            try user.place(below: "/user.slice/user-1000.slice/user@1000.service").absolute
                == "/user.slice/user-1000.slice/user@1000.service/user.slice/apus-c.scope")
    }

    @Test(arguments: [
        "/a/b", "a:b", "a.slice:b:c:d", "a:b:c", "a.slice:b:c/d", "a.slice:../b:c", "a.slice:b:c.slice",
        "a.slice:b:c d", "a.slice:b:" + String(repeating: "x", count: 250),
    ])
    func badPathsAreRefused(path: String) {
        #expect(throws: CgroupError.self) { try SystemdUnit(cgroupsPath: path, id: "c", isUser: false) }
    }

    /// cg_escape of systemd: a group's name may not be that of a kernel file.
    @Test func namesLikeFilesGetAnUnderscore() throws {
        let unit = try SystemdUnit(cgroupsPath: "memory.slice:cpu.max:x", id: "c", isUser: false)
        #expect(try unit.place(below: "/").absolute == "/_memory.slice/_cpu.max-x.scope")
        let hidden = try SystemdUnit(cgroupsPath: ":_:x", id: "c", isUser: false)
        #expect(try hidden.place(below: "/").absolute == "/system.slice/__-x.scope")
    }

    @Test func theStateRemembersTheUnit() throws {
        let unit = try SystemdUnit(cgroupsPath: "a.slice:b:c", id: "d", isUser: true)
        #expect(SystemdUnit(json: unit.json) == unit)
        #expect(SystemdUnit(json: ["unit": "a/b.scope", "slice": "a.slice", "user": false]) == nil)
        #expect(SystemdUnit(json: ["unit": "sshd.service", "slice": "a.slice", "user": false]) == nil)
    }

    @Test(arguments: [
        ("252.39-1~deb12u2", 252), ("v245.4-1.fc32", 245), ("\"v245-1.fc32\"", 245), ("245", 245), ("", 0),
    ])
    func versionsAreNumbers(text: String, version: Int) {
        #expect(SystemdManager.version(text) == version)
    }
}
