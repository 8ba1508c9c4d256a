import LinuxSystem

/// Text as Go's encoding/json and Docker write it: `<`, `>`, `&` and U+2028/9
/// as `\u…`, and a byte that is no UTF-8 as `\ufffd`.
enum JSONEscaping {
    /// Writes at most six bytes for each one read.
    static func write(_ text: UnsafeRawBufferPointer, to output: UnsafeMutablePointer<UInt8>) -> Int {
        guard let input = text.baseAddress else { return 0 }
        let count = text.count
        var position = 0
        var used = 0
        while position < count {
            // Plain runs are most of a log: eight bytes at a time.
            while position + 8 <= count {
                let word = UInt64(littleEndian: (input + position).loadUnaligned(as: UInt64.self))
                (UnsafeMutableRawPointer(output) + used).storeBytes(of: word.littleEndian, as: UInt64.self)
                let special = specialBytes(word)
                let plain = special == 0 ? 8 : special.trailingZeroBitCount >> 3
                position += plain
                used += plain
                if special != 0 { break }
            }
            // What stopped it, or the last few.
            guard position < count else { break }
            let byte = input.load(fromByteOffset: position, as: UInt8.self)
            if isPlain(byte) {
                output[used] = byte
                used += 1
                position += 1
            } else if byte < 0x80 {
                used += escape(byte, to: output + used)
                position += 1
            } else {
                position += copyScalar(input + position, count - position, to: output, &used)
            }
        }
        return used
    }

    /// The top bit of each byte that must not stand as it is. Only the lowest bit set is
    /// certain: a subtraction's borrow may set others above it.
    @inline(__always)
    private static func specialBytes(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        func zeros(_ value: UInt64) -> UInt64 { (value &- ones) & ~value }
        let control = (word &- ones &* 0x20) & ~word
        // `"` and `&`, `<` and `>` differ in one bit each.
        let quoteOrAmpersand = zeros((word & (ones &* 0xFB)) ^ (ones &* 0x22))
        let angle = zeros((word & (ones &* 0xFD)) ^ (ones &* 0x3C))
        let backslash = zeros(word ^ (ones &* 0x5C))
        return (control | quoteOrAmpersand | angle | backslash | word) & (ones &* 0x80)
    }

    @inline(__always)
    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "&"):
            false
        default: byte >= 0x20 && byte < 0x80
        }
    }

    private static func escape(_ byte: UInt8, to output: UnsafeMutablePointer<UInt8>) -> Int {
        output[0] = UInt8(ascii: "\\")
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): output[1] = byte
        case 0x0A: output[1] = UInt8(ascii: "n")
        case 0x0D: output[1] = UInt8(ascii: "r")
        case 0x09: output[1] = UInt8(ascii: "t")
        default:
            return unicode(UInt16(byte), to: output)
        }
        return 2
    }

    private static func unicode(_ value: UInt16, to output: UnsafeMutablePointer<UInt8>) -> Int {
        output[0] = UInt8(ascii: "\\")
        output[1] = UInt8(ascii: "u")
        for place in 0..<4 {
            let digit = UInt8(truncatingIfNeeded: value >> UInt16(12 - 4 * place)) & 15
            output[2 + place] = digit < 10 ? 0x30 + digit : 0x61 + digit - 10
        }
        return 6
    }

    /// Copies one scalar outside ASCII.
    /// - Returns: how many bytes were read.
    private static func copyScalar(
        _ input: UnsafeRawPointer, _ available: Int, to output: UnsafeMutablePointer<UInt8>, _ used: inout Int
    ) -> Int {
        func byte(_ offset: Int) -> UInt8 { input.load(fromByteOffset: offset, as: UInt8.self) }
        let first = byte(0)
        let length: Int
        // The second byte's range keeps out overlong forms, surrogates and what
        // is above U+10FFFF (Unicode, table 3-7).
        let second: ClosedRange<UInt8>
        switch first {
        case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: (length, second) = (1, 0...0)
        }
        var valid = length > 1 && length <= available && second.contains(byte(1))
        if valid, length > 2 { valid = byte(2) & 0xC0 == 0x80 }
        if valid, length > 3 { valid = byte(3) & 0xC0 == 0x80 }
        guard valid else {
            used += unicode(0xFFFD, to: output + used)
            return 1
        }
        if first == 0xE2, byte(1) == 0x80, byte(2) & 0xFE == 0xA8 {
            used += unicode(0x2000 | UInt16(byte(2) & 0x3F), to: output + used)
        } else {
            for offset in 0..<length {
                output[used] = byte(offset)
                used += 1
            }
        }
        return length
    }
}
