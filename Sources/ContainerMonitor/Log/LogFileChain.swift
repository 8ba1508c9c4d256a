import LinuxSystem

/// The files of one log in the order of their age, held open, so that a
/// rotation in the middle of reading loses nothing: a file is known by its
/// inode, whatever its name has become.
struct LogFileChain: ~Copyable {
    private let configuration: LogConfiguration
    /// The file that is read now is the first.
    private var open: [SharedDescriptor]

    init(_ configuration: LogConfiguration) throws(SystemError) {
        self.configuration = configuration
        open = try Self.openAll(configuration)
    }

    private static func openAll(_ configuration: LogConfiguration) throws(SystemError) -> [SharedDescriptor] {
        var files: [SharedDescriptor] = []
        for _ in 0..<100 {
            files = []
            var inodes: [ino_t] = []
            for number in (0..<configuration.maximumFiles).reversed() {
                guard let file = try openFile(configuration, number) else { continue }
                inodes.append(try FD.stat(file.raw).st_ino)
                files.append(file)
            }
            // No rotation came between: the names still are these files', in this order.
            let now = (0..<configuration.maximumFiles).reversed().compactMap { inode(configuration, $0) }
            if inodes == now { break }
        }
        return files
    }

    private static func openFile(_ configuration: LogConfiguration, _ number: Int) throws(SystemError)
        -> SharedDescriptor?
    {
        do throws(SystemError) {
            return SharedDescriptor(try File.open(configuration.path(ofFile: number), O_RDONLY | O_NOFOLLOW))
        } catch  where error.errno == .noEntry {
            return nil
        }
    }

    private static func inode(_ configuration: LogConfiguration, _ number: Int) -> ino_t? {
        (try? File.status(configuration.path(ofFile: number), followLinks: false))?.st_ino
    }

    /// Reads on in the present file; 0 at its end.
    mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
        if open.isEmpty { open = try Self.openAll(configuration) }
        guard let file = open.first else { return 0 }
        let count = try FD.read(file.raw, into: buffer)
        if count == 0, open.count == 1, configuration.maximumFiles == 1 {
            // A log of one file starts again from nothing.
            let size = try FD.stat(file.raw).st_size
            if size < lseek(file.raw, 0, SEEK_CUR) {
                lseek(file.raw, 0, SEEK_SET)
                return try FD.read(file.raw, into: buffer)
            }
        }
        return count
    }

    /// After the end of the present file: goes to the one that was written after it.
    /// - Returns: false when there is none: more may come to this one.
    mutating func advance() throws(SystemError) -> Bool {
        guard let file = open.first else { return false }
        if open.count > 1 {
            open.removeFirst()
            return true
        }
        let own = try FD.stat(file.raw).st_ino
        for _ in 0..<100 {
            guard let current = Self.inode(configuration, 0) else { return false }
            if current == own { return false }
            // Rotated away: what the monitor wrote to it, it wrote before.
            var more: UInt8 = 0
            if pread(file.raw, &more, 1, lseek(file.raw, 0, SEEK_CUR)) == 1 { return true }
            let place = (1..<max(2, configuration.maximumFiles)).first {
                Self.inode(configuration, $0) == own
            }
            guard let place else {
                // So many rotations at once that our file is gone: go on with the oldest.
                open = try Self.openAll(configuration)
                return !open.isEmpty
            }
            guard let next = try Self.openFile(configuration, place - 1) else { continue }
            // Both names still stand where they stood: it is the next indeed.
            let inode = try FD.stat(next.raw).st_ino
            if Self.inode(configuration, place) == own, Self.inode(configuration, place - 1) == inode {
                open = [next]
                return true
            }
        }
        return false
    }

    /// Goes to where so many lines are left.
    mutating func seek(toLast lines: Int, _ driver: LogConfiguration.Driver) throws(SystemError) {
        var left = lines
        for position in open.indices.reversed() {
            let raw = open[position].raw
            let size = Int(try FD.stat(raw).st_size)
            var scanner = BackwardScanner(raw, size, driver)
            if let offset = try scanner.offset(ofLast: &left) {
                lseek(raw, off_t(offset), SEEK_SET)
                open.removeFirst(position)
                return
            }
        }
    }
}

/// Finds lines from a file's end. A line that was split into several records counts once.
private struct BackwardScanner: ~Copyable {
    private let file: Int32
    private let size: Int
    private var parser: LogRecordParser

    init(_ file: Int32, _ size: Int, _ driver: LogConfiguration.Driver) {
        self.file = file
        self.size = size
        parser = LogRecordParser(driver, wantsTime: false)
    }

    /// - Parameter lines: how many are wanted; less those found when the file has fewer.
    /// - Returns: where they start, or nil when the file has fewer.
    mutating func offset(ofLast lines: inout Int) throws(SystemError) -> Int? {
        if lines <= 0 { return size }
        /// The records from here on have been looked at.
        var start = size
        var tail: [UInt8] = []
        var isLast = true
        var blockStart = size
        while blockStart > 0 {
            let length = min(64 << 10, blockStart)
            blockStart -= length
            var block = [UInt8](repeating: 0, count: length)
            let raw = file
            let offset = blockStart
            let count = try retrying("read", "log") {
                block.withUnsafeMutableBytes { pread(raw, $0.baseAddress, length, off_t(offset)) }
            }
            // Shortened meanwhile: there is no end to count from.
            guard count == length else { return 0 }
            block += tail
            tail = []
            // Whole records of the block, the last first.
            var end = block.count
            if start == size, block.last != 0x0A {
                // A record that is being written now is not counted.
                end = (block.lastIndex(of: 0x0A) ?? -1) + 1
                start = blockStart + end
            }
            while end > 0 {
                let previous = block[..<(end - 1)].lastIndex(of: 0x0A)
                guard previous != nil || blockStart == 0 else { break }
                let begin = (previous ?? -1) + 1
                var endsLine = false
                _ = block[begin..<(end - 1)].withUnsafeBytes { parser.parse($0) { endsLine = $0.endsLine } }
                // The last line may not have ended.
                if endsLine || isLast {
                    isLast = false
                    if lines == 0 { return blockStart + end }
                    lines -= 1
                }
                end = begin
                start = blockStart + begin
            }
            tail = Array(block[..<end])
        }
        return nil
    }
}
