/// Calls on processes through descriptors that name one process for ever
/// (pidfd_open(2)).
public enum Pidfd {
    /// - Throws: ESRCH when there is no such process.
    public static func open(_ pid: pid_t) throws(SystemError) -> Descriptor {
        let result = linux_syscall(Int(SYS_pidfd_open), Int(pid), 0, 0, 0, 0, 0)
        // pidfds are close-on-exec without asking.
        if result >= 0 { return Descriptor(owning: Int32(result)) }
        let errno = Errno(Int32(-result))
        guard errno == .noSystemCall else { throw SystemError("open process", "\(pid)", errno) }
        return try openDirectory(of: pid)
    }

    /// - Throws: ESRCH when the process has ended and been waited for.
    public static func send(_ signal: Int32, to pidfd: Int32) throws(SystemError) {
        _ = try checked("send signal \(signal)", "process") {
            linux_syscall(Int(SYS_pidfd_send_signal), Int(pidfd), Int(signal), 0, 0, 0, 0)
        }
    }

    /// Waits until the process has ended, whoever its parent is.
    /// - Parameter milliseconds: nil for ever.
    /// - Returns: whether it has.
    public static func waitForEnd(_ pidfd: Int32, milliseconds: Int32?) throws(SystemError) -> Bool {
        var entries = [pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)]
        return try retrying("poll", "process") { poll(&entries, milliseconds: milliseconds ?? -1) } > 0
    }
}

/// What procfs says of a process.
public struct ProcessStatus: Equatable, Sendable {
    /// The state's letter (proc(5)): `R`, `S`, `Z`…
    public var state: UInt8
    public var parent: pid_t
    /// Clock ticks after boot: with the id it names one process.
    public var startTime: UInt64

    public var isAlive: Bool { state != UInt8(ascii: "Z") && state != UInt8(ascii: "X") }

    /// nil when there is no such process.
    public static func read(_ pid: pid_t) throws(SystemError) -> ProcessStatus? {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try File.read("/proc/\(pid)/stat", limit: 4096)
        } catch  where error.errno == .noEntry || error.errno == .noProcess {
            return nil
        }
        return ProcessStatus(bytes)
    }

    /// - Parameter bytes: of /proc/PID/stat.
    init?(_ bytes: [UInt8]) {
        // The command's name may hold spaces and parentheses: fields count from the last ")".
        guard let close = bytes.lastIndex(of: UInt8(ascii: ")")), close + 2 < bytes.count else { return nil }
        let fields = bytes[(close + 2)...].split(separator: UInt8(ascii: " "), maxSplits: 20)
        guard fields.count > 19, let state = fields[0].first, let parent = Self.number(fields[1]),
            let start = Self.number(fields[19])
        else { return nil }
        self.state = state
        self.parent = pid_t(truncatingIfNeeded: parent)
        startTime = start
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for digit in digits {
            guard digit >= 0x30, digit <= 0x39 else { return nil }
            value = value &* 10 &+ UInt64(digit - 0x30)
        }
        return value
    }
}
