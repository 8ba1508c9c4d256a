/// Splits contents where they themselves say: what is inserted into a file or removed from it
/// moves the chunks after it, and does not change them.
///
/// A chunk ends where a hash of the last 64 bytes (Xia et al., "Ddelta", 2014: a shift and an
/// addition a byte) has so many zeros, within bounds.
struct ChunkSplitter {
    static let smallest = 64 << 10
    static let largest = 1 << 20
    /// After the smallest, 64 KiB more on average.
    private static let mask: UInt64 = 0xFFFF << 48
    private static let window = 64

    private var chunk: [UInt8] = []
    private var hash: UInt64 = 0

    /// A number for each byte, the same for all time (splitmix64).
    private static let numbers: [UInt64] = {
        var state: UInt64 = 0
        return (0..<256).map { _ in
            state &+= 0x9E37_79B9_7F4A_7C15
            var value = state
            value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
            return value ^ (value >> 31)
        }
    }()

    /// - Parameter end: gets each chunk that is complete.
    mutating func split(_ bytes: UnsafeRawBufferPointer, _ end: (UnsafeRawBufferPointer) throws -> Void)
        throws
    {
        var rest = bytes
        while !rest.isEmpty {
            // Whatever ends a chunk lies behind the smallest one's end.
            let passed = min(rest.count, max(0, Self.smallest - Self.window - chunk.count))
            let room = min(rest.count, Self.largest - chunk.count)
            var length = room
            var isEnd = false
            let start = chunk.count
            var hash = hash
            Self.numbers.withUnsafeBufferPointer { numbers in
                var position = passed
                while position < room {
                    hash = (hash << 1) &+ numbers[Int(rest[position])]
                    position += 1
                    if hash & Self.mask == 0, start + position >= Self.smallest {
                        length = position
                        isEnd = true
                        return
                    }
                }
            }
            self.hash = hash
            chunk.append(contentsOf: rest[..<length])
            rest = UnsafeRawBufferPointer(rebasing: rest[length...])
            if isEnd || chunk.count == Self.largest { try finish(end) }
        }
    }

    /// The contents end here.
    mutating func finish(_ end: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard !chunk.isEmpty else { return }
        try chunk.withUnsafeBytes(end)
        chunk.removeAll(keepingCapacity: true)
        hash = 0
    }
}
