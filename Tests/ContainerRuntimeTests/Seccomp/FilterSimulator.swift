import OCISpec
import Testing

@testable import ContainerRuntime

/// `struct seccomp_data` (linux/seccomp.h).
struct Call: CustomStringConvertible {
    var architecture: UInt32
    var number: UInt32
    var arguments: [UInt64] = [0, 0, 0, 0, 0, 0]

    func word(at offset: UInt32) -> UInt32? {
        switch offset {
        case 0: return number
        case 4: return architecture
        case 8, 12: return 0
        case 16..<64 where offset % 4 == 0:
            let argument = arguments[Int(offset - 16) / 8]
            return UInt32(truncatingIfNeeded: offset % 8 == 0 ? argument : argument >> 32)
        default: return nil
        }
    }

    var description: String {
        "call \(String(number, radix: 16)) of \(String(architecture, radix: 16)) with \(arguments.map { String($0, radix: 16) })"
    }
}

/// Runs filters as the kernel does, and checks what the kernel checks when one is
/// loaded (net/core/filter.c, kernel/seccomp.c).
struct FilterSimulator {
    let program: [BPFInstruction]

    init(_ program: [BPFInstruction]) throws {
        try #require(!program.isEmpty && program.count <= 4096)
        for (position, instruction) in program.enumerated() {
            switch instruction.code {
            case BPFCode.load: try #require(Call(architecture: 0, number: 0).word(at: instruction.k) != nil)
            case BPFCode.and: break
            case BPFCode.jump: try #require(position + 1 + Int(instruction.k) < program.count)
            case BPFCode.jumpEqual, BPFCode.jumpGreater, BPFCode.jumpGreaterOrEqual:
                try #require(position + 1 + Int(max(instruction.jt, instruction.jf)) < program.count)
            case BPFCode.return: break
            default: Issue.record("unknown instruction \(instruction)")
            }
        }
        try #require(program.last?.code == BPFCode.return)
        self.program = program
    }

    func run(_ call: Call) -> (answer: UInt32, steps: Int) {
        var accumulator: UInt32 = 0
        var position = 0
        var steps = 0
        while true {
            let instruction = program[position]
            position += 1
            steps += 1
            func branch(_ condition: Bool) { position += Int(condition ? instruction.jt : instruction.jf) }
            switch instruction.code {
            case BPFCode.load: accumulator = call.word(at: instruction.k)!
            case BPFCode.and: accumulator &= instruction.k
            case BPFCode.jump: position += Int(instruction.k)
            case BPFCode.jumpEqual: branch(accumulator == instruction.k)
            case BPFCode.jumpGreater: branch(accumulator > instruction.k)
            case BPFCode.jumpGreaterOrEqual: branch(accumulator >= instruction.k)
            default: return (instruction.k, steps)
            }
        }
    }
}

/// What a profile says of a call, read rule by rule: slow, and written apart from
/// the compiler.
struct NaiveProfile {
    let profile: Seccomp
    let machine: SyscallMachine
    let abis: [SyscallABI]
    /// By ABI: the newest call that the profile names.
    private var newest: [SyscallABI: UInt32] = [:]
    private var newestPrivate: UInt32?
    /// Names of numbers.
    private var names: [SyscallABI: [UInt32: [String]]] = [:]
    private let fallback: UInt32
    /// Without those whose action is the default anyway.
    private var rulesByName: [String: [Seccomp.Syscall]] = [:]

    init(_ profile: Seccomp, _ machine: SyscallMachine) {
        self.profile = profile
        self.machine = machine
        let asked = profile.architectures
        switch machine {
        case .x86_64:
            abis =
                [.x86_64] + (asked.contains("SCMP_ARCH_X32") ? [.x32] : [])
                + (asked.contains("SCMP_ARCH_X86") ? [.i386] : [])
        case .arm64: abis = [.arm64] + (asked.contains("SCMP_ARCH_ARM") ? [.arm] : [])
        }
        fallback = Self.answer(profile.defaultAction, profile.defaultErrnoRet)
        for rule in profile.syscalls where Self.answer(rule.action, rule.errnoRet) != fallback {
            for name in Set(rule.names) { rulesByName[name, default: []].append(rule) }
        }
        let mentioned = Set(profile.syscalls.flatMap(\.names))
        for line in SyscallTable.rows {
            let fields = line.split(separator: " ").map(String.init)
            for abi in abis {
                guard let number = UInt32(fields[1 + abi.rawValue]) else { continue }
                names[abi, default: [:]][number, default: []].append(fields[0])
                guard mentioned.contains(fields[0]) else { continue }
                if number >= 0xF0000 {
                    newestPrivate = max(newestPrivate ?? 0, number)
                } else {
                    newest[abi] = max(newest[abi] ?? 0, number)
                }
            }
        }
    }

