import JSONText
import LinuxSystem
import OCISpec
import Testing

@testable import ContainerRuntime

/// On a directory with the file system's files: machines with Intel RDT are rare.
@Suite struct ResctrlGroupTests {
    private final class Fixture {
        let path: String
        var mount: ResctrlMount { ResctrlMount(path: path) }

        init(cache: Bool = true, bandwidth: Bool = true) throws {
            path = "/tmp/apus-test-resctrl-\(getpid())-\(UInt32.random(in: 0 ... .max))"
            try File.makeDirectories("\(path)/info")
            if cache {
                try File.makeDirectories("\(path)/info/L3")
                try write("info/L3/cbm_mask", "7ff\n")
                try write("info/L3/min_cbm_bits", "1\n")
                try write("info/L3/num_closids", "4\n")
            }
            if bandwidth {
                try File.makeDirectories("\(path)/info/MB")
                for (name, value) in [
                    ("bandwidth_gran", 10), ("delay_linear", 1), ("min_bandwidth", 10), ("num_closids", 8),
                ] { try write("info/MB/\(name)", "\(value)\n") }
            }
            try write("info/last_cmd_status", "Invalid mask\n")
            try fill("", schemata: "    L3:0=7ff;1=7ff\n    MB:0=100;1=100\n")
        }

        deinit { try? File.removeTree(path) }

        func write(_ name: String, _ text: String) throws {
            try File.replace("\(path)/\(name)", with: Array(text.utf8), durable: false)
        }

        /// What the kernel puts into a new group.
        func fill(_ group: String, schemata: String = "L3:0=7ff\n") throws {
            try File.makeDirectories("\(path)/\(group)/mon_groups")
            try write("\(group)/schemata", schemata)
            try write("\(group)/tasks", "")
        }

        func text(_ name: String) throws -> String { try File.readText("\(path)/\(name)") }
        func has(_ name: String) -> Bool { File.exists("\(path)/\(name)") }
    }

    private func complaint(_ config: IntelRdt, _ mount: ResctrlMount?) -> RuntimeError? {
        do throws(RuntimeError) {
            _ = try ResctrlGroup(config, id: "c1", mount: mount)
            return nil
        } catch {
            return error
        }
    }

    @Test func aClassOfItsOwnLivesWithTheContainer() throws {
        let fixture = try Fixture()
        let config = IntelRdt(schemata: ["L2:0=f"], l3CacheSchema: "L3:0=f", memBwSchema: "MB:0=20")
        let group = try ResctrlGroup(config, id: "c1", mount: fixture.mount)
        #expect(group.isOwn && group.path == "\(fixture.path)/c1" && !group.exists)
        #expect(throws: RuntimeError.self) { try group.make(config) }
        // The directory, which has no files here: those are the kernel's.
        #expect(fixture.has("c1"))
        try group.remove()
        #expect(!fixture.has("c1"))
        try group.remove()
        try fixture.fill("c1", schemata: "L3:0=7ff;1=7ff\nL2:0=ff\nMB:0=100\n")
        try group.make(config)
        try group.add(4711)
        // Written over the start of what a plain file holds.
        #expect(try fixture.text("c1/schemata").hasPrefix("L3:0=f\nMB:0=20\nL2:0=f\n"))
        #expect(try fixture.text("c1/tasks") == "4711")
        #expect(group.exists)
        #expect(try ResctrlGroup(json: group.json) == group)
    }

    @Test func aDirectoryThatWasThereIsNotOurs() throws {
        let fixture = try Fixture()
        try fixture.fill("c1")
        let group = try ResctrlGroup(IntelRdt(), id: "c1", mount: fixture.mount)
        #expect(!group.isOwn)
        try group.remove()
        #expect(fixture.has("c1/tasks"))
    }

    @Test func aMonitoringGroupGoesWithItsContainer() throws {
        let fixture = try Fixture()
        try fixture.fill("shared", schemata: "L3:0=00f;1=7ff\n")
        let config = IntelRdt(closID: "shared", l3CacheSchema: "L3:0=F", enableMonitoring: true)
        let group = try ResctrlGroup(config, id: "c1", mount: fixture.mount)
        #expect(group.monitoring == "\(fixture.path)/shared/mon_groups/c1")
        try group.make(config)
        #expect(fixture.has("shared/mon_groups/c1"))
        try fixture.write("shared/mon_groups/c1/tasks", "")
        try group.add(12)
        #expect(try fixture.text("shared/tasks") == "12")
        #expect(try fixture.text("shared/mon_groups/c1/tasks") == "12")
        try File.unlink("\(fixture.path)/shared/mon_groups/c1/tasks")
        try group.remove()
        #expect(!fixture.has("shared/mon_groups/c1") && fixture.has("shared/tasks"))
    }

