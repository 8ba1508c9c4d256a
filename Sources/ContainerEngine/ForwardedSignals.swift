import LinuxSystem
import Synchronization

/// Passes the signals that end this program on to a process that it waits for,
/// as long as it waits.
enum ForwardedSignals {
    /// A signal handler can reach nothing but a global.
    private static let target = Atomic<Int32>(-1)

    /// - Parameter pidfd: open until this program ends.
    static func begin(to pidfd: Int32) {
        target.store(pidfd, ordering: .relaxed)
        for number in [SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2] {
            signal(number) { number in
                _ = linux_syscall(
                    Int(SYS_pidfd_send_signal), Int(ForwardedSignals.target.load(ordering: .relaxed)),
                    Int(number), 0, 0, 0, 0)
            }
        }
    }
}
