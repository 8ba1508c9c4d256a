internal import LinuxSystem
internal import OCISpec

/// Writes the program: the architecture picks a tree of comparisons, which finds
/// the range that the call's number is in, by halves; each range has one verdict.
struct SeccompGenerator {
    private var rules: SeccompRules
    private var assembler = BPFAssembler()
    /// Where the clauses of a verdict stand; [verdict * 2 + narrow].
    private var clausePlaces: [Int]

    /// Numbers from `start` up to the next range have the verdict.
    private struct Range {
        var start: UInt32
        var verdict: UInt16
    }

    /// Verdicts beside the profile's.
    private static let missing = UInt16.max
    private static let foreign = UInt16.max - 1

    private static let programLimit = 4096
    // Offsets in struct seccomp_data (linux/seccomp.h).
    private static let numberOffset: UInt32 = 0
    private static let architectureOffset: UInt32 = 4

    init(_ rules: SeccompRules) {
        self.rules = rules
        clausePlaces = []
    }

    mutating func generate(_ abis: [SyscallABI]) throws(SeccompError) -> [BPFInstruction] {
        if abis.contains(.i386) { try rules.spreadToMultiplexers() }
        clausePlaces = [Int](repeating: -1, count: rules.verdicts.count * 2)
        // The table's numbers of every call that the profile decides about.
        var slots = [UInt16](
            repeating: SeccompRules.unspoken, count: SyscallTable.slotCount * SyscallABI.allCases.count)
        var named = [Int](repeating: -1, count: SyscallABI.allCases.count)
        var namedPrivate = named
        for row in rules.isNamed.indices where rules.isNamed[row] || rules.byRow[row] != SeccompRules.unspoken
        {
            let numbers = SyscallTable.slots(ofRow: row)
            for abi in abis {
                let slot = Int(numbers[abi.rawValue])
                if slot < 0 { continue }
                // Two names of one number: the first that a rule decides about counts.
                let index = abi.rawValue * SyscallTable.slotCount + slot
                if slots[index] == SeccompRules.unspoken { slots[index] = rules.byRow[row] }
                if !rules.isNamed[row] { continue }
                if slot < SyscallTable.privateSlot {
                    named[abi.rawValue] = max(named[abi.rawValue], slot)
                } else {
                    namedPrivate[abi.rawValue] = max(namedPrivate[abi.rawValue], slot)
                }
            }
        }

        // The last section is written first, and the native one stands nearest to
        // the program's start.
        var other: BPFAssembler.Target = .answer(SeccompReturn.killThread)
        for native in abis.reversed() where native != .x32 {
            var ranges: [Range] = []
            for abi in abis where abi.auditArchitecture == native.auditArchitecture {
                let part = slots[(abi.rawValue * SyscallTable.slotCount)...].prefix(SyscallTable.slotCount)
                append(
                    part, of: abi, named: named[abi.rawValue], namedPrivate: namedPrivate[abi.rawValue],
                    to: &ranges)
            }
            if native == .x86_64, !abis.contains(.x32) {
                append(Range(start: SyscallABI.x32.base, verdict: Self.foreign), to: &ranges)
                // A tracer that voids a call sets its number to -1.
                append(Range(start: .max, verdict: SeccompRules.unspoken), to: &ranges)
            }
            let tree = try tree(ranges[...], narrow: native.isNarrow)
            let section = load(Self.numberOffset, then: tree)
            // Chained from the last architecture to the first; the load comes once, below.
            other = .place(
                assembler.branch(
                    BPFCode.jumpEqual, native.auditArchitecture, then: .place(section), otherwise: other))
        }
        _ = load(Self.architectureOffset, then: other)
        guard assembler.count <= Self.programLimit else { throw .tooLarge(instructions: assembler.count) }
        return assembler.program
    }

    // MARK: - Ranges

    private func append(
        _ slots: ArraySlice<UInt16>, of abi: SyscallABI, named: Int, namedPrivate: Int,
        to ranges: inout [Range]
    ) {
        // Without a single call named, runc knows no newest one either.
        let unknown = rules.newCallsAreMissing && named >= 0 ? Self.missing : SeccompRules.unspoken
        let first = slots.startIndex
        for slot in 0..<SyscallTable.privateSlot {
            let verdict =
                slot <= named ? slots[first + slot] : slots[first + slot] == 0 ? unknown : slots[first + slot]
            append(Range(start: abi.base + UInt32(slot), verdict: verdict), to: &ranges)
        }
        guard abi == .arm else { return }
        for slot in SyscallTable.privateSlot..<SyscallTable.slotCount {
            let verdict = slot <= namedPrivate ? slots[first + slot] : unknown
            append(Range(start: SyscallTable.number(ofSlot: slot), verdict: verdict), to: &ranges)
        }
        let end = SyscallTable.number(ofSlot: SyscallTable.slotCount - 1) + 1
        append(Range(start: end, verdict: unknown), to: &ranges)
    }

    /// Adds a range, unless it goes on with the verdict before.
    private func append(_ range: Range, to ranges: inout [Range]) {
        if ranges.last?.verdict != range.verdict { ranges.append(range) }
    }

    // MARK: - Code

    private mutating func load(_ offset: UInt32, then target: BPFAssembler.Target) -> Int {
        switch target {
        case .answer(let value): return assembler.prepend(BPFInstruction(BPFCode.return, k: value))
        case .place(let place):
            if place != assembler.count - 1 {
                assembler.prepend(BPFInstruction(BPFCode.jump, k: UInt32(assembler.count - place - 1)))
            }
            return assembler.prepend(BPFInstruction(BPFCode.load, k: offset))
        }
    }

