import ContainerMonitor
import LinuxSystem

/// A process held by a descriptor (pidfd_open(2)), so that a number used again
/// never takes the signal meant for it.
struct ProcessHandle: ~Copyable {
    private let descriptor: Descriptor

    /// nil when the process has ended.
    init?(_ identity: ProcessIdentity) {
        guard let descriptor = try? Pidfd.open(identity.pid) else { return nil }
        // Checked after the descriptor exists: from here on it means this process.
        guard identity.isAlive else { return nil }
        self.descriptor = descriptor
    }

    /// A process that ended meanwhile needs no signal.
    func send(_ signal: Int32) {
        try? Pidfd.send(signal, to: descriptor.raw)
    }

    /// - Parameter milliseconds: how long at most; negative for without end.
    /// - Returns: whether it has ended.
    func waitForEnd(milliseconds: Int) -> Bool {
        var entries = [pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0)]
        let deadline = milliseconds < 0 ? nil : Timestamp.now.inNanoseconds + Int64(milliseconds) * 1_000_000
        while true {
            var left: Int32 = -1
            if let deadline {
                left = Int32(clamping: max(0, (deadline - Timestamp.now.inNanoseconds + 999_999) / 1_000_000))
            }
            let result = Pidfd.poll(&entries, milliseconds: left)
            if result > 0 { return true }
            if result == 0 { return false }
            if Errno.current != .interrupted { return false }
        }
    }
}
