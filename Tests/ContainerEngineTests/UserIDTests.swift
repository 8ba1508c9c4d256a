import OCISpec
import Testing

@testable import ContainerEngine

@Suite struct UserIDTests {
    @Test func rangesAreSets() {
        let ranges = IDRanges([10..<20, 15..<30, 30..<31, 50..<50, 40..<45])
        #expect(ranges.ranges == [10..<31, 40..<45] && ranges.count == 26)
        let left = ranges.subtracting(IDRanges([0..<11, 15..<16, 44..<100]))
        #expect(left.ranges == [11..<15, 16..<31, 40..<44])
        #expect(left.first(4)?.ranges == [11..<15])
        #expect(left.first(10)?.ranges == [16..<26])
        // None are so many together.
        #expect(left.first(20)?.ranges == [11..<15, 16..<31, 40..<41])
        #expect(left.first(24) == nil)
        #expect(left.first(0)?.count == 0)
    }

    @Test func subordinateIDs() {
        let text =
            "root:1:5\ncontainers:100:10\nbad\ncontainers:x:3\ncontainers:105:10\ncontainers:4294967290:100\n"
        #expect(SubordinateIDs.parse(text).ranges == [100..<115, 4_294_967_290..<4_294_967_295])
    }

    @Test func choiceAvoidsWhatIsTaken() throws {
        let available = SubordinateIDs(users: IDRanges([1000..<2000]), groups: IDRanges([5000..<6000]))
        let used = (users: IDRanges([1000..<1300]), groups: IDRanges([5100..<5200]))
        let plain = try AutomaticIDs(parsing: "")
        let choice = try IDChoice(plain, size: 400, from: available, used: used)
        #expect(choice.users == [IDMapping(containerID: 0, hostID: 1300, size: 400)])
        #expect(choice.groups == [IDMapping(containerID: 0, hostID: 5200, size: 400)])
        let fixed = try AutomaticIDs(parsing: "size=400,uidmapping=0:1305:10,gidmapping=20:1:1")
        #expect(fixed.size == 400)
        let mapped = try IDChoice(fixed, size: 400, from: available, used: used)
        #expect(
            mapped.users == [
                IDMapping(containerID: 0, hostID: 1305, size: 10),
                IDMapping(containerID: 10, hostID: 1315, size: 390),
            ])
        #expect(
            mapped.groups == [
                IDMapping(containerID: 0, hostID: 5200, size: 20),
                IDMapping(containerID: 20, hostID: 1, size: 1),
                IDMapping(containerID: 21, hostID: 5220, size: 379),
            ])
        let error = #expect(throws: EngineError.self) {
            try IDChoice(plain, size: 701, from: available, used: used)
        }
        #expect(error?.message.contains("700 user IDs") == true)
    }

    @Test(arguments: [
        "", "auto", "auto:size=5,uidmapping=0:1:2,gidmapping=3:4:5", "container:x", "ns:/proc/1/ns/user",
    ])
    func modesAreKept(_ text: String) throws {
        #expect(try UserNamespaceMode(parsing: text).text == text)
    }

    @Test(arguments: [
        "keep-id", "keep-id:uid=1", "nomap", "private", "host:x", "auto:size=x", "auto:foo=1", "container:",
        "ns:", "ns:x", "bogus", "auto:uidmapping=1",
    ])
    func modesAreRefused(_ text: String) {
        #expect(throws: EngineError.self) { try UserNamespaceMode(parsing: text) }
    }
}
