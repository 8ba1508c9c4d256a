import LinuxSystem

/// An EROFS image on its way into a file. Space is taken from its start to its
/// end, and may be filled later: a directory's place is known to its children
/// before theirs is known to it.
struct ErofsWriter: ~Copyable {
    private let file: Int32
    /// What is not written yet, and where it belongs.
    private var pending: [UInt8] = []
    private var pendingStart = 0
    private var inodes: UInt64 = 0

    private static let flushSize = 1 << 20

    /// - Parameter file: empty, open to write, as long as the writer lives.
    init(_ file: Int32) {
        self.file = file
        pending = [UInt8](repeating: 0, count: ErofsFormat.superblockOffset + ErofsFormat.superblockSize)
    }

    private var end: Int { pendingStart + pending.count }

    /// Takes space. What fits into a block lies in one block.
    /// - Returns: its offset.
    mutating func take(_ count: Int, alignment: Int) throws(SystemError) -> Int {
        if pending.count > Self.flushSize { try flush() }
        var offset = end + (-end & (alignment - 1))
        let block = ErofsFormat.blockSize
        if count <= block, offset / block != (offset + count - 1) / block {
            offset = (offset / block + 1) * block
        }
        pending.append(contentsOf: repeatElement(0, count: offset + count - end))
        return offset
    }

    /// Fills space that was taken.
    mutating func fill(_ offset: Int, _ bytes: [UInt8]) throws(SystemError) {
        if offset >= pendingStart {
            let start = offset - pendingStart
            pending.replaceSubrange(start..<start + bytes.count, with: bytes)
            return
        }
        try write(bytes, at: offset)
    }

    private func write(_ bytes: [UInt8], at offset: Int) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            done += try retrying("write", "the layer's image") {
                bytes.withUnsafeBytes {
                    pwrite(file, $0.baseAddress! + done, bytes.count - done, off_t(offset + done))
                }
            }
        }
    }

    private mutating func flush() throws(SystemError) {
        try write(pending, at: pendingStart)
        pendingStart += pending.count
        pending.removeAll(keepingCapacity: true)
    }

    /// An inode's number is its place.
    mutating func takeInode(_ size: Int) throws(SystemError) -> UInt64 {
        inodes += 1
        return UInt64(try take(size, alignment: ErofsFormat.slotSize) / ErofsFormat.slotSize)
    }

    mutating func fillInode(_ number: UInt64, _ bytes: [UInt8]) throws(SystemError) {
        try fill(Int(number) * ErofsFormat.slotSize, bytes)
    }

    /// - Throws: EFBIG above the format's 16 TiB.
    mutating func takeBlocks(_ size: Int) throws(SystemError) -> UInt32 {
        // Whole blocks: the kernel reads their rest too.
        let block = ErofsFormat.blockSize
        let offset = try take((size + block - 1) / block * block, alignment: block)
        guard let number = UInt32(exactly: offset / block) else {
            throw SystemError("write", "the layer's image", Errno(EFBIG))
        }
        return number
    }

    consuming func finish(root: UInt64) throws(SystemError) {
        _ = try take(-end & (ErofsFormat.blockSize - 1), alignment: 1)
        let superblock = ErofsFormat.superblock(
            rootNumber: UInt16(root), inodes: inodes, blocks: UInt32(end / ErofsFormat.blockSize))
        try fill(ErofsFormat.superblockOffset, superblock)
        try flush()
    }
}
