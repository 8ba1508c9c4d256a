import JSONText
import LinuxSystem
import OCISpec
import Testing

@testable import ContainerRuntime

@Suite struct SeccompFilterTests {
    private static let allX86 = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    private static let allArm = ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]

    private func rule(
        _ names: [String], _ action: Seccomp.Action, errno: UInt32? = nil, _ args: Seccomp.Argument...
    ) -> Seccomp.Syscall {
        Seccomp.Syscall(names: names, action: action, errnoRet: errno, args: args)
    }

    @Test(arguments: [
        Set<String>(), ["CAP_SYS_ADMIN"], ["CAP_SYS_PTRACE", "CAP_BPF"],
        ["CAP_AUDIT_WRITE", "CAP_SYS_CHROOT"],
    ])
    func defaultProfile(capabilities: Set<String>) throws {
        for machine in [SyscallMachine.x86_64, .arm64] {
            var profile = Seccomp.defaultProfile(capabilities: capabilities, machine: machine)
            try expectEquivalent(profile, machine)
            profile.architectures = []
            try expectEquivalent(profile, machine)
        }
    }

    @Test func defaultProfileIsSmallAndShallow() throws {
        let filter = try SeccompFilter.compile(.defaultProfile(capabilities: []), for: .x86_64)
        #expect(filter.program.count < 600)
        let simulator = try FilterSimulator(filter.program)
        // A call without conditions: two loads, the architecture, a tree over less
        // than 256 ranges, the return, and few long jumps.
        var worst = 0
        for number in UInt32(0)..<500 where number != 41 && number != 56 && number != 135 {
            worst = max(worst, simulator.run(Call(architecture: 0xC000_003E, number: number)).steps)
        }
        #expect(worst <= 16)
    }

    @Test(arguments: [
        Seccomp.Action.errno, .allow, .killProcess, .killThread, .kill, .trap, .trace, .log,
    ])
    func everyActionAsDefault(action: Seccomp.Action) throws {
        for machine in [SyscallMachine.x86_64, .arm64] {
            var profile = Seccomp(defaultAction: action)
            profile.architectures = Self.allX86 + Self.allArm
            try expectEquivalent(profile, machine)
            profile.syscalls = [
                rule(["read", "openat2", "cacheflush", "futex_time64"], .allow),
                rule(["write", "close"], .errno, errno: 77),
                rule(["kill", "futex_time64"], .killProcess), rule(["getpid"], .trap), rule(["mount"], .log),
                rule(["ptrace"], .trace, errno: 9), rule(["no_such_call", ""], .allow),
            ]
            try expectEquivalent(profile, machine)
        }
    }

    @Test func everyComparison() throws {
        let operators: [Seccomp.Comparison] = [
            .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .maskedEqual,
        ]
        let values: [UInt64] = [
            0, 1, 40, 0xFFFF_FFFF, 0x1_0000_0000, 0x1_0000_0001, 0x8000_0000_0000_0000, .max, .max - 1,
            0x7FFF_FFFF_8000_0000,
        ]
        for op in operators {
            var profile = Seccomp(defaultAction: .errno)
            profile.architectures = Self.allX86
            for (value, name) in zip(
                values, ["read", "write", "open", "close", "stat", "fstat", "lseek", "mmap", "poll", "ioctl"])
            {
                for second in op == .maskedEqual ? values : [0] {
                    profile.syscalls.append(
                        rule(
                            [name], .allow,
                            Seccomp.Argument(
                                index: UInt32(value % 6), value: value, valueTwo: second & value, op: op)))
                }
            }
            try expectEquivalent(profile, .x86_64)
        }
    }

    @Test func conditionsCombine() throws {
        var profile = Seccomp(defaultAction: .killProcess)
        profile.architectures = Self.allX86
        let first = Seccomp.Argument(index: 0, value: 5, op: .greater)
        let second = Seccomp.Argument(index: 1, value: 7, op: .equal)
        let again = Seccomp.Argument(index: 0, value: 2, op: .less)
        profile.syscalls = [
            rule(["read", "write"], .allow, first, second),
            // The same argument twice: either.
            rule(["open"], .allow, first, again),
            // Without conditions wins, wherever it stands.
            rule(["close", "stat"], .errno, errno: 5, first), rule(["close"], .allow), rule(["close"], .trap),
            // The first that holds wins.
            rule(["fstat"], .errno, errno: 6, first), rule(["fstat", "write"], .allow, second),
            rule(["fstat"], .log, first),
        ]
        try expectEquivalent(profile, .x86_64)
    }

    @Test func socketcallFollowsTheCallsBehindIt() throws {
        var profile = Seccomp(defaultAction: .allow)
        profile.architectures = Self.allX86
        profile.syscalls = [rule(["bind", "accept4"], .errno, errno: 13), rule(["shmget"], .killProcess)]
        try expectEquivalent(profile, .x86_64)
        profile.syscalls.append(rule(["socketcall"], .trap))
        try expectEquivalent(profile, .x86_64)
        profile.defaultAction = .errno
        profile.syscalls = [rule(["bind", "semop"], .allow)]
        try expectEquivalent(profile, .x86_64)
    }

    @Test(arguments: 0..<12) func randomProfiles(round: Int) throws {
        let names = SyscallTable.rows.map { String($0.prefix { $0 != " " }) }
        let actions: [Seccomp.Action] = [.errno, .allow, .killProcess, .killThread, .trap, .trace, .log]
        var profile = Seccomp(defaultAction: actions.randomElement()!)
        let machine: SyscallMachine = round % 3 == 2 ? .arm64 : .x86_64
        profile.architectures = (Self.allX86 + Self.allArm).filter { _ in Bool.random() }
        let operators: [Seccomp.Comparison] = [
            .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .maskedEqual,
        ]
        for _ in 0..<Int.random(in: 0...60) {
            let action = actions.randomElement()!
            var new = rule(
                (0..<Int.random(in: 1...[1, 5, 40].randomElement()!)).map { _ in names.randomElement()! },
                action,
                errno: action == .errno || action == .trace ? .random(in: 0...200) : nil)
            if Bool.random() {
                new.args = (0..<Int.random(in: 1...3)).map { _ in
                    let bits = [UInt64(0x3F), 0xFFFF_FFFF, .max].randomElement()!
                    return Seccomp.Argument(
                        index: .random(in: 0...5), value: .random(in: 0...(.max)) & bits,
                        valueTwo: .random(in: 0...(.max)) & bits, op: operators.randomElement()!)
                }
            }
            profile.syscalls.append(new)
        }
        try expectEquivalent(profile, machine)
    }

    /// Blocks of conditions between the tree and its returns make jumps of more
    /// than 255 instructions.
    @Test func longJumps() throws {
        let names = SyscallTable.rows.map { String($0.prefix { $0 != " " }) }
        var profile = Seccomp(defaultAction: .errno)
        profile.architectures = Self.allX86
        for (position, name) in names.enumerated() where position % 2 == 0 {
            profile.syscalls.append(
                rule(
                    [name], .allow,
                    Seccomp.Argument(index: UInt32(position % 6), value: UInt64(position) << 20, op: .greater)
                ))
        }
        let filter = try SeccompFilter.compile(profile, for: .x86_64)
        #expect(filter.program.count > 1000)
        #expect(filter.program.contains { $0.code == BPFCode.jump && $0.k > 255 })
        try expectEquivalent(profile, .x86_64)
    }

    @Test func refusals() throws {
        func compile(_ change: (inout Seccomp) -> Void) throws {
            var profile = Seccomp(defaultAction: .errno)
            change(&profile)
            _ = try SeccompFilter.compile(profile)
        }
        #expect(throws: SeccompError.unknownArchitecture("SCMP_ARCH_Z80")) {
            try compile { $0.architectures = ["SCMP_ARCH_Z80"] }
        }
        #expect(throws: SeccompError.unknownFlag("FLAG")) { try compile { $0.flags = ["FLAG"] } }
        #expect(throws: SeccompError.notifyAsDefault) { try compile { $0.defaultAction = .notify } }
        #expect(throws: SeccompError.notifyOn("write")) {
            try compile { $0.syscalls = [rule(["read", "write"], .notify)] }
        }
        #expect(throws: SeccompError.notifyWithoutListener) {
            try compile { $0.syscalls = [rule(["mkdir"], .notify)] }
        }
        #expect(throws: SeccompError.badErrno(3, action: "SCMP_ACT_ALLOW")) {
            try compile { $0.syscalls = [rule(["read"], .allow, errno: 3)] }
        }
        #expect(throws: SeccompError.argumentIndex(6, syscall: "read")) {
            try compile {
                $0.syscalls = [rule(["read"], .allow, Seccomp.Argument(index: 6, value: 0, op: .equal))]
            }
        }
        #expect(throws: SeccompError.self) {
            try compile { profile in
                for value in UInt64(0)..<3000 {
                    profile.syscalls.append(
                        rule(["read"], .allow, Seccomp.Argument(index: 0, value: value, op: .equal)))
                }
            }
        }
    }

    @Test func flags() throws {
        func flags(_ names: [String]?, notify: Bool = false) throws -> UInt32 {
            var profile = Seccomp(defaultAction: .allow)
            profile.flags = names
            profile.listenerPath = "/run/listener"
            if notify { profile.syscalls = [rule(["mkdir"], .notify)] }
            return try SeccompFilter.compile(profile).flags
        }
        #expect(try flags(nil) == 4)
        #expect(try flags([]) == 0)
        #expect(try flags(["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"]) == 2)
        #expect(try flags(["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]) == 4)
        #expect(try flags(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]) == 0)
        #expect(try flags(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"], notify: true) == 8 + 32)
    }

    @Test func foreignArchitecturesAreNoError() throws {
        var profile = Seccomp(defaultAction: .errno)
        profile.architectures = ["SCMP_ARCH_S390X", "SCMP_ARCH_MIPS", "SCMP_ARCH_NATIVE"]
        try expectEquivalent(profile, .x86_64)
    }
}
