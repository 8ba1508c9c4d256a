import LinuxSystem

/// Writes a file from its start, or goes on at its end, and leaves long runs of zeros out: a
/// sparse file that was archived whole, as layers hold them (image-spec,
/// layer.md, "File Types"), is sparse again.
struct HoleWriter {
    /// Pieces of this size, at its multiples in the file, are data or holes as a whole.
    private static let grain = 64 << 10
    /// So many bytes at a time are given to the disk while the next come.
    private static let writebackStep: Int64 = 8 << 20

    private let file: Int32
    private var position: Int64 = 0
    /// The length of the zeros that were left out last.
    private var gap: Int64 = 0
    private var writtenBack: Int64 = 0

    init(_ file: Int32) { self.file = file }

    /// Goes on where so many bytes are in the file already.
    init(_ file: Int32, from position: Int64) throws(SystemError) {
        self.file = file
        _ = try retrying("seek") { lseek(file, Int(position), SEEK_SET) }
        self.position = position
        writtenBack = position
    }

    mutating func write(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        // Data that lie together are written together.
        var start = 0
        var end = 0
        while end < bytes.count {
            let toBoundary = Self.grain - Int((position + Int64(end - start)) % Int64(Self.grain))
            let next = min(end + toBoundary, bytes.count)
            // A whole grain, or the rest of one that began with zeros.
            let mayBeHole = toBoundary == Self.grain || (gap > 0 && end == start)
            if mayBeHole, Self.isZero(UnsafeRawBufferPointer(rebasing: bytes[end..<next])) {
                try writeData(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
                position += Int64(next - end)
                gap += Int64(next - end)
                start = next
            }
            end = next
        }
        try writeData(UnsafeRawBufferPointer(rebasing: bytes[start...]))
    }

    /// Gives a file that ends with a hole its length.
    mutating func finish() throws(SystemError) {
        guard gap > 0 else { return }
        _ = try retrying("truncate") { ftruncate(file, Int(position)) }
    }

    private mutating func writeData(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        if bytes.isEmpty { return }
        if gap > 0 { _ = try retrying("seek") { lseek(file, Int(position), SEEK_SET) } }
        try FD.writeAll(file, bytes)
        position += Int64(bytes.count)
        gap = 0
        if position - writtenBack >= Self.writebackStep {
            FD.startWriteback(file, from: writtenBack, count: position - writtenBack)
            writtenBack = position
        }
    }

    private static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count >= 8, bytes.loadUnaligned(as: UInt64.self) == 0 else { return false }
        // Each byte is as the one before, and the first is zero.
        return memcmp(bytes.baseAddress!, bytes.baseAddress! + 1, bytes.count - 1) == 0
    }
}