    @Test func theDefaultClassIsTheRoot() throws {
        let fixture = try Fixture()
        let group = try ResctrlGroup(IntelRdt(closID: "/"), id: "c1", mount: fixture.mount)
        #expect(group.path == fixture.path && !group.isOwn)
        try group.add(3)
        #expect(try fixture.text("tasks") == "3")
    }

    @Test func whatCannotBeIsRefused() throws {
        let fixture = try Fixture()
        #expect(complaint(IntelRdt(), nil)?.code == .unsupported)
        for name in ["..", ".", "a/b", "/x"] {
            #expect(complaint(IntelRdt(closID: name), fixture.mount)?.code == .invalidConfig, "\(name)")
        }
        // A class that is only named has to exist; one with other schemata is somebody else's.
        #expect(complaint(IntelRdt(closID: "nothing"), fixture.mount)?.message.contains("nothing") == true)
        #expect(complaint(IntelRdt(closID: "made", schemata: ["L3:0=f"]), fixture.mount) == nil)
        try fixture.fill("other", schemata: "L3:0=ff;1=f\nMB:0=50\n")
        #expect(complaint(IntelRdt(closID: "other"), fixture.mount) == nil)
        #expect(complaint(IntelRdt(closID: "other", l3CacheSchema: "L3:1=f"), fixture.mount) == nil)
        #expect(complaint(IntelRdt(closID: "other", l3CacheSchema: "L3:0=f"), fixture.mount) != nil)
        #expect(complaint(IntelRdt(closID: "other", memBwSchema: "MB:0=60"), fixture.mount) != nil)
        #expect(complaint(IntelRdt(memBwSchema: "L3:0=f"), fixture.mount)?.code == .invalidConfig)
        #expect(complaint(IntelRdt(schemata: ["L3:0=f\nMB:0=1"]), fixture.mount)?.code == .invalidConfig)
        let bare = try Fixture(cache: false, bandwidth: false)
        #expect(complaint(IntelRdt(l3CacheSchema: "L3:0=f"), bare.mount)?.code == .unsupported)
        #expect(complaint(IntelRdt(memBwSchema: "MB:0=10"), bare.mount)?.code == .unsupported)
    }

    @Test func failuresSayWhatTheKernelSaid() throws {
        let fixture = try Fixture()
        let config = IntelRdt(l3CacheSchema: "L3:0=f")
        let group = try ResctrlGroup(config, id: "c1", mount: fixture.mount)
        do throws(RuntimeError) {
            try group.make(config)
            Issue.record("a group without a schemata file")
        } catch {
            #expect(error.description.contains("last_cmd_status: Invalid mask"), "\(error)")
        }
    }

    @Test func mountsAreFoundByTheirType() {
        let mounts = """
            22 1 0:20 / /proc rw - proc proc rw
            99 1 0:50 / /mnt/re\\040source rw,relatime shared:3 - resctrl resctrl rw

            """
        #expect(ResctrlMount.find(in: mounts)?.path == "/mnt/re source")
        #expect(ResctrlMount.find(in: "22 1 0:20 / /proc rw - proc resctrl rw\n") == nil)
    }

    @Test func reportsSpeakAsOtherRuntimesDo() throws {
        let fixture = try Fixture()
        try File.makeDirectories("\(fixture.path)/info/L3_MON")
        try fixture.write("info/L3_MON/mon_features", "llc_occupancy\nmbm_total_bytes\n")
        try fixture.fill("c1", schemata: "    L3:0=f;1=f\n    MB:0=20;1=100\n")
        try File.makeDirectories("\(fixture.path)/c1/mon_data/mon_L3_00")
        try fixture.write("c1/mon_data/mon_L3_00/llc_occupancy", "123\n")
        try fixture.write("c1/mon_data/mon_L3_00/mbm_total_bytes", "456\n")
        let report = try ResctrlGroup(IntelRdt(), id: "c1", mount: fixture.mount).report()
        #expect(report["l3_cache_info"] == ["cbm_mask": "7ff", "min_cbm_bits": 1, "num_closids": 4])
        #expect(report["l3_cache_schema_root"] == "L3:0=7ff;1=7ff")
        #expect(report["l3_cache_schema"] == "L3:0=f;1=f")
        #expect(report["mem_bw_schema"] == "MB:0=20;1=100")
        #expect(report["mem_bw_info"]?["bandwidth_gran"] == 10)
        #expect(report["schemata"] == ["L3:0=f;1=f", "MB:0=20;1=100"])
        #expect(report["mbm_stats"] == [["mbm_total_bytes": 456]])
        #expect(report["cmt_stats"] == [["llc_occupancy": 123]])
    }
}
