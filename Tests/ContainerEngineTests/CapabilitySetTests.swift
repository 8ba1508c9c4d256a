import ContainerEngine
import Testing

@Suite struct CapabilitySetTests {
    @Test func dockersFourteen() throws {
        #expect(CapabilitySet.standard.count == 14)
        #expect(
            try CapabilitySet.effective(add: [], drop: [], privileged: false)
                == CapabilitySet.standard.sorted())
    }

    @Test func addAndDrop() throws {
        let set = try CapabilitySet.effective(
            add: ["net_admin"], drop: ["CAP_MKNOD", "chown"], privileged: false)
        #expect(set.contains("CAP_NET_ADMIN") && !set.contains("CAP_MKNOD") && !set.contains("CAP_CHOWN"))
    }

    @Test func dropAllThenAdd() throws {
        #expect(try CapabilitySet.effective(add: ["KILL"], drop: ["ALL"], privileged: false) == ["CAP_KILL"])
    }

    @Test func addAllButOne() throws {
        let set = try CapabilitySet.effective(add: ["ALL"], drop: ["SYS_ADMIN"], privileged: false)
        #expect(set.contains("CAP_SYS_PTRACE") && !set.contains("CAP_SYS_ADMIN"))
    }

    @Test(arguments: ["CAP_NONSENSE", "", "ALLES"])
    func refusesUnknown(_ name: String) {
        #expect(throws: EngineError.self) {
            try CapabilitySet.effective(add: [name], drop: [], privileged: false)
        }
        #expect(throws: EngineError.self) {
            try CapabilitySet.effective(add: [], drop: [name], privileged: false)
        }
    }

    @Test func refusesBothWays() {
        #expect(throws: EngineError.self) {
            try CapabilitySet.effective(add: ["KILL"], drop: ["KILL"], privileged: false)
        }
    }
}
