import CommandGrammar
import ContainerRuntime
import LinuxSystem

/// Stays with a container's process: passes signals and, with a terminal, what
/// is typed and printed, and returns its exit code.
struct ForegroundProcess {
    /// Before the process is made, so that nothing that happens to it is missed.
    /// The process itself starts with nothing blocked.
    static func prepare(subreaper: Bool) {
        var all = sigset_t()
        sigfillset(&all)
        for fatal in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP] { sigdelset(&all, fatal) }
        sigprocmask(SIG_BLOCK, &all, nil)
        if subreaper { _ = linux_syscall(Int(SYS_prctl), Int(PR_SET_CHILD_SUBREAPER), 1, 0, 0, 0, 0) }
    }

    /// The same for a container's first process, whose terminal is relayed here.
    static func prepare(_ values: Values, consoleSocket: String?) throws(RuntimeError) {
        if consoleSocket != nil {
            throw RuntimeError(
                .invalidConfig, "cannot use console socket if the runtime will not detach or allocate tty")
        }
        prepare(subreaper: !values.bool("no-subreaper"))
    }

    /// Waits for the process's end, and deletes its container then.
    /// - Returns: the exit code.
    static func finish(
        _ container: inout CreatedContainer, _ id: String, _ runtime: Runtime, _ values: Values,
        keepsContainer: Bool = false
    ) throws(RuntimeError) -> Int32 {
        let code: Int32
        do {
            code = try wait(&container)
        } catch {
            try? runtime.delete(id, force: true)
            throw RuntimeError(.system, "\(error)")
        }
        if keepsContainer { return code }
        let log = try RuntimeLog(values)
        try runtime.delete(id) { log.fail("\($0)") }
        return code
    }

    static func wait(_ container: inout CreatedContainer) throws -> Int32 {
        if let terminal = container.takeTerminal() {
            var relay = TerminalRelay(master: terminal, pid: container.pid)
            return try relay.run()
        }
        var all = sigset_t()
        sigfillset(&all)
        while true {
            if let status = reap(container.pid) { return status.exitCode }
            var information = siginfo_t()
            let signal = sigwaitinfo(&all, &information)
            if signal > 0 { forward(signal, to: container.pid) }
        }
    }

    /// Takes the statuses of all children that have ended, those that were left to
    /// us among them.
    static func reap(_ pid: pid_t) -> WaitStatus? {
        var found: WaitStatus?
        var status: Int32 = 0
        while true {
            let ended = waitpid(-1, &status, WNOHANG)
            if ended == pid { found = WaitStatus(status) }
            if ended <= 0 { return found }
        }
    }

    static func forward(_ signal: Int32, to pid: pid_t) {
        switch signal {
        // Ours, or without meaning for the container: a background read, a lost pipe, Go's SIGURG.
        case SIGCHLD, SIGPIPE, SIGURG: break
        default: kill(pid, signal)
        }
    }
}
