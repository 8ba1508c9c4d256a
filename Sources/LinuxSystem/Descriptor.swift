/// An open file descriptor and the duty to close it. All that this room opens
/// is close-on-exec.
public struct Descriptor: ~Copyable, Sendable {
    /// The number. It is valid while the value lives: never store it beyond.
    public let raw: Int32

    /// Takes over an open descriptor.
    public init(owning raw: Int32) { self.raw = raw }

    deinit { _ = Glibc.close(raw) }

    /// Gives the number away; the caller closes it.
    public consuming func take() -> Int32 {
        let raw = raw
        discard self
        return raw
    }

    /// Closes and reports what the kernel says (a delayed write error, close(2)).
    public consuming func close() throws(SystemError) {
        let raw = raw
        discard self
        if Glibc.close(raw) != 0 {
            let errno = Errno.current
            // The descriptor is gone all the same (close(2), "Dealing with error returns").
            if errno != .interrupted { throw SystemError("close", "", errno) }
        }
    }

    public borrowing func duplicate() throws(SystemError) -> Descriptor {
        let raw = raw
        return Descriptor(
            owning: try checked("duplicate descriptor", "\(raw)") {
                linux_fcntl(raw, F_DUPFD_CLOEXEC, 3)
            })
    }
}

/// Functions on a descriptor's number, which the caller keeps open.
public enum FD {
    public static func setCloseOnExec(_ fd: Int32, _ on: Bool) throws(SystemError) {
        _ = try checked("fcntl", "descriptor \(fd)") {
            linux_fcntl(fd, F_SETFD, on ? Int(FD_CLOEXEC) : 0)
        }
    }

    public static func setNonBlocking(_ fd: Int32, _ on: Bool) throws(SystemError) {
        let flags = try checked("fcntl", "descriptor \(fd)") { linux_fcntl(fd, F_GETFL, 0) }
        let wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK
        _ = try checked("fcntl", "descriptor \(fd)") { linux_fcntl(fd, F_SETFL, Int(wanted)) }
    }

    /// One read(2). 0 is the end.
    public static func read(_ fd: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(SystemError)
        -> Int
    {
        try retrying("read", "descriptor \(fd)") { Glibc.read(fd, buffer.baseAddress, buffer.count) }
    }

    /// Everything up to the end, but no more than `limit` bytes.
    /// - Throws: EFBIG when there is more.
    public static func readAll(_ fd: Int32, limit: Int = 64 << 20) throws(SystemError) -> [UInt8] {
        var output: [UInt8] = []
        // Most files that are read as a whole are of a page or less.
        var room = 4096
        while true {
            var failure: SystemError?
            var isAtEnd = false
            let chunk = [UInt8](unsafeUninitializedCapacity: room) { buffer, filled in
                while filled < room, !isAtEnd, failure == nil {
                    do throws(SystemError) {
                        let count = try read(
                            fd,
                            into: UnsafeMutableRawBufferPointer(
                                rebasing: UnsafeMutableRawBufferPointer(buffer)[filled...]))
                        filled += count
                        isAtEnd = count == 0
                    } catch {
                        failure = error
                    }
                }
            }
            if let failure { throw failure }
            if output.isEmpty { output = chunk } else { output += chunk }
            if output.count > limit { throw SystemError("read", "descriptor \(fd)", Errno(EFBIG)) }
            if isAtEnd { return output }
            room = min(room * 4, 1 << 20)
        }
    }

    /// Writes the whole buffer.
    public static func writeAll(_ fd: Int32, _ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            done += try retrying("write", "descriptor \(fd)") {
                Glibc.write(fd, bytes.baseAddress! + done, bytes.count - done)
            }
        }
    }

    public static func writeAll(_ fd: Int32, _ bytes: [UInt8]) throws(SystemError) {
        var result: Result<Void, SystemError> = .success(())
        bytes.withUnsafeBytes { buffer in
            do throws(SystemError) { try writeAll(fd, buffer) } catch { result = .failure(error) }
        }
        try result.get()
    }

    public static func writeAll(_ fd: Int32, _ text: String) throws(SystemError) {
        try writeAll(fd, Array(text.utf8))
    }

    public static func stat(_ fd: Int32) throws(SystemError) -> stat {
        var status = Glibc.stat()
        _ = try retrying("stat", "descriptor \(fd)") { fstat(fd, &status) }
        return status
    }

    /// Has the kernel begin to write a range out, and does not wait for it
    /// (sync_file_range(2)): a later sync finds less to do. Nothing depends on it.
    public static func startWriteback(_ fd: Int32, from offset: Int64, count: Int64) {
        let onlyStart = 2  // SYNC_FILE_RANGE_WRITE, linux/fs.h
        _ = linux_syscall(
            Int(SYS_sync_file_range), Int(fd), Int(offset), Int(count), onlyStart, 0, 0)
    }

    public static func sync(_ fd: Int32) throws(SystemError) {
        _ = try retrying("fsync", "descriptor \(fd)") { fsync(fd) }
    }

    /// What is needed to read the bytes again, and no more: not the times (fdatasync(2)).
    public static func syncData(_ fd: Int32) throws(SystemError) {
        _ = try retrying("fdatasync", "descriptor \(fd)") { fdatasync(fd) }
    }

    /// All of a file's file system (syncfs(2)).
    public static func syncFileSystem(_ fd: Int32) throws(SystemError) {
        _ = try checked("syncfs", "descriptor \(fd)") {
            linux_syscall(Int(SYS_syncfs), Int(fd), 0, 0, 0, 0, 0)
        }
    }

    /// A pair of pipe ends, close-on-exec.
    public static func pipe(nonBlocking: Bool = false) throws(SystemError) -> PipeEnds {
        var ends: [Int32] = [0, 0]
        _ = try retrying("pipe2") { pipe2(&ends, O_CLOEXEC | (nonBlocking ? O_NONBLOCK : 0)) }
        return PipeEnds(reading: Descriptor(owning: ends[0]), writing: Descriptor(owning: ends[1]))
    }
}

@frozen public struct PipeEnds: ~Copyable, Sendable {
    public var reading: Descriptor
    public var writing: Descriptor
}
