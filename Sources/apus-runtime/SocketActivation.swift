import ContainerRuntime
import LinuxSystem

/// Descriptors that systemd passed to us go on to the container (sd_listen_fds(3)).
enum SocketActivation {
    static var descriptorCount: Int32 {
        guard let count = getenv("LISTEN_FDS"), let value = Int32(String(cString: count)), value > 0,
            let pid = getenv("LISTEN_PID"), pid_t(String(cString: pid)) == getpid()
        else { return 0 }
        return value
    }

    static func environment(_ count: Int32) -> [String] {
        count > 0 ? ["LISTEN_FDS=\(count)", "LISTEN_PID=1"] : []
    }

    /// All that is to be passed must be there: another number would be one of ours.
    static func check(_ count: Int32) throws(RuntimeError) {
        guard count > 0 else { return }
        for fd in 3..<(3 + count) {
            guard linux_fcntl(fd, F_GETFD, 0) >= 0 else {
                throw RuntimeError(
                    .invalidConfig, "please check that preserved-fd \(fd - 3) (of \(count)) is present")
            }
            do throws(SystemError) {
                try FD.setCloseOnExec(fd, false)
            } catch {
                throw RuntimeError(.system, "preserve descriptors", cause: error)
            }
        }
    }
}
