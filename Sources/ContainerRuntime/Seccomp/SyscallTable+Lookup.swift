/// A call's numbers as slots of a dense array: its number within the ABI, or,
/// for arm's private calls from 0xF0000 on, `privateSlot` and its offset. -1
/// stands for a call that the ABI lacks.
typealias SyscallSlots = SIMD8<Int16>

extension SyscallTable {
    static let privateSlot = 640
    static let slotCount = privateSlot + 16
    private static let privateBase = 0xF0000

    static func number(ofSlot slot: Int) -> UInt32 {
        slot < privateSlot ? UInt32(slot) : UInt32(privateBase + slot - privateSlot)
    }

    /// The row of a name, or nil.
    /// - Parameter hint: where to look first. Profiles list names in order, so the
    ///   row after the last one found is nearly always near.
    static func row(_ name: String, hint: Int = 0) -> Int? {
        var name = name
        return name.withUTF8 { name in
            var low = 0
            var high = rows.count
            if hint < high {
                // Gallop up from the hint.
                switch compare(name, hint) {
                case 0: return hint
                case let order where order > 0:
                    low = hint + 1
                    var step = 1
                    while low + step < high {
                        let order = compare(name, low + step)
                        if order == 0 { return low + step }
                        if order < 0 {
                            high = low + step
                            break
                        }
                        low += step + 1
                        step *= 2
                    }
                default: high = hint
                }
            }
            while low < high {
                let middle = (low + high) / 2
                let order = compare(name, middle)
                if order == 0 { return middle }
                if order < 0 { high = middle } else { low = middle + 1 }
            }
            return nil
        }
    }

    /// Whether a name stands before (-1), at (0) or after (1) a row. The blank
    /// that ends the row's name is below every character of a name.
    private static func compare(_ name: UnsafeBufferPointer<UInt8>, _ row: Int) -> Int {
        rows[row].utf8.withContiguousStorageIfAvailable { row in
            var position = 0
            while position < name.count {
                // A row is longer than the name in it, so this stays within.
                let difference = Int(name[position]) - Int(row[position])
                if difference != 0 { return difference < 0 ? -1 : 1 }
                if name[position] == 0x20 { return 1 }
                position += 1
            }
            return row[position] == 0x20 ? 0 : -1
        }!
    }

    static func slots(ofRow row: Int) -> SyscallSlots {
        rows[row].utf8.withContiguousStorageIfAvailable { text in
            var slots = SyscallSlots(repeating: -1)
            var position = 0
            while text[position] != 0x20 { position += 1 }
            var column = 0
            while position < text.count {
                position += 1
                var value = 0
                var digits = false
                while position < text.count, text[position] != 0x20 {
                    if text[position] != UInt8(ascii: "-") {
                        value = value * 10 + Int(text[position] - UInt8(ascii: "0"))
                        digits = true
                    }
                    position += 1
                }
                if value >= privateBase { value = privateSlot + value - privateBase }
                if digits { slots[column] = Int16(value) }
                column += 1
            }
            return slots
        }!
    }

    static func name(ofRow row: Int) -> String { String(rows[row].prefix { $0 != " " }) }
}
