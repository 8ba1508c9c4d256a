/// What a directory holds, with names as the bytes they are: a file's name
/// need not be UTF-8, and a name that was repaired names nothing.
public struct DirectoryListing: Sendable {
    public struct Entry: Sendable {
        /// Ends with a NUL: can be passed to any call that takes a C string.
        public let name: [CChar]
        public let inode: UInt64
        /// `DT_DIR` and so on; `DT_UNKNOWN` where the file system does not say.
        public let type: UInt8

        /// The bytes without the NUL.
        public var bytes: [UInt8] { name.dropLast().map { UInt8(bitPattern: $0) } }
        /// For messages.
        public var text: String { String(decoding: bytes, as: UTF8.self) }
    }

    /// In no order, without `.` and `..`.
    public let entries: [Entry]

    /// Reads an open directory from its start, whatever was read of it before.
    public init(_ fd: Int32) throws(SystemError) {
        _ = try retrying("rewind directory") { lseek(fd, 0, SEEK_SET) }
        let size = 64 << 10
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 8)
        defer { buffer.deallocate() }
        var entries: [Entry] = []
        while true {
            let count = try checked("list directory") {
                linux_syscall(
                    Int(SYS_getdents64), Int(fd), Int(bitPattern: buffer.baseAddress), size, 0, 0, 0)
            }
            if count == 0 { break }
            var position = 0
            // struct linux_dirent64 (getdents(2)): inode 8, offset 8, length 2, type 1, name.
            while position < count {
                let record = buffer.baseAddress! + position
                position += Int(record.load(fromByteOffset: 16, as: UInt16.self))
                let text = (record + 19).assumingMemoryBound(to: CChar.self)
                if text[0] == 0x2E, text[1] == 0 || (text[1] == 0x2E && text[2] == 0) { continue }
                entries.append(
                    Entry(
                        name: Array(UnsafeBufferPointer(start: text, count: strlen(text) + 1)),
                        inode: record.load(as: UInt64.self),
                        type: record.load(fromByteOffset: 18, as: UInt8.self)))
            }
        }
        self.entries = entries
    }
}
