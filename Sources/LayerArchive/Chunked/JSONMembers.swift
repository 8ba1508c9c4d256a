/// The members of one JSON object, found in its text. It reads just as much as it must to know
/// where a value ends: what it gives is compared and hashed, and believed by nobody.
enum JSONMembers {
    /// - Parameters:
    ///   - text: from `{` to `}`.
    ///   - body: gets a name without its quotes, and a value's text; both as they stand there.
    static func walk(
        _ text: UnsafeRawBufferPointer,
        _ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void
    ) throws(ArchiveError) {
        var position = 0
        func skipSpace() { while position < text.count, text[position] <= 0x20 { position += 1 } }
        func take(_ byte: UInt8) -> Bool {
            skipSpace()
            guard position < text.count, text[position] == byte else { return false }
            position += 1
            return true
        }
        /// From its first quote to after its last.
        func string() throws(ArchiveError) -> Range<Int> {
            let start = position
            position += 1
            while position < text.count, text[position] != UInt8(ascii: "\"") {
                position += text[position] == UInt8(ascii: "\\") ? 2 : 1
            }
            guard position < text.count else { throw malformed }
            position += 1
            return start..<position
        }
        func value() throws(ArchiveError) -> Range<Int> {
            let start = position
            var depth = 0
            while position < text.count {
                switch text[position] {
                case UInt8(ascii: "\""):
                    _ = try string()
                    continue
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: ","):
                    if depth == 0 {
                        var end = position
                        while end > start, text[end - 1] <= 0x20 { end -= 1 }
                        return start..<end
                    }
                    if text[position] != UInt8(ascii: ",") { depth -= 1 }
                default: break
                }
                position += 1
            }
            throw malformed
        }

        guard take(UInt8(ascii: "{")) else { throw malformed }
        if take(UInt8(ascii: "}")) { return }
        repeat {
            skipSpace()
            guard position < text.count, text[position] == UInt8(ascii: "\"") else { throw malformed }
            let name = try string()
            guard take(UInt8(ascii: ":")) else { throw malformed }
            skipSpace()
            let value = try value()
            body(
                UnsafeRawBufferPointer(rebasing: text[name.lowerBound + 1..<name.upperBound - 1]),
                UnsafeRawBufferPointer(rebasing: text[value]))
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw malformed }
    }

    private static let malformed = ArchiveError(.malformed, "a layer's table of contents is no valid JSON")
}
