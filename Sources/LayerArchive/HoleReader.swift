import LinuxSystem

/// Reads a file and makes the zeros of its holes without asking the disk.
struct HoleReader {
    private let file: Int32
    private let size: Int64
    private let isSparse: Bool
    private var position: Int64 = 0
    /// Where the data ends that the file stands in, and where the next begins.
    private var dataEnd: Int64 = 0
    private var nextData: Int64 = 0

    init(_ file: Int32, _ status: stat) {
        self.file = file
        size = Int64(status.st_size)
        isSparse = Int64(status.st_blocks) * 512 < size
    }

    mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
        guard isSparse else { return try FD.read(file, into: buffer) }
        if position >= dataEnd, position >= nextData { try look() }
        if position < nextData {
            let count = Int(min(Int64(buffer.count), nextData - position))
            memset(buffer.baseAddress!, 0, count)
            position += Int64(count)
            return count
        }
        let wanted = Int(min(Int64(buffer.count), dataEnd - position))
        let count = try retrying("read") { pread(file, buffer.baseAddress, wanted, off_t(position)) }
        position += Int64(count)
        return count
    }

    private mutating func look() throws(SystemError) {
        let data = lseek(file, off_t(position), SEEK_DATA)
        if data < 0 {
            // ENXIO: a hole up to the end. Others: no such feature, all is data.
            let isHole = Errno.current.rawValue == ENXIO
            nextData = isHole ? size : position
            dataEnd = size
            return
        }
        nextData = Int64(data)
        let hole = lseek(file, data, SEEK_HOLE)
        dataEnd = hole < 0 ? size : Int64(hole)
    }
}
