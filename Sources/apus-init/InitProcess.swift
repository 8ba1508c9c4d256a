import LinuxSystem

/// The first process of a container that was asked to have one of ours: starts
/// the command, passes signals on to it, takes the statuses of processes that
/// nobody else waits for, and ends as the command ends.
enum InitProcess {
    static func run(_ arguments: [String]) -> Int32 {
        // Written before the command for tini's and catatonit's sake.
        let command = arguments.first == "--" ? Array(arguments.dropFirst()) : arguments
        guard let name = command.first else {
            return fail("no command; usage: apus-init [--] COMMAND [ARGUMENT...]", 2)
        }
        // Everything is taken in turn from sigwaitinfo(2), so nothing comes at a bad moment.
        var all = sigset_t()
        sigfillset(&all)
        for fatal in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS] { sigdelset(&all, fatal) }
        sigprocmask(SIG_BLOCK, &all, nil)
        // Not to be stopped when the command, in front of the terminal, is not us.
        SignalMask.ignore([SIGTTOU, SIGTTIN])

        let child = linux_fork()
        if child < 0 { return fail("fork: \(Errno(-child))", 1) }
        if child == 0 { execute(command) }
        return attend(child, all, name)
    }

    private static func execute(_ command: [String]) -> Never {
        // A group of its own, in front of the terminal if there is one: Ctrl-C reaches the
        // command and what it started, and not us, who would pass it on a second time.
        setpgid(0, 0)
        if isatty(0) == 1 { tcsetpgrp(0, getpgrp()) }
        SignalMask.reset()
        var arguments = command.map { strdup($0) } + [nil]
        execvp(command[0], &arguments)
        let errno = Errno.current
        let code: Int32 = errno == .noEntry ? 127 : 126
        _exit(fail("exec: \"\(command[0])\": \(errno)", code))
    }

    private static func attend(_ child: pid_t, _ all: sigset_t, _ name: String) -> Int32 {
        var all = all
        while true {
            var status: Int32 = 0
            while true {
                let ended = waitpid(-1, &status, WNOHANG)
                if ended == child { return WaitStatus(status).exitCode }
                if ended <= 0 { break }
            }
            var information = siginfo_t()
            switch sigwaitinfo(&all, &information) {
            case ...0, SIGCHLD, SIGTTIN, SIGTTOU, SIGPIPE: break
            case let signal: kill(child, signal)
            }
        }
    }

    private static func fail(_ message: String, _ code: Int32) -> Int32 {
        try? FD.writeAll(2, "apus-init: \(message)\n")
        return code
    }
}
