import LinuxSystem

/// One header block (pax(1), "ustar Interchange Format"; tar(5) of libarchive
/// for the others). It is a view of the reader's buffer.
struct TarHeader {
    enum Format { case v7, ustar, gnu, star }

    static let blockSize = 512
    let block: UnsafeRawBufferPointer
    let format: Format

    init(_ block: UnsafeRawBufferPointer) {
        self.block = block
        // Magic and version: "ustar\0" "00", or GNU's "ustar  \0".
        if block[257..<262].elementsEqual("ustar".utf8) {
            if block[262] == 0x20, block[263] == 0x20, block[264] == 0 {
                format = .gnu
            } else {
                format = block[508..<512].elementsEqual([0x74, 0x61, 0x72, 0]) ? .star : .ustar
            }
        } else {
            format = .v7
        }
    }

    static func isZero(_ block: UnsafeRawBufferPointer) -> Bool {
        for index in stride(from: 0, to: blockSize, by: 8) {
            if block.loadUnaligned(fromByteOffset: index, as: UInt64.self) != 0 { return false }
        }
        return true
    }

    /// The sum of all bytes, its own field taken as spaces.
    var checksumIsRight: Bool {
        guard let stated = try? number(148, 8) else { return false }
        let bytes = block.assumingMemoryBound(to: UInt8.self)
        var sum = 8 * 0x20
        for index in 0..<Self.blockSize { sum &+= Int(bytes[index]) }
        for index in 148..<156 { sum &-= Int(bytes[index]) }
        if stated == sum { return true }
        // Some old writers summed signed characters.
        var signed = 8 * 0x20
        for index in 0..<Self.blockSize where !(148..<156).contains(index) {
            signed += Int(Int8(bitPattern: bytes[index]))
        }
        return stated == signed
    }

    var type: UInt8 { block[156] }

    /// A text that fills its field or ends at a NUL.
    func text(_ offset: Int, _ length: Int) -> ArraySlice<UInt8> {
        let field = block[offset..<offset + length]
        return ArraySlice(field.prefix { $0 != 0 })
    }

    /// The name with ustar's prefix.
    var name: [UInt8] {
        let name = text(0, 100)
        let prefixLength = format == .ustar ? 155 : format == .star ? 131 : 0
        guard prefixLength > 0, block[345] != 0 else { return Array(name) }
        return text(345, prefixLength) + [UInt8(ascii: "/")] + name
    }

    /// Octal digits, or GNU's base 256, which also has negative numbers.
    func number(_ offset: Int, _ length: Int) throws(ArchiveError) -> Int64 {
        let field = UnsafeRawBufferPointer(rebasing: block[offset..<offset + length])
        if field[0] & 0x80 != 0 { return try Self.base256(field) }
        var digits = field[...]
        while let first = digits.first, first == 0x20 || first == 0 { digits.removeFirst() }
        var value: Int64 = 0
        for byte in digits {
            if byte == 0 || byte == 0x20 { break }
            guard byte >= 0x30, byte <= 0x37, value < 1 << 59 else {
                throw ArchiveError(.malformed, "invalid number in a tar header")
            }
            value = value << 3 | Int64(byte - 0x30)
        }
        return value
    }

    private static func base256(_ field: UnsafeRawBufferPointer) throws(ArchiveError) -> Int64 {
        let negative = field[0] & 0x40 != 0
        let flip: UInt8 = negative ? 0xFF : 0
        var value: UInt64 = 0
        for (index, byte) in field.enumerated() {
            var byte = byte ^ flip
            if index == 0 { byte &= 0x7F }
            guard value < 1 << 55 else {
                throw ArchiveError(.malformed, "number out of range in a tar header")
            }
            value = value << 8 | UInt64(byte)
        }
        return negative ? ~Int64(value) : Int64(value)
    }
}