    private mutating func tree(_ ranges: ArraySlice<Range>, narrow: Bool) throws(SeccompError)
        -> BPFAssembler.Target
    {
        guard assembler.count <= Self.programLimit else { throw .tooLarge(instructions: assembler.count) }
        let first = ranges.startIndex
        if ranges.count == 1 { return target(ranges[first].verdict, narrow) }
        if ranges.count == 3, ranges[first].verdict == ranges[first + 2].verdict,
            ranges[first + 1].start + 1 == ranges[first + 2].start
        {
            // One number that differs from those around it.
            let around = target(ranges[first].verdict, narrow)
            let exception = target(ranges[first + 1].verdict, narrow)
            return .place(
                assembler.branch(
                    BPFCode.jumpEqual, ranges[first + 1].start, then: exception, otherwise: around))
        }
        let middle = first + ranges.count / 2
        let above = try tree(ranges[middle...], narrow: narrow)
        let below = try tree(ranges[..<middle], narrow: narrow)
        return .place(
            assembler.branch(
                BPFCode.jumpGreaterOrEqual, ranges[middle].start, then: above, otherwise: below))
    }

    private mutating func target(_ verdict: UInt16, _ narrow: Bool) -> BPFAssembler.Target {
        if verdict == Self.missing { return .answer(SeccompReturn.errno | UInt32(ENOSYS)) }
        if verdict == Self.foreign { return .answer(SeccompReturn.killThread) }
        switch rules.verdicts[Int(verdict)] {
        case .answer(let value): return .answer(value)
        case .clauses(let clauses):
            // Where no value has upper bits, the wide comparison is right for
            // 32-bit arguments too, and one copy serves all.
            let cut =
                narrow
                && clauses.contains { $0.conditions.contains { ($0.valueTwo ?? 0) | $0.value > UInt32.max } }
            let memo = Int(verdict) * 2 + (cut ? 1 : 0)
            if clausePlaces[memo] < 0 { clausePlaces[memo] = write(clauses, narrow: cut) }
            return .place(clausePlaces[memo])
        }
    }

    private mutating func write(_ clauses: [SeccompRules.Clause], narrow: Bool) -> Int {
        var next: BPFAssembler.Target = .answer(rules.defaultAnswer)
        var place = 0
        for clause in clauses.reversed() {
            var match: BPFAssembler.Target = .answer(clause.answer)
            for condition in clause.conditions.reversed() {
                place = compare(condition, then: match, otherwise: next, narrow: narrow)
                match = .place(place)
            }
            next = .place(place)
        }
        return place
    }

    /// One comparison of an argument, whose halves BPF can only see one by one.
    private mutating func compare(
        _ condition: Seccomp.Argument, then: BPFAssembler.Target, otherwise: BPFAssembler.Target, narrow: Bool
    ) -> Int {
        // seccomp_data.args starts at 16; both machines are little-endian.
        let low = 16 + 8 * condition.index
        let value = Halves(condition.value)
        func ordered(_ code: UInt16, _ then: BPFAssembler.Target, _ otherwise: BPFAssembler.Target) -> Int {
            assembler.branch(code, value.low, then: then, otherwise: otherwise)
            let lower = assembler.prepend(BPFInstruction(BPFCode.load, k: low))
            if narrow { return lower }
            let equal = assembler.branch(
                BPFCode.jumpEqual, value.high, then: .place(lower), otherwise: otherwise)
            assembler.branch(BPFCode.jumpGreater, value.high, then: then, otherwise: .place(equal))
            return assembler.prepend(BPFInstruction(BPFCode.load, k: low + 4))
        }
        func equal(
            _ mask: Halves, _ value: Halves, _ then: BPFAssembler.Target, _ otherwise: BPFAssembler.Target
        ) -> Int {
            var place = half(low, mask.low, value.low, then: then, otherwise: otherwise)
            if !narrow, mask.high != 0 || value.high != 0 {
                place = half(low + 4, mask.high, value.high, then: .place(place), otherwise: otherwise)
            }
            return place
        }
        let all = Halves(.max)
        return switch condition.op {
        case .equal: equal(all, value, then, otherwise)
        case .notEqual: equal(all, value, otherwise, then)
        case .maskedEqual: equal(value, Halves(condition.valueTwo ?? 0), then, otherwise)
        case .greater: ordered(BPFCode.jumpGreater, then, otherwise)
        case .greaterOrEqual: ordered(BPFCode.jumpGreaterOrEqual, then, otherwise)
        case .less: ordered(BPFCode.jumpGreaterOrEqual, otherwise, then)
        case .lessOrEqual: ordered(BPFCode.jumpGreater, otherwise, then)
        }
    }

    private mutating func half(
        _ offset: UInt32, _ mask: UInt32, _ value: UInt32, then: BPFAssembler.Target,
        otherwise: BPFAssembler.Target
    ) -> Int {
        assembler.branch(BPFCode.jumpEqual, value, then: then, otherwise: otherwise)
        if mask != .max { assembler.prepend(BPFInstruction(BPFCode.and, k: mask)) }
        return assembler.prepend(BPFInstruction(BPFCode.load, k: offset))
    }

    private struct Halves {
        var high: UInt32
        var low: UInt32
        init(_ value: UInt64) {
            high = UInt32(value >> 32)
            low = UInt32(truncatingIfNeeded: value)
        }
    }
}