    static func answer(_ action: Seccomp.Action, _ errno: UInt32?) -> UInt32 {
        switch action {
        case .kill, .killThread: 0
        case .killProcess: 0x8000_0000
        case .trap: 0x3_0000
        case .errno: 0x5_0000 + (errno ?? 1)
        case .trace: 0x7FF0_0000 + (errno ?? 1)
        case .allow: 0x7FFF_0000
        case .log: 0x7FFC_0000
        case .notify: 0x7FC0_0000
        }
    }

    private func holds(_ argument: Seccomp.Argument, _ call: Call, narrow: Bool) -> Bool {
        let actual = call.arguments[Int(argument.index)]
        let cut: (UInt64) -> UInt64 = { narrow ? $0 & 0xFFFF_FFFF : $0 }
        switch argument.op {
        case .equal: return actual == cut(argument.value)
        case .notEqual: return actual != cut(argument.value)
        case .less: return actual < cut(argument.value)
        case .lessOrEqual: return actual <= cut(argument.value)
        case .greater: return actual > cut(argument.value)
        case .greaterOrEqual: return actual >= cut(argument.value)
        case .maskedEqual: return actual & cut(argument.value) == cut(argument.valueTwo ?? 0)
        }
    }

    private func verdict(_ name: String, _ call: Call, narrow: Bool) -> UInt32? {
        let rules = rulesByName[name] ?? []
        if let plain = rules.first(where: \.args.isEmpty) { return Self.answer(plain.action, plain.errnoRet) }
        for rule in rules {
            let twice = Set(rule.args.map(\.index)).count < rule.args.count
            let match =
                twice
                ? rule.args.contains { holds($0, call, narrow: narrow) }
                : rule.args.allSatisfy { holds($0, call, narrow: narrow) }
            if match { return Self.answer(rule.action, rule.errnoRet) }
        }
        if narrow, let other = multiplexed(call, name) { return other }
        // A decided call whose conditions do not hold.
        return rules.isEmpty ? nil : fallback
    }

    func evaluate(_ call: Call) -> UInt32 {
        var abi: SyscallABI
        switch call.architecture {
        case 0xC000_003E where machine == .x86_64:
            abi = call.number >= 0x4000_0000 ? .x32 : .x86_64
            if abi == .x32, !abis.contains(.x32) {
                if call.number != 0xFFFF_FFFF { return 0 }
                return fallback
            }
        case 0x4000_0003 where machine == .x86_64: abi = .i386
        case 0xC000_00B7 where machine == .arm64: abi = .arm64
        case 0x4000_0028 where machine == .arm64: abi = .arm
        default: return 0
        }
        guard abis.contains(abi) else { return 0 }
        let number = abi == .x32 ? call.number - 0x4000_0000 : call.number
        let narrow = abi == .i386 || abi == .arm
        for name in names[abi]?[number] ?? [] {
            if let verdict = verdict(name, call, narrow: narrow) { return verdict }
        }
        let permissive = [.allow, .log, .trace].contains(profile.defaultAction)
        guard !permissive, let last = newest[abi] else { return fallback }
        if abi == .arm, number >= 0xF0000, number < 0xF0010 {
            return number > newestPrivate ?? 0 ? 0x5_0000 + 38 : fallback
        }
        return number > last ? 0x5_0000 + 38 : fallback
    }

