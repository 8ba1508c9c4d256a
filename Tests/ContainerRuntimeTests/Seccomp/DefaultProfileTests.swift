import JSONText
import LinuxSystem
import OCISpec
import Testing

@testable import ContainerRuntime

/// The meaning of our default profile, beside the one that Podman's packages
/// install, which is of the same descent.
@Suite struct DefaultProfileTests {
    private func plainlyAllowed(_ profile: Seccomp) -> Set<String> {
        Set(profile.syscalls.filter { $0.action == .allow && $0.args.isEmpty }.flatMap(\.names))
    }

    @Test func allNamesAreKnown() {
        let everything = Set(DefaultProfileTests.capabilities)
        for machine in [SyscallMachine.x86_64, .arm64] {
            for name in plainlyAllowed(.defaultProfile(capabilities: everything, machine: machine)) {
                // RISC-V's only call of its own is Docker's too, for any machine.
                #expect(SyscallTable.row(name) != nil || name == "riscv_hwprobe", "\(name)")
            }
        }
    }

    private static let capabilities = [
        "CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_CHROOT", "CAP_SYS_MODULE",
        "CAP_SYS_PACCT", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG",
        "CAP_SYS_NICE", "CAP_SYSLOG", "CAP_BPF", "CAP_PERFMON",
    ]

    @Test(arguments: [
        ("CAP_SYS_ADMIN", "mount"), ("CAP_SYS_ADMIN", "unshare"), ("CAP_SYS_ADMIN", "clone3"),
        ("CAP_SYS_ADMIN", "clone"), ("CAP_SYS_BOOT", "reboot"), ("CAP_SYS_CHROOT", "chroot"),
        ("CAP_SYS_MODULE", "init_module"), ("CAP_SYS_PACCT", "acct"), ("CAP_SYS_PTRACE", "kcmp"),
        ("CAP_SYS_RAWIO", "iopl"), ("CAP_SYS_TIME", "settimeofday"), ("CAP_SYS_TTY_CONFIG", "vhangup"),
        ("CAP_SYS_NICE", "mbind"), ("CAP_SYSLOG", "syslog"), ("CAP_BPF", "bpf"),
        ("CAP_PERFMON", "perf_event_open"), ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    ])
    func capabilityOpens(capability: String, call: String) {
        #expect(!plainlyAllowed(.defaultProfile(capabilities: [])).contains(call))
        #expect(plainlyAllowed(.defaultProfile(capabilities: [capability])).contains(call))
    }

    @Test func neverAllowed() {
        let allowed = plainlyAllowed(.defaultProfile(capabilities: Set(Self.capabilities)))
        for name in [
            "kexec_load", "add_key", "keyctl", "request_key", "io_uring_setup", "userfaultfd", "swapon",
            "pivot_root", "nfsservctl",
        ] {
            #expect(!allowed.contains(name), "\(name)")
        }
    }

    @Test func survivesJSON() throws {
        let profile = Seccomp.defaultProfile(capabilities: ["CAP_CHOWN"])
        let again = try Seccomp(json: try JSON(parsing: profile.json.bytes()))
        #expect(again == profile)
        #expect(try SeccompFilter.compile(again).program == SeccompFilter.compile(profile).program)
    }

    @Test func agreesWithPodmansProfile() throws {
        let path = "/usr/share/containers/seccomp.json"
        guard let bytes = try? File.read(path) else {
            print("skipped: \(path) is not installed (golang-github-containers-common)")
            return
        }
        var theirs: Set<String> = []
        for rule in try JSON(parsing: bytes)["syscalls"]?.array ?? [] {
            guard rule["action"]?.string == "SCMP_ACT_ALLOW", (rule["args"]?.array ?? []).isEmpty,
                rule["includes"]?["caps"] == nil
            else { continue }
            if let architectures = rule["includes"]?["arches"]?.array, !architectures.contains("amd64") {
                continue
            }
            for name in rule["names"]?.array ?? [] { theirs.insert(name.string ?? "") }
        }
        let ours = plainlyAllowed(.defaultProfile(capabilities: [], machine: .x86_64))
        // Calls that came after that profile, and two that Docker added.
        let newer: Set = [
            "cachestat", "fchmodat2", "futex_requeue", "futex_wait", "futex_waitv", "futex_wake",
            "getxattrat",
            "io_pgetevents", "io_pgetevents_time64", "listmount", "listxattrat", "map_shadow_stack", "mseal",
            "removexattrat", "riscv_hwprobe", "setxattrat", "statmount", "uretprobe", "vmsplice",
        ]
        #expect(ours.subtracting(theirs).subtracting(newer) == [])
        // Podman lets containers make namespaces and mounts, Docker does not
        // without CAP_SYS_ADMIN; the rest is obsolete or not theirs to use.
        let podmansOwn: Set = [
            "clone", "clone3", "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr",
            "move_mount",
            "open_tree", "pivot_root", "setns", "umount", "umount2", "unshare", "pidfd_getfd", "keyctl",
            "get_mempolicy", "mbind", "set_mempolicy", "reboot", "syslog", "readdir", "sigaction", "signal",
            "sigpending", "sigsuspend", "syscall", "timerfd",
        ]
        #expect(theirs.subtracting(ours).subtracting(podmansOwn) == [])
    }

    /// What the socket rules mean, number by number.
    @Test func socketFamilies() throws {
        let filter = try SeccompFilter.compile(.defaultProfile(capabilities: []), for: .x86_64)
        let simulator = try FilterSimulator(filter.program)
        for (architecture, number) in [
            (UInt32(0xC000_003E), UInt32(41)), (0xC000_003E, 0x4000_0029), (0x4000_0003, 359),
        ] {
            for family in UInt64(0)..<200 {
                var call = Call(architecture: architecture, number: number)
                call.arguments[0] = family
                let allowed = simulator.run(call).answer == SeccompReturn.allow
                #expect(allowed == (family < 64 && family != 38 && family != 40), "\(call)")
                call.arguments[0] = family | 1 << 32
                if family >= 38, number != 359 {
                    #expect(simulator.run(call).answer != SeccompReturn.allow, "\(call)")
                }
            }
        }
    }
}
