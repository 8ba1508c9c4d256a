internal import LinuxSystem
public import OCISpec

extension Seccomp {
    /// The profile for containers that ask for none, with the meaning of Docker's
    /// default: what an ordinary program needs is allowed, the rest fails with
    /// EPERM, and some calls open up with the capability that the kernel asks for
    /// anyway. Unlike Docker's it compares whole registers where a number picks a
    /// socket family, so that garbage in the upper half gets nowhere.
    /// - Parameter capabilities: the bounding set's names, as in `CAP_SYS_ADMIN`.
    public static func defaultProfile(capabilities: Set<String>) -> Seccomp {
        defaultProfile(capabilities: capabilities, machine: .current)
    }

    static func defaultProfile(capabilities: Set<String>, machine: SyscallMachine) -> Seccomp {
        var profile = Seccomp(defaultAction: .errno, defaultErrnoRet: UInt32(EPERM))
        switch machine {
        case .x86_64: profile.architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
        case .arm64: profile.architectures = ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
        }

        var allowed = DefaultProfile.always
        allowed += machine == .x86_64 ? DefaultProfile.x86 : DefaultProfile.arm
        for (capability, calls) in DefaultProfile.byCapability where capabilities.contains(capability) {
            allowed += calls
        }
        profile.syscalls = [Syscall(names: Array(Set(allowed)).sorted(), action: .allow)]
        profile.syscalls += DefaultProfile.personalities + DefaultProfile.socketFamilies
        if !capabilities.contains("CAP_SYS_ADMIN") {
            profile.syscalls += DefaultProfile.processesWithoutNamespaces
        }
        return profile
    }
}

private enum DefaultProfile {
    private static func names(_ text: String) -> [String] {
        text.split(whereSeparator: \.isWhitespace).map(String.init)
    }

    /// By subject. Old and 32-bit forms of a call stand with it.
    static let always = names(
        """
        read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek _llseek close close_range
        open openat openat2 creat dup dup2 dup3 fcntl fcntl64 ioctl flock fsync fdatasync sync syncfs
        sync_file_range fallocate fadvise64 fadvise64_64 readahead truncate truncate64 ftruncate ftruncate64
        copy_file_range sendfile sendfile64 splice tee vmsplice pipe pipe2 memfd_create memfd_secret
        stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx statfs statfs64 fstatfs fstatfs64
        statmount listmount cachestat access faccessat faccessat2 readlink readlinkat getcwd chdir fchdir umask
        mkdir mkdirat rmdir link linkat symlink symlinkat unlink unlinkat rename renameat renameat2 mknod mknodat
        chmod fchmod fchmodat fchmodat2 chown chown32 lchown lchown32 fchown fchown32 fchownat
        utime utimes futimesat utimensat utimensat_time64 getdents getdents64 name_to_handle_at
        getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat
        listxattr llistxattr flistxattr listxattrat removexattr lremovexattr fremovexattr removexattrat
        inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark
        io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64
        ioprio_get ioprio_set

        brk mmap mmap2 munmap mremap mprotect madvise mincore msync mlock mlock2 mlockall munlock munlockall mseal
        remap_file_pages membarrier map_shadow_stack pkey_alloc pkey_free pkey_mprotect process_mrelease

        fork vfork execve execveat exit exit_group wait4 waitid waitpid getpid getppid gettid getpgid getpgrp
        setpgid getsid setsid set_tid_address set_thread_area get_thread_area set_robust_list get_robust_list
        rseq prctl seccomp uname sysinfo times getrusage getcpu restart_syscall uretprobe riscv_hwprobe
        pidfd_open pidfd_send_signal process_vm_readv process_vm_writev ptrace
        landlock_create_ruleset landlock_add_rule landlock_restrict_self
        getrlimit ugetrlimit setrlimit prlimit64 getpriority setpriority sched_yield
        sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam
        sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min
        sched_rr_get_interval sched_rr_get_interval_time64

        getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32
        getresgid getresgid32 getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32
        setregid setregid32 setresuid setresuid32 setresgid setresgid32 setfsuid setfsuid32
        setfsgid setfsgid32 setgroups setgroups32 capget capset

        kill tkill tgkill rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
        rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack signalfd signalfd4 sigprocmask
        sigreturn pause alarm getitimer setitimer

        time gettimeofday nanosleep clock_getres clock_getres_time64 clock_gettime clock_gettime64
        clock_nanosleep clock_nanosleep_time64 clock_adjtime clock_adjtime64 adjtimex
        timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
        timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64

        select _newselect pselect6 pselect6_time64 poll ppoll ppoll_time64 epoll_create epoll_create1 epoll_ctl
        epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2
        futex futex_time64 futex_waitv futex_wake futex_wait futex_requeue

        socketpair socketcall bind connect listen accept accept4 shutdown getsockname getpeername getsockopt
        setsockopt send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64

        ipc semget semctl semop semtimedop semtimedop_time64 shmget shmctl shmat shmdt msgget msgctl msgsnd msgrcv
        mq_open mq_unlink mq_getsetattr mq_notify mq_timedreceive mq_timedreceive_time64 mq_timedsend
        mq_timedsend_time64 getrandom
        """)

