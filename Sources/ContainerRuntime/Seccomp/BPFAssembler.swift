/// Assembles a filter from its end to its start. BPF jumps only forwards, so
/// whatever an instruction jumps to has its place already, and each distance is
/// known when the jump is written.
struct BPFAssembler {
    /// Where to go: an instruction's place, counted from the program's end, or a
    /// return, which may stand in several places.
    enum Target: Equatable {
        case place(Int)
        case answer(UInt32)
    }

    /// The last instruction first.
    private var reversed: [BPFInstruction] = []
    /// The newest place of each return.
    private var answers: [(value: UInt32, place: Int)] = []

    init() { reversed.reserveCapacity(1024) }

    var count: Int { reversed.count }
    var program: [BPFInstruction] { reversed.reversed() }

    /// Writes an instruction before all those that are there, and says its place.
    @discardableResult
    mutating func prepend(_ instruction: BPFInstruction) -> Int {
        reversed.append(instruction)
        return reversed.count - 1
    }

    /// A conditional jump. Its distances have 8 bits, so what is further off is
    /// reached through a copy of the return, or a jump of 32 bits, nearby.
    @discardableResult
    mutating func branch(_ code: UInt16, _ k: UInt32, then: Target, otherwise: Target) -> Int {
        // Reaching the second may put one instruction between the jump and the first.
        let thenPlace = near(then, allowing: 1)
        let otherwisePlace = near(otherwise, allowing: 0)
        return prepend(
            BPFInstruction(
                code, jt: UInt8(count - thenPlace - 1), jf: UInt8(count - otherwisePlace - 1), k: k))
    }

    /// A place that holds the target's instruction or leads to it, and that the
    /// next instruction can reach in 8 bits, though `spare` more come between.
    private mutating func near(_ target: Target, allowing spare: Int) -> Int {
        switch target {
        case .place(let place):
            if count - place - 1 + spare <= 255 { return place }
            return prepend(BPFInstruction(BPFCode.jump, k: UInt32(count - place - 1)))
        case .answer(let value):
            let known = answers.firstIndex { $0.value == value }
            if let known, count - answers[known].place - 1 + spare <= 255 { return answers[known].place }
            let place = prepend(BPFInstruction(BPFCode.return, k: value))
            if let known { answers[known].place = place } else { answers.append((value, place)) }
            return place
        }
    }
}
