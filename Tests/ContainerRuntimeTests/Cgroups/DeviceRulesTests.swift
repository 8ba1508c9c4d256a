import LinuxSystem
import OCISpec
import Testing

@testable import ContainerRuntime

@Suite(.serialized) struct DeviceRulesTests {
    private typealias Rule = LinuxResources.DeviceRule

    private static let denyAll = LinuxResources.DeviceRule(allow: false, access: "rwm")
    private static let allowAll = LinuxResources.DeviceRule(allow: true, type: "a", access: "rwm")

    /// Runs a device program as the kernel does.
    private func run(
        _ program: [ExtendedBPFInstruction], _ kind: Int32, _ major: Int64, _ minor: Int64, _ access: Int32
    ) throws
        -> Bool
    {
        var registers = [UInt64](repeating: 0, count: 11)
        let context = [
            0: UInt64(UInt32(bitPattern: access << 16 | kind)), 4: UInt64(major), 8: UInt64(minor),
        ]
        var position = 0
        while position < program.count {
            let instruction = program[position]
            let destination = Int(instruction.registers & 15)
            let source = Int(instruction.registers >> 4)
            let immediate = UInt64(bitPattern: Int64(instruction.immediate))
            position += 1
            func jump(_ condition: Bool) { if condition { position += Int(instruction.offset) } }
            switch instruction.code {
            case 0x61: registers[destination] = try #require(context[Int(instruction.offset)])
            case 0xB7: registers[destination] = immediate
            case 0xBF: registers[destination] = registers[source]
            case 0x54: registers[destination] = registers[destination] & immediate & 0xFFFF_FFFF
            case 0x74: registers[destination] = (registers[destination] & 0xFFFF_FFFF) >> immediate
            case 0x15: jump(registers[destination] == immediate)
            case 0x55: jump(registers[destination] != immediate)
            case 0x45: jump(registers[destination] & immediate != 0)
            case 0x95: return registers[0] == 1
            default: Issue.record("unknown instruction \(instruction.code)")
            }
        }
        Issue.record("ran off the end")
        return false
    }

    private func random() -> [LinuxResources.DeviceRule] {
        (0..<Int.random(in: 0...8)).map { _ in
            Rule(
                allow: .random(), type: ["a", "b", "c", nil].randomElement()!,
                major: [nil, -1, 1, 5, 8].randomElement()!, minor: [nil, 0, 1, 3].randomElement()!,
                access: ["r", "w", "m", "rw", "rwm", "rm", nil].randomElement()!)
        }
    }

    @Test func programMeansTheRules() throws {
        for round in 0..<300 {
            let rules = try DeviceRules(random())
            let program = try rules.program()
            for kind in [DeviceRules.Kind.block, .character] {
                for major in [Int64(0), 1, 5, 8, 10, 136, 259] {
                    for minor in [Int64(0), 1, 3, 200] {
                        for access in Int32(1)...7 {
                            let expected = rules.allows(kind, major, minor, .init(rawValue: access))
                            let actual = try run(program, kind.rawValue, major, minor, access)
                            if expected != actual {
                                Issue.record("\(rules) \(kind) \(major):\(minor) \(access)")
                            }
                        }
                    }
                }
            }
            // The kernel's verifier agrees that it is a program.
            if round < 60 { _ = try ExtendedBPF.load(program, type: ExtendedBPF.deviceProgram) }
        }
    }

    /// v1's exceptions either mean the same or are refused.
    @Test func exceptionsMeanTheRules() throws {
        var expressed = 0
        for _ in 0..<2000 {
            let rules = try DeviceRules(random())
            guard let legacy = try? DeviceExceptions(rules) else { continue }
            expressed += 1
            for kind in [DeviceRules.Kind.block, .character] {
                for major in [Int64(0), 1, 5, 8, 10, 136] {
                    for minor in [Int64(0), 1, 3, 200] {
                        for access in [DeviceRules.Access.make, .read, .write] {
                            let device = DeviceRules.Devices(kind: kind, major: major, minor: minor)
                            let excepted = legacy.exceptions.contains {
                                $0.devices.overlaps(device) && $0.access.contains(access)
                            }
                            let actual = excepted != legacy.allowsByDefault
                            if actual != rules.allows(kind, major, minor, access) {
                                Issue.record("\(rules) \(device.text) \(access.text)")
                            }
                        }
                    }
                }
            }
        }
        #expect(expressed > 200)
    }

