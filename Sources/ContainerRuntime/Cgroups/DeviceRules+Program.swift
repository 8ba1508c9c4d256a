internal import LinuxSystem

extension DeviceRules {
    private enum Register {
        static let result: UInt8 = 0
        static let context: UInt8 = 1
        static let kind: UInt8 = 2
        /// The accesses asked for that no rule has allowed yet.
        static let access: UInt8 = 3
        static let major: UInt8 = 4
        static let minor: UInt8 = 5
    }

    private enum Code {
        static let loadWord: UInt8 = 0x61
        static let move: UInt8 = 0xB7
        static let moveRegister: UInt8 = 0xBF
        static let and: UInt8 = 0x54
        static let shiftRight: UInt8 = 0x74
        static let jumpIfEqual: UInt8 = 0x15
        static let jumpIfNotEqual: UInt8 = 0x55
        static let jumpIfAnySet: UInt8 = 0x45
        static let exit: UInt8 = 0x95
    }

    /// Jumps have 16 bits, and a rule has at most five instructions.
    private static let ruleLimit = 4096

    /// The rules as a program for BPF_PROG_TYPE_CGROUP_DEVICE: called with a
    /// `struct bpf_cgroup_dev_ctx` for each open and mknod, it answers 1 or 0.
    /// It goes from the last rule to the first, since the last decides, and strikes
    /// off what each allows.
    func program() throws(CgroupError) -> [ExtendedBPFInstruction] {
        typealias Instruction = ExtendedBPFInstruction
        guard rules.count <= Self.ruleLimit else {
            throw CgroupError(.invalid, "\(rules.count) device rules are more than \(Self.ruleLimit)")
        }
        var program = [
            // access_type: the access in the upper half, the kind in the lower.
            Instruction(Code.loadWord, Register.kind, Register.context, offset: 0),
            Instruction(Code.moveRegister, Register.access, Register.kind),
            Instruction(Code.shiftRight, Register.access, immediate: 16),
            Instruction(Code.and, Register.kind, immediate: 0xFFFF),
            Instruction(Code.loadWord, Register.major, Register.context, offset: 4),
            Instruction(Code.loadWord, Register.minor, Register.context, offset: 8),
        ]
        // Positions of jumps whose way is known only at the end.
        var allowing: [Int] = []
        var denying: [Int] = []
        for rule in rules.reversed() {
            var guards = [(Register.kind, rule.devices.kind.rawValue)]
            if let major = rule.devices.major {
                guards.append((Register.major, Int32(truncatingIfNeeded: major)))
            }
            if let minor = rule.devices.minor {
                guards.append((Register.minor, Int32(truncatingIfNeeded: minor)))
            }
            let body = rule.allow ? 2 : 1
            for (position, (register, value)) in guards.enumerated() {
                let skip = guards.count - position - 1 + body
                program.append(
                    Instruction(Code.jumpIfNotEqual, register, offset: Int16(skip), immediate: value))
            }
            if rule.allow {
                program.append(Instruction(Code.and, Register.access, immediate: ~rule.access.rawValue))
                allowing.append(program.count)
                program.append(Instruction(Code.jumpIfEqual, Register.access, immediate: 0))
            } else {
                denying.append(program.count)
                program.append(
                    Instruction(Code.jumpIfAnySet, Register.access, immediate: rule.access.rawValue))
            }
        }
        // The verifier refuses instructions that nothing leads to, so the answer that
        // is not the default stands there only when it is given.
        for answer in [allowsByDefault, !allowsByDefault] {
            let jumps = answer ? allowing : denying
            if answer != allowsByDefault, jumps.isEmpty { continue }
            for jump in jumps { program[jump].offset = Int16(program.count - jump - 1) }
            program.append(Instruction(Code.move, Register.result, immediate: answer ? 1 : 0))
            program.append(Instruction(Code.exit))
        }
        return program
    }

    /// Puts the rules in force on a v2 group, in place of those that are.
    func attach(to group: CgroupDirectory) throws(CgroupError) {
        let program = try program()
        do throws(SystemError) {
            let directory = try File.open(".", at: group.raw, O_RDONLY | O_DIRECTORY)
            let type = ExtendedBPF.deviceAttachment
            let loaded = try ExtendedBPF.load(program, type: ExtendedBPF.deviceProgram)
            let old = group.isNew ? [] : try ExtendedBPF.attached(to: directory.raw, type: type)
            if old.count == 1 {
                let previous = try ExtendedBPF.program(old[0])
                return try ExtendedBPF.attach(
                    loaded.raw, to: directory.raw, type: type, replacing: previous.raw)
            }
            // All programs must agree to an access, so the old ones go after the new
            // one is there: for an instant too little is allowed, and never too much.
            try ExtendedBPF.attach(loaded.raw, to: directory.raw, type: type)
            for identifier in old {
                let previous = try ExtendedBPF.program(identifier)
                try ExtendedBPF.detach(previous.raw, from: directory.raw, type: type)
            }
        } catch {
            throw CgroupError(error, "set the device rules of cgroup \(group.path)")
        }
    }
}
