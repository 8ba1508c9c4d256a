internal import LinuxSystem

/// One run of another program, which reads bytes and writes to several pipes.
enum Tool {
    struct Outcome {
        /// Of each pipe, in their order.
        var outputs: [[UInt8]]
        var exitCode: Int32
    }

    enum Second {
        /// What it complains of: descriptor 2.
        case errors
        /// A pipe of its own, descriptor 3, that holds nothing else; complaints go nowhere.
        case status
    }

    /// Runs it to its end. It gets descriptor 0 from `input`, and `attached` behind the outputs.
    /// - Parameter limit: of each output; a program that writes more is ended.
    /// - Throws: ENOENT when there is no such program, EFBIG for more output than that.
    static func run(
        _ program: String, _ arguments: [String], input: borrowing Descriptor, attached: [Int32],
        second: Second, limit: Int
    ) throws(SystemError) -> Outcome {
        let output = try FD.pipe(nonBlocking: false)
        let other = try FD.pipe(nonBlocking: false)
        var descriptors: [Int32?] = [input.raw, output.writing.raw]
        if second == .status { descriptors.append(nil) }
        descriptors.append(other.writing.raw)
        let process = try Spawn.start(
            program, [program] + arguments, descriptors: descriptors + attached)
        let readers = [output.reading.raw, other.reading.raw]
        try output.writing.close()
        try other.writing.close()
        var failure: SystemError?
        var outputs: [[UInt8]] = [[], []]
        do throws(SystemError) {
            outputs = try collect(readers, limit: limit)
        } catch {
            failure = error
            kill(process, SIGKILL)
        }
        let status = try Spawn.wait(process)
        if let failure { throw failure }
        return Outcome(outputs: outputs, exitCode: status.exitCode)
    }

    /// Reads all at once: a program that waits for one pipe to be emptied must not wait for another.
    private static func collect(_ pipes: [Int32], limit: Int) throws(SystemError) -> [[UInt8]] {
        var outputs = pipes.map { _ in [UInt8]() }
        var waiting = pipes.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while waiting.contains(where: { $0.fd >= 0 }) {
            _ = try retrying("poll") { poll(&waiting, nfds_t(waiting.count), -1) }
            for index in waiting.indices where waiting[index].fd >= 0 && waiting[index].revents != 0 {
                let fd = waiting[index].fd
                let count = try retrying("read") { Glibc.read(fd, &buffer, buffer.count) }
                if count == 0 { waiting[index].fd = -1 }
                outputs[index] += buffer[..<count]
                if outputs[index].count > limit { throw SystemError("read", "its output", Errno(EFBIG)) }
            }
        }
        return outputs
    }
}