    @Test func whateverIsDeniedIsDenied() throws {
        let strange = try DeviceRules([Rule(allow: false, type: "c", major: 1, minor: 11, access: "rwa")])
        let plain = try DeviceRules([Rule(allow: false, type: "c", major: 1, minor: 11, access: "rwm")])
        #expect("\(strange)" == "\(plain)")
    }

    @Test func nonsenseIsRefused() {
        for rule in [
            Rule(allow: true, type: "x"), Rule(allow: true, type: "c", access: "rx"),
            Rule(allow: true, type: "c", major: -2), Rule(allow: true, type: "c", minor: 1 << 32),
        ] {
            #expect(throws: CgroupError.self) { try DeviceRules([rule]) }
        }
    }

    /// The errno of opening, as a process in the group sees it; 0 for success.
    private func opening(_ fixture: CgroupFixture, _ cgroup: Cgroup, _ path: String, _ flags: Int32) throws
        -> Int32
    {
        let path = Array(path.utf8CString)
        let child = try fixture.start(in: cgroup) {
            let opened = linux_syscall(
                Int(SYS_openat), Int(AT_FDCWD),
                path.withUnsafeBufferPointer { Int(bitPattern: $0.baseAddress) },
                Int(flags), 0, 0, 0)
            return opened < 0 ? Int32(-opened) : 0
        }
        return fixture.wait(child) >> 8
    }

    @Test(arguments: CgroupView.allCases) func rulesAreInForce(view: CgroupView) throws {
        try view.run {
            let fixture = CgroupFixture()
            // No rules at all are a container's defaults.
            let plain = try fixture.create("-plain")
            #expect(try opening(fixture, plain, "/dev/null", O_RDWR) == 0)
            #expect(try opening(fixture, plain, "/dev/urandom", O_RDONLY) == 0)
            #expect(try opening(fixture, plain, "/dev/kmsg", O_RDONLY) == EPERM)

            let some = try fixture.create("-some") { resources in
                resources.devices = [
                    Self.denyAll, Rule(allow: true, type: "c", major: 1, minor: 11, access: "r"),
                ]
            }
            #expect(try opening(fixture, some, "/dev/kmsg", O_RDONLY) == 0)
            #expect(try opening(fixture, some, "/dev/kmsg", O_WRONLY) == EPERM)
            #expect(try opening(fixture, some, "/dev/null", O_RDWR) == 0)

            let all = try fixture.create("-all") { $0.devices = [Self.allowAll] }
            #expect(try opening(fixture, all, "/dev/kmsg", O_RDWR) == 0)

            // Updates, both ways and twice, and what is not spoken of stays.
            for _ in 0..<2 {
                var resources = LinuxResources()
                resources.devices = [Self.denyAll]
                try all.apply(resources)
                #expect(try opening(fixture, all, "/dev/kmsg", O_RDONLY) == EPERM)
                #expect(try opening(fixture, all, "/dev/null", O_RDWR) == 0)
                resources.devices = [
                    Self.denyAll, Rule(allow: true, type: "c", major: 1, minor: 11, access: "rw"),
                ]
                try all.apply(resources)
                #expect(try opening(fixture, all, "/dev/kmsg", O_RDWR) == 0)
                resources.devices = []
                try all.apply(resources)
                #expect(try opening(fixture, all, "/dev/kmsg", O_RDWR) == 0)
                resources.devices = [Self.allowAll]
                try all.apply(resources)
                #expect(try opening(fixture, all, "/dev/kmsg", O_RDWR) == 0)
            }
        }
    }
}
