import CISAL
import LinuxSystem

/// gzip by ISA-L, on several processors at once. The input is cut into pieces of one size, each
/// deflated with the end of the one before as its dictionary, so the output depends neither on how
/// many threads there are nor on who is faster.
final class GzipEncoder: StreamEncoder {
    private static let mostLanes = 4

    private let lanes: [DeflatingLane]
    /// Goes round the lanes with each piece.
    private var current = 0
    /// What the current piece may refer to.
    private var history: [UInt8] = []
    private var checksum: UInt32 = 0
    private var length: UInt32 = 0
    private var isBegun = false

    /// - Parameter level: ISA-L's, 1 to 3.
    init(level: UInt32) {
        let processors = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        lanes = (0..<min(max(processors, 1), Self.mostLanes)).map { _ in DeflatingLane(level: level) }
    }

    func encode(_ input: UnsafeRawBufferPointer, last: Bool, to sink: any ByteSink) throws {
        if !isBegun { try begin(sink) }
        checksum = crc32_gzip_refl(
            checksum, input.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt64(input.count))
        length &+= UInt32(truncatingIfNeeded: input.count)
        var rest = input
        while !rest.isEmpty {
            rest = UnsafeRawBufferPointer(
                rebasing: rest[try lanes[current].fill(rest, after: history, sink)...])
            if lanes[current].isFull {
                history = lanes[current].hand()
                current = (current + 1) % lanes.count
            }
        }
        if last { try end(sink) }
    }

    deinit { for lane in lanes { lane.end() } }

    /// RFC 1952, section 2.3: no name, no time, an unknown system.
    private func begin(_ sink: any ByteSink) throws {
        isBegun = true
        try sink.write([0x1F, 0x8B, 0x08, 0, 0, 0, 0, 0, 0, 0xFF])
    }

    private func end(_ sink: any ByteSink) throws {
        try lanes[current].handLast(sink)
        // The oldest piece is with the next lane.
        for offset in 1...lanes.count * DeflatingLane.pieceCount {
            try lanes[(current + offset) % lanes.count].collect(sink)
        }
        try withUnsafeBytes(of: (checksum.littleEndian, length.littleEndian)) { try sink.write($0) }
    }
}
