import ContainerRuntime
import LinuxSystem

extension Monitor {
    /// The monitor's program. Descriptor 3 is the control socket, 4 the container's lock.
    ///
    /// It leaves its starter behind: a control group, a session and a parent of
    /// its own, no descriptor but those two, no working directory, no
    /// signal of the terminal's or of a dead peer's.
    public static func main() -> Never {
        // systemd ends a service or a session with all processes of its group (systemd.kill(5)), and
        // what has no unit is left alone. Only a birth in the group is free: a move waits for the
        // kernel's grace period. Where no group can be made, the starter's does.
        let group = try? Cgroup.shared(path: "/apus/monitor")
        let entrance = try? group?.openEntrance()
        // The starter waits for this process at once, and later for none.
        if let group, let entrance {
            do throws(SystemError) {
                _ = try Clone.process(flags: 0, cgroup: group.joinTarget) {
                    _ = entrance.enter(alreadyInUnified: true)
                    watch()
                }
                _exit(0)
            } catch {}
        }
        switch linux_fork() {
        case 0: watch()
        case let result: _exit(result > 0 ? 0 : 125)
        }
    }

    private static func watch() -> Never {
        setsid()
        chdir("/")
        umask(0o022)
        SignalMask.reset()
        SignalMask.ignore([
            SIGHUP, SIGPIPE, SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGALRM, SIGUSR1, SIGUSR2,
        ])
        DescriptorTable.closeAll(except: [0, 1, 2, 3, 4])
        try? FD.setCloseOnExec(3, true)
        // Orphans of the runtime, the container's process among them, become ours.
        _ = linux_syscall(Int(SYS_prctl), Int(PR_SET_CHILD_SUBREAPER), 1, 0, 0, 0, 0)
        let oomScore = (try? File.readText("/proc/self/oom_score_adj")) ?? "0"
        // Refused without CAP_SYS_RESOURCE; then we are as likely a victim as our starter.
        try? File.write("-1000", to: "/proc/self/oom_score_adj")

        let control = Descriptor(owning: dup(3))
        close(3)
        try? FD.setCloseOnExec(control.raw, true)
        // For the word of a failure, when the monitor that owns the other is gone.
        let raw = linux_fcntl(control.raw, F_DUPFD_CLOEXEC, 3)
        do throws(MonitorError) {
            let monitor = try Monitor(control: control, oomScore: oomScore)
            close(raw)
            close(4)
            monitor.startRun(restarting: false)
            do throws(SystemError) { try monitor.run() } catch { throw MonitorError(error) }
            try? File.unlink(monitor.request.attachSocket)
            _exit(0)
        } catch {
            try? ControlMessage.failed(error).send(to: raw)
            _exit(1)
        }
    }
}
