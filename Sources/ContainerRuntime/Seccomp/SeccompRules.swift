internal import LinuxSystem
internal import OCISpec

/// A profile's rules, resolved to what is decided about each system call.
struct SeccompRules {
    /// What is decided about a call.
    enum Verdict: Equatable {
        case answer(UInt32)
        /// The first clause that holds answers; without one the default does.
        case clauses([Clause])
    }

    struct Clause: Equatable {
        /// All must hold.
        var conditions: [Seccomp.Argument]
        var answer: UInt32
    }

    /// The verdict that stands for no rule: the default action.
    static let unspoken: UInt16 = 0

    private(set) var verdicts: [Verdict]
    /// By row of `SyscallTable`: an index into `verdicts`.
    private(set) var byRow: [UInt16]
    /// By row: whether any rule names the call, be it void.
    private(set) var isNamed: [Bool]
    let defaultAnswer: UInt32
    /// Whether calls newer than the profile fail with ENOSYS.
    let newCallsAreMissing: Bool
    private(set) var notifies = false

    /// More would not fit into the 4,096 instructions of a program.
    private static let clauseLimit = 2048

    init(_ profile: Seccomp, for machine: SyscallMachine) throws(SeccompError) {
        defaultAnswer = try Self.answer(profile.defaultAction, profile.defaultErrnoRet)
        if profile.defaultAction == .notify { throw .notifyAsDefault }
        verdicts = [.answer(defaultAnswer)]
        byRow = [UInt16](repeating: Self.unspoken, count: SyscallTable.rows.count)
        isNamed = [Bool](repeating: false, count: SyscallTable.rows.count)
        switch profile.defaultAction {
        case .allow, .log, .trace: newCallsAreMissing = false
        default: newCallsAreMissing = defaultAnswer != SeccompReturn.errno | UInt32(ENOSYS)
        }
        for rule in profile.syscalls { try add(rule) }
    }

    private mutating func add(_ rule: Seccomp.Syscall) throws(SeccompError) {
        let answer = try Self.answer(rule.action, rule.errnoRet)
        if rule.action == .notify {
            notifies = true
            for name in ["write", "sendmsg"] where rule.names.contains(name) { throw .notifyOn(name) }
        }
        let isVoid = answer == defaultAnswer
        let clauses = isVoid ? [] : try Self.clauses(rule, answer)
        var shared: UInt16?
        var row = -1
        for name in rule.names {
            guard let found = SyscallTable.row(name, hint: row + 1) else { continue }
            row = found
            isNamed[row] = true
            if isVoid { continue }
            let previous = verdicts[Int(byRow[row])]
            switch previous {
            case .answer where byRow[row] != Self.unspoken:
                continue
            case .clauses(let earlier) where !clauses.isEmpty:
                byRow[row] = try append(.clauses(earlier + clauses))
            default:
                if shared == nil {
                    shared = try append(clauses.isEmpty ? .answer(answer) : .clauses(clauses))
                }
                byRow[row] = shared!
            }
        }
    }

    private mutating func append(_ verdict: Verdict) throws(SeccompError) -> UInt16 {
        if case .answer = verdict, let same = verdicts.dropFirst().firstIndex(of: verdict) {
            return UInt16(same)
        }
        if case .clauses(let clauses) = verdict, clauses.count > Self.clauseLimit {
            throw .tooLarge(instructions: clauses.count * 2)
        }
        guard verdicts.count < UInt16.max else { throw .tooLarge(instructions: verdicts.count) }
        verdicts.append(verdict)
        return UInt16(verdicts.count - 1)
    }

    private static func clauses(_ rule: Seccomp.Syscall, _ answer: UInt32) throws(SeccompError) -> [Clause] {
        if rule.args.isEmpty { return [] }
        var seen = 0
        var repeats = false
        for argument in rule.args {
            guard argument.index < 6 else {
                throw .argumentIndex(argument.index, syscall: rule.names.first ?? "a rule")
            }
            repeats = repeats || seen & 1 << argument.index != 0
            seen |= 1 << argument.index
        }
        if !repeats { return [Clause(conditions: rule.args, answer: answer)] }
        return rule.args.map { Clause(conditions: [$0], answer: answer) }
    }

    private static func answer(_ action: Seccomp.Action, _ errno: UInt32?) throws(SeccompError) -> UInt32 {
        if let errno {
            // "When the action doesn't support an errno, the runtime MUST print an
            // error and fail" (config-linux.md, seccomp).
            guard errno <= 0xFFFF, action == .errno || action == .trace else {
                throw .badErrno(errno, action: action.rawValue)
            }
        }
        switch action {
        case .kill, .killThread: return SeccompReturn.killThread
        case .killProcess: return SeccompReturn.killProcess
        case .trap: return SeccompReturn.trap
        case .errno: return SeccompReturn.errno | (errno ?? UInt32(EPERM))
        case .trace: return SeccompReturn.trace | (errno ?? UInt32(EPERM))
        case .allow: return SeccompReturn.allow
        case .log: return SeccompReturn.log
        case .notify: return SeccompReturn.notify
        }
    }
}

// i386 reaches sockets and System V IPC in two ways: by calls of their own, and
// by socketcall(2) and ipc(2), whose first argument says which. A profile that
// speaks of `bind` means both. Conditions cannot be carried over: the arguments
// stand behind a pointer.
extension SeccompRules {
    /// The verdict about one of the two multiplexers, given by the calls behind it.
    mutating func spreadToMultiplexers() throws(SeccompError) {
        for (multiplexer, calls) in [("socketcall", Self.socketCalls), ("ipc", Self.ipcCalls)] {
            guard let row = SyscallTable.row(multiplexer) else { continue }
            var clauses: [Clause] = []
            switch verdicts[Int(byRow[row])] {
            case .answer where byRow[row] != Self.unspoken: continue
            case .answer: break
            case .clauses(let own): clauses = own
            }
            let own = clauses.count
            for (name, code) in calls {
                guard let call = SyscallTable.row(name), byRow[call] != Self.unspoken,
                    case .answer(let answer) = verdicts[Int(byRow[call])]
                else { continue }
                // ipc(2) keeps a version in the upper 16 bits.
                let condition = Seccomp.Argument(index: 0, value: 0xFFFF, valueTwo: code, op: .maskedEqual)
                clauses.append(Clause(conditions: [condition], answer: answer))
            }
            if clauses.count > own { byRow[row] = try append(.clauses(clauses)) }
        }
    }

    private static let socketCalls: [(String, UInt64)] = [
        ("socket", 1), ("bind", 2), ("connect", 3), ("listen", 4), ("accept", 5), ("getsockname", 6),
        ("getpeername", 7), ("socketpair", 8), ("send", 9), ("recv", 10), ("sendto", 11),
        ("recvfrom", 12), ("shutdown", 13), ("setsockopt", 14), ("getsockopt", 15), ("sendmsg", 16),
        ("recvmsg", 17), ("accept4", 18), ("recvmmsg", 19), ("sendmmsg", 20),
    ]

    private static let ipcCalls: [(String, UInt64)] = [
        ("semop", 1), ("semget", 2), ("semctl", 3), ("semtimedop", 4), ("msgsnd", 11), ("msgrcv", 12),
        ("msgget", 13), ("msgctl", 14), ("shmat", 21), ("shmdt", 22), ("shmget", 23), ("shmctl", 24),
    ]
}
