import LinuxSystem

/// The file that a log driver writes to: buffered up to the end of each piece
/// of output, rotated by size, and never a reason for the container to wait or
/// to fail. When a write fails (a full disk), the records are dropped; once
/// writing works again one note tells how many.
final class LogFile {
    private let configuration: LogConfiguration
    /// How the driver writes the note on lost records.
    private let note: (_ lostRecords: Int) -> [UInt8]
    private var file: Descriptor?
    private var size: Int64 = 0
    private let buffer: PageBuffer
    private(set) var used = 0
    private var recordsInBuffer = 0
    private var lostRecords = 0

    /// Room for the longest record: 16 KiB of control characters, six bytes each, and the rest.
    static let longestRecord = 6 * (16 << 10) + 256
    private static let bufferSize = 512 << 10

    init(_ configuration: LogConfiguration, note: @escaping (Int) -> [UInt8]) throws(SystemError) {
        self.configuration = configuration
        self.note = note
        buffer = PageBuffer(size: Self.bufferSize)
        try open(truncating: false)
    }

    private func open(truncating: Bool) throws(SystemError) {
        file = nil
        let opened = try File.open(
            configuration.path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | (truncating ? O_TRUNC : 0),
            mode: 0o640)
        size = Int64(try FD.stat(opened.raw).st_size)
        file = consume opened
    }

    /// Gives room for one record of at most `longestRecord` bytes; `body` answers how many it wrote.
    @inline(__always)
    func record(_ body: (UnsafeMutablePointer<UInt8>) -> Int) {
        if Self.bufferSize - used < Self.longestRecord { flush() }
        if let limit = configuration.maximumSize, size + Int64(used) >= limit {
            flush()
            // Less than the limit is on disk when the flush failed.
            if size >= limit { rotate() }
        }
        used += body(buffer.bytes + used)
        recordsInBuffer += 1
    }

    func flush() {
        guard used > 0 else { return }
        defer {
            used = 0
            recordsInBuffer = 0
        }
        let bytes = UnsafeRawBufferPointer(start: buffer.bytes, count: used)
        let before = size
        if lostRecords > 0 {
            let note = note(lostRecords)
            guard note.withUnsafeBytes({ write($0) }) == note.count else {
                lostRecords += recordsInBuffer
                return
            }
        }
        let written = write(bytes)
        if written == 0, lostRecords > 0 {
            // There was room for the note only: it comes when the losses are over.
            if let raw = file?.raw, ftruncate(raw, off_t(before)) == 0 { size = before }
        } else {
            lostRecords = 0
        }
        if written < used { lostRecords += bytes[written...].count { $0 == 0x0A } }
    }

    /// Writes whole records only: what a failure cut off is taken back.
    private func write(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard let raw = file?.raw else { return 0 }
        var done = 0
        while done < bytes.count {
            let count = Glibc.write(raw, bytes.baseAddress! + done, bytes.count - done)
            if count > 0 {
                done += count
            } else if count == 0 || Errno.current != .interrupted {
                break
            }
        }
        var whole = done
        if done < bytes.count {
            while whole > 0, bytes[whole - 1] != 0x0A { whole -= 1 }
            if whole < done, ftruncate(raw, off_t(size) + off_t(whole)) != 0 { whole = done }
        }
        size += Int64(whole)
        return whole
    }

    /// As Docker's json-file: `.1` becomes `.2` and so on, the oldest goes; with
    /// one file alone it starts again from nothing.
    private func rotate() {
        let configuration = configuration
        do throws(SystemError) {
            if configuration.maximumFiles > 1 {
                for number in stride(from: configuration.maximumFiles - 1, through: 1, by: -1) {
                    do throws(SystemError) {
                        try File.rename(
                            configuration.path(ofFile: number - 1), to: configuration.path(ofFile: number))
                    } catch  where error.errno == .noEntry {}
                }
            }
            try open(truncating: true)
        } catch {
            // The directory is gone or full: go on with what there is.
            try? open(truncating: false)
        }
    }

    /// Gives the buffer's memory back.
    func releaseMemory() { buffer.release(size: Self.bufferSize) }
}

/// Anonymous pages of their own, which can be given back and used again.
final class PageBuffer {
    let bytes: UnsafeMutablePointer<UInt8>
    private let size: Int

    init(size: Int) {
        self.size = size
        let address = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let address, address != MAP_FAILED else { fatalError("out of memory") }
        bytes = address.assumingMemoryBound(to: UInt8.self)
    }

    deinit { munmap(bytes, size) }

    func release(size: Int) { madvise(bytes, size, MADV_DONTNEED) }
}