    /// socketcall and ipc of i386, as far as the profile itself does not decide about them.
    private func multiplexed(_ call: Call, _ name: String) -> UInt32? {
        guard call.architecture == 0x4000_0003, name == "socketcall" || name == "ipc" else { return nil }
        let sockets = [
            "socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair",
            "send", "recv", "sendto", "recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg",
            "recvmsg", "accept4", "recvmmsg", "sendmmsg",
        ]
        let ipc: [Int: String] = [
            1: "semop", 2: "semget", 3: "semctl", 4: "semtimedop", 11: "msgsnd", 12: "msgrcv", 13: "msgget",
            14: "msgctl", 21: "shmat", 22: "shmdt", 23: "shmget", 24: "shmctl",
        ]
        func plain(_ name: String) -> UInt32? {
            rulesByName[name]?.first { $0.args.isEmpty }.map { Self.answer($0.action, $0.errnoRet) }
        }
        let anyone = (name == "socketcall" ? sockets : Array(ipc.values)).contains { plain($0) != nil }
        guard anyone else { return nil }
        let code = Int(call.arguments[0] & 0xFFFF)
        let behind = name == "socketcall" ? (1...20 ~= code ? sockets[code - 1] : nil) : ipc[code]
        return behind.flatMap(plain) ?? fallback
    }
}

/// Compares the compiled program with the naive reading, for every number that
/// could matter and arguments on both sides of every value compared with.
func expectEquivalent(
    _ profile: Seccomp, _ machine: SyscallMachine, sourceLocation: SourceLocation = #_sourceLocation
)
    throws
{
    var generator = SystemRandomNumberGenerator()
    let filter = try SeccompFilter.compile(profile, for: machine)
    let simulator = try FilterSimulator(filter.program)
    let naive = NaiveProfile(profile, machine)
    let small = Array(UInt32(0)...700)
    let numbers =
        small + small.map { $0 + 0x4000_0000 } + Array(0xEFFFF...0xF0020)
        + [0x3FFF_FFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF]
    let architectures: [UInt32] = [0xC000_003E, 0x4000_0003, 0xC000_00B7, 0x4000_0028, 0, 0x8000_0016]
    // Which calls have conditions, in any ABI.
    var values: [String: [Seccomp.Argument]] = [:]
    for rule in profile.syscalls where !rule.args.isEmpty {
        for name in rule.names { values[name, default: []] += rule.args }
    }
    var interesting: [UInt32: [Seccomp.Argument]] = [:]
    for line in SyscallTable.rows {
        let fields = line.split(separator: " ").map(String.init)
        guard let arguments = values[fields[0]] else { continue }
        for (abi, field) in zip(SyscallABI.allCases, fields.dropFirst()) {
            if let number = UInt32(field) { interesting[number + abi.base, default: []] += arguments }
        }
    }
    let multiplexerCodes = (0...26).map { UInt64($0) }

    var mismatches = 0
    func compare(_ call: Call) {
        let expected = naive.evaluate(call)
        let (actual, _) = simulator.run(call)
        if expected != actual, mismatches < 5 {
            mismatches += 1
            Issue.record(
                "\(call): expected \(String(expected, radix: 16)), got \(String(actual, radix: 16))",
                sourceLocation: sourceLocation)
        }
    }
    for architecture in architectures {
        let narrow = architecture == 0x4000_0003 || architecture == 0x4000_0028
        for number in numbers {
            var call = Call(architecture: architecture, number: number)
            compare(call)
            for argument in interesting[number] ?? [] {
                for base in [argument.value, argument.valueTwo ?? 0] {
                    let bit = UInt64(1) << UInt64.random(in: 0...63, using: &generator)
                    let upper = UInt64(1) << 32
                    var candidates: [UInt64] = [base, base &+ 1, base &- 1, ~base, base ^ upper, base ^ bit]
                    candidates.append(base | UInt64(1) << 63)
                    candidates.append(base & 0xFFFF_FFFF)
                    candidates.append(UInt64.random(in: 0...UInt64.max, using: &generator))
                    for candidate in candidates {
                        call.arguments[Int(argument.index)] = narrow ? candidate & 0xFFFF_FFFF : candidate
                        compare(call)
                    }
                }
            }
            if architecture == 0x4000_0003, number == 102 || number == 117 {
                for code in multiplexerCodes {
                    call.arguments[0] = code
                    compare(call)
                    if number == 117 {
                        call.arguments[0] = code | 1 << 16
                        compare(call)
                    }
                }
            }
        }
    }
}
