import JSONText
import OCISpec
import Testing

@testable import ContainerRuntime

@Suite struct UnitPropertiesTests {
    private static func properties(
        _ json: JSON, unified: Bool = true, version: Int = 252
    ) throws -> [String: DBusValue] {
        let limits = try limits(json, unified: unified, version: version)
        #expect(Set(limits.list.map(\.name)).count == limits.list.count)
        return Dictionary(limits.list.map { ($0.name, $0.value) }) { first, _ in first }
    }

    private static func limits(_ json: JSON, unified: Bool = true, version: Int = 252) throws
        -> UnitProperties
    {
        try UnitProperties(try LinuxResources(json: json), isUnified: unified) { version }
    }

    @Test func limitsOfV2() throws {
        let properties = try Self.properties([
            "memory": ["limit": 67_108_864, "reservation": 33_554_432, "swap": 100_663_296],
            "cpu": ["shares": 1024, "quota": 50000, "period": 100_000, "cpus": "0-2,8", "mems": "0"],
            "pids": ["limit": 20], "blockIO": ["weight": 100],
        ])
        #expect(
            properties == [
                "MemoryMax": .uint64(67_108_864), "MemoryLow": .uint64(33_554_432),
                "MemorySwapMax": .uint64(33_554_432), "CPUWeight": .uint64(100),
                "CPUQuotaPeriodUSec": .uint64(100_000), "CPUQuotaPerSecUSec": .uint64(500_000),
                "TasksMax": .uint64(20), "AllowedCPUs": .bytes([0b111, 1]), "AllowedMemoryNodes": .bytes([1]),
                "IOWeight": .uint64(BlockIOController.unified(weight: 100)),
            ])
    }

    @Test func limitsOfV1() throws {
        let properties = try Self.properties(
            [
                "memory": ["limit": 67_108_864, "reservation": 33_554_432, "swap": 100_663_296],
                "cpu": ["shares": 512], "pids": ["limit": 0], "blockIO": ["weight": 100],
            ], unified: false)
        #expect(
            properties == [
                "MemoryLimit": .uint64(67_108_864), "CPUShares": .uint64(512), "TasksMax": .uint64(1),
                "BlockIOWeight": .uint64(100),
            ])
        #expect(throws: CgroupError.self) {
            try Self.properties(["unified": ["memory.max": "1"]], unified: false)
        }
    }

    @Test func noLimitIsTheLargestNumber() throws {
        let properties = try Self.properties([
            "memory": ["limit": -1], "cpu": ["quota": -1], "pids": ["limit": -1],
        ])
        #expect(
            properties == [
                "MemoryMax": .uint64(.max), "MemorySwapMax": .uint64(.max),
                "CPUQuotaPerSecUSec": .uint64(.max),
                "TasksMax": .uint64(.max),
            ])
        #expect(try Self.properties([:]).isEmpty)
        #expect(try Self.properties(["memory": ["limit": 0], "cpu": ["quota": 0, "shares": 0]]).isEmpty)
    }

    /// systemd's percents are whole ones, and the files must agree.
    @Test func quotasAreRoundedUpToPercents() throws {
        let limits = try Self.limits(["cpu": ["quota": 4001, "period": 10000]])
        #expect(limits.list.contains(.init("CPUQuotaPerSecUSec", .uint64(410_000))))
        #expect(limits.resources.cpu?.quota == 4100)
        let whole = try Self.limits(["cpu": ["quota": 4000, "period": 10000]])
        #expect(whole.list.contains(.init("CPUQuotaPerSecUSec", .uint64(400_000))))
        #expect(whole.resources.cpu?.quota == 4000)
        let alone = try Self.limits(["cpu": ["quota": 100_001]])
        #expect(alone.list == [.init("CPUQuotaPerSecUSec", .uint64(1_010_000))])
        #expect(alone.resources.cpu?.quota == 101_000)
        let huge = try Self.limits(["cpu": ["quota": .integer(Int64.max), "period": 1]])
        #expect(huge.list.contains(.init("CPUQuotaPerSecUSec", .uint64(.max))))
    }

    @Test func anIdleGroupHasNoWeight() throws {
        let idle: JSON = ["cpu": ["idle": 1, "shares": 512]]
        #expect(try Self.properties(idle)["CPUWeight"] == .uint64(0))
        #expect(
            try Self.properties(idle, version: 251)["CPUWeight"]
                == .uint64(CPUController.weight(shares: 512)))
        let files: JSON = ["unified": ["cpu.idle": "1", "cpu.weight": "7"]]
        #expect(try Self.properties(files)["CPUWeight"] == .uint64(0))
        #expect(try Self.properties(files, version: 251)["CPUWeight"] == .uint64(7))
    }

    @Test func oldManagersGetWhatTheyKnow() throws {
        let properties = try Self.properties(
            ["cpu": ["quota": 1000, "period": 10000, "cpus": "0"]], version: 239)
        #expect(properties == ["CPUQuotaPerSecUSec": .uint64(100_000)])
    }

    @Test func filesOfV2AreProperties() throws {
        let properties = try Self.properties([
            "unified": [
                "memory.max": "max", "memory.high": " 1000\n", "memory.min": "1", "memory.low": "2",
                "memory.swap.max": "0", "pids.max": "0", "cpu.max": "max 50000", "cpu.weight": "42",
                "cpuset.cpus": "1", "cpuset.mems": "0", "memory.oom.group": "1", "hugetlb.2MB.max": "0",
            ]
        ])
        #expect(
            properties == [
                "MemoryMax": .uint64(.max), "MemoryHigh": .uint64(1000), "MemoryMin": .uint64(1),
                "MemoryLow": .uint64(2), "MemorySwapMax": .uint64(0), "TasksMax": .uint64(1),
                "CPUQuotaPeriodUSec": .uint64(50000), "CPUQuotaPerSecUSec": .uint64(.max),
                "CPUWeight": .uint64(42), "AllowedCPUs": .bytes([2]), "AllowedMemoryNodes": .bytes([1]),
            ])
        let rounded = try Self.limits(["unified": ["cpu.max": "1001 100000"]])
        #expect(rounded.resources.unified["cpu.max"] == "2000 100000")
        for (file, text) in [
            ("cpu.max", "1 2 3"), ("cpu.max", ""), ("cpu.max", "-1"), ("memory.max", "1k"),
            ("pids.max", "-1"),
            ("cpuset.cpus", "x"), ("cpu.weight", "max"),
        ] {
            #expect(throws: CgroupError.self, "\(file) \(text)") {
                try Self.limits(["unified": [file: .string(text)]])
            }
        }
    }

    @Test(
        arguments: [
            ("0", [1]), ("1,3-5", [0x3a]), ("0-7", [0xff]), ("8", [0, 1]), (" 1 , 2 ", [6]), (",,1,", [2]),
            ("127", Array(repeating: 0, count: 15) + [0x80]),
        ] as [(String, [UInt8])])
    func listsAreBits(list: String, bits: [UInt8]) {
        #expect(UnitProperties.bits(list) == bits)
    }

    @Test(arguments: ["", " ", ",", "a", "1-", "-1", "3-1", "1-2-3", "99999999999"])
    func badListsAreNone(list: String) {
        #expect(UnitProperties.bits(list) == nil)
    }

    // MARK: - Devices

    private static func devices(_ json: JSON, unified: Bool) throws -> [SystemdManager.Property] {
        let resources = try LinuxResources(json: ["devices": json])
        return try DeviceRules(resources.devices).properties(isUnified: unified)
    }

    @Test(arguments: [true, false])
    func devicesAreAllowed(unified: Bool) throws {
        let properties = try Self.devices(
            [
                ["allow": false, "access": "rwm"],
                ["allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"],
                ["allow": true, "type": "b", "major": 8, "access": "r"],
            ], unified: unified)
        #expect(properties.map(\.name) == ["DeviceAllow", "DevicePolicy", "DeviceAllow"])
        #expect(properties[0].value == .array(of: "(ss)", []))
        #expect(properties[1].value == .string("strict"))
        guard case .array("(ss)", let allowed) = properties[2].value else { return #expect(Bool(false)) }
        for (path, access) in [
            ("/dev/char/10:229", "rw"), ("block-8", "r"), ("/dev/char/1:3", "rwm"), ("char-136", "rwm"),
            ("char-*", "m"), ("block-*", "m"),
        ] {
            #expect(allowed.contains(.structure([.string(path), .string(access)])), "\(path)")
        }
    }

    @Test func whatCannotBeSaidIsLeftToOurRules() throws {
        let everything: JSON = [["allow": true]]
        let denying: JSON = [["allow": true], ["allow": false, "type": "c", "major": 10, "minor": 229]]
        let anyMajor: JSON = [["allow": false], ["allow": true, "type": "c", "minor": 5]]
        let open: [SystemdManager.Property] = [
            .init("DeviceAllow", .array(of: "(ss)", [])), .init("DevicePolicy", .string("auto")),
        ]
        let closed: [SystemdManager.Property] = [
            .init("DeviceAllow", .array(of: "(ss)", [])), .init("DevicePolicy", .string("strict")),
        ]
        #expect(try Self.devices(everything, unified: true) == open)
        #expect(try Self.devices(everything, unified: false) == open)
        #expect(try Self.devices(denying, unified: true) == open)
        #expect(try Self.devices(denying, unified: false) == closed)
        #expect(try Self.devices(anyMajor, unified: true) == open)
        #expect(try Self.devices(anyMajor, unified: false)[1] == closed[1])
    }

    // MARK: - Annotations

    @Test func annotationsAreProperties() throws {
        let properties = try SystemdManager.Property.all(in: [
            "org.systemd.property.TimeoutStopUSec": "uint64 123456789",
            "org.systemd.property.CollectMode": "'inactive-or-failed'",
            "org.systemd.property.After": "['a.service', 'b.service']",
            "org.systemd.property.JobRunningTimeoutSec": "1.5",
            "org.systemd.property.RuntimeMaxSec": "uint16 3",
            "org.systemd.property.DefaultDependencies": "true", "other": "'x'",
        ])
        #expect(
            properties == [
                .init("After", .array(of: "s", [.string("a.service"), .string("b.service")])),
                .init("CollectMode", .string("inactive-or-failed")),
                .init("DefaultDependencies", .boolean(true)),
                .init("JobRunningTimeoutUSec", .uint64(1_500_000)),
                .init("RuntimeMaxUSec", .uint64(3_000_000)),
                .init("TimeoutStopUSec", .uint64(123_456_789)),
            ])
    }

    @Test(arguments: [
        ("Ab", "true"), ("A-b", "true"), ("TimeoutÄ", "true"), ("", "true"), ("Description", "no text"),
        ("Description", ""), ("TimeoutStopSec", "'1'"), ("TimeoutStopSec", "-1"), ("TimeoutStopSec", "-1.5"),
        ("TimeoutStopSec", "1e300"),
    ])
    func badAnnotationsAreRefused(name: String, text: String) {
        let error = #expect(throws: CgroupError.self) {
            try SystemdManager.Property.all(in: ["org.systemd.property.\(name)": text])
        }
        #expect(error?.message.contains("org.systemd.property.\(name)") ?? false)
    }
}