    static let x86 = names("arch_prctl modify_ldt")

    static let arm = names(
        "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls")

    static let byCapability: [(String, [String])] = [
        ("CAP_DAC_READ_SEARCH", names("open_by_handle_at")),
        (
            "CAP_SYS_ADMIN",
            names(
                """
                bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr
                lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open
                quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare
                """)
        ),
        ("CAP_SYS_BOOT", names("reboot")),
        ("CAP_SYS_CHROOT", names("chroot")),
        ("CAP_SYS_MODULE", names("delete_module init_module finit_module")),
        ("CAP_SYS_PACCT", names("acct")),
        (
            "CAP_SYS_PTRACE",
            names("kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace")
        ),
        ("CAP_SYS_RAWIO", names("iopl ioperm")),
        ("CAP_SYS_TIME", names("settimeofday stime clock_settime clock_settime64")),
        ("CAP_SYS_TTY_CONFIG", names("vhangup")),
        ("CAP_SYS_NICE", names("get_mempolicy mbind set_mempolicy set_mempolicy_home_node")),
        ("CAP_SYSLOG", names("syslog")),
        ("CAP_BPF", names("bpf")),
        ("CAP_PERFMON", names("perf_event_open")),
    ]

    private static func allow(
        _ name: String, _ op: Seccomp.Comparison, _ value: UInt64, _ second: UInt64? = nil
    )
        -> Seccomp.Syscall
    {
        Seccomp.Syscall(
            names: [name], action: .allow,
            args: [Seccomp.Argument(index: 0, value: value, valueTwo: second, op: op)])
    }

    /// Linux, Linux with 32-bit addresses reported (UNAME26 and PER_LINUX32), and asking.
    static let personalities = [0, 0x8, 0x20000, 0x20008, 0xFFFF_FFFF].map {
        allow("personality", .equal, $0)
    }

    /// Every family below 64 but AF_ALG (38), whose kernel code containers should
    /// not reach, and AF_VSOCK (40), which belongs to no network namespace and
    /// leads to the hypervisor.
    static let socketFamilies = [
        allow("socket", .less, 38),
        allow("socket", .equal, 39),
        allow("socket", .equal, 41),
        allow("socket", .maskedEqual, ~0x1, 42),
        allow("socket", .maskedEqual, ~0x3, 44),
        allow("socket", .maskedEqual, ~0xF, 48),
    ]

    /// clone(2) without a namespace flag (CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC,
    /// NEWUSER, NEWPID, NEWNET). clone3(2) has its flags in memory, where a filter
    /// can't see them, so it is as good as missing, and C libraries use clone(2).
    static let processesWithoutNamespaces = [
        allow("clone", .maskedEqual, 0x7E02_0000, 0),
        Seccomp.Syscall(names: ["clone3"], action: .errno, errnoRet: UInt32(ENOSYS)),
    ]
}
