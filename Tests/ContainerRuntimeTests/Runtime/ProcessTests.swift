import LinuxSystem
import OCISpec
import Testing

extension RuntimeTests {
    @Suite struct Processes {
        @Test func identityAndRights() throws {
            let fixture = try RuntimeFixture()
            fixture.config.process?.user = User(uid: 1000, gid: 1001, additionalGids: [5, 7], umask: 0o77)
            fixture.config.process?.capabilities?.inheritable = ["CAP_KILL"]
            fixture.config.process?.capabilities?.ambient = ["CAP_KILL"]
            fixture.shell("id -u; id -g; id -G; umask; grep -E '^Cap|NoNew' /proc/self/status; echo $HOME")
            #expect(
                try fixture.run().output == """
                    1000
                    1001
                    1001 5 7
                    0077
                    CapInh:\t0000000000000020
                    CapPrm:\t0000000000000020
                    CapEff:\t0000000000000020
                    CapBnd:\t0000000020000420
                    CapAmb:\t0000000000000020
                    NoNewPrivs:\t1
                    /

                    """)
        }

        @Test func homeComesFromTheContainersUsers() throws {
            let fixture = try RuntimeFixture()
            try fixture.write(
                "rootfs/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n")
            fixture.config.process?.user = User(uid: 1000)
            fixture.shell("echo $HOME")
            #expect(try fixture.run().output == "/home/bob\n")
        }

        @Test func limitsBindTheCommandOnly() throws {
            let fixture = try RuntimeFixture()
            // Fewer than the runtime itself has open.
            fixture.config.process?.rlimits = [
                Rlimit(type: "RLIMIT_NOFILE", soft: 5, hard: 6),
                Rlimit(type: "RLIMIT_CORE", soft: 0, hard: 0),
            ]
            fixture.shell("ulimit -n; ulimit -H -n; ulimit -c")
            #expect(try fixture.run().output == "5\n6\n0\n")
            fixture.config.process?.rlimits = [Rlimit(type: "RLIMIT_BOGUS", soft: 5, hard: 6)]
            #expect(try fixture.run().code == 1)
        }

        @Test(arguments: [
            ("nothing", "executable file not found in $PATH"), ("/nothing", "no such file or directory"),
            ("/etc/plain", "permission denied"), ("/etc/garbage", "exec format error"),
            ("/etc/script", "no such file or directory"),
        ])
        func commandsThatCannotRun(_ command: String, _ complaint: String) throws {
            let fixture = try RuntimeFixture()
            try fixture.write("rootfs/etc/plain", "#!/bin/sh\n")
            try fixture.write("rootfs/etc/garbage", "nothing to execute\n", mode: 0o755)
            try fixture.write("rootfs/etc/script", "#!/no/interpreter\n", mode: 0o755)
            fixture.config.process?.args = [command]
            let outcome = try fixture.run()
            #expect(outcome.code == 1)
            #expect(outcome.output.contains(complaint), "\(outcome.output)")
            #expect(fixture.status == nil && fixture.cgroupCount == 0)
        }

        @Test(.enabled(if: RuntimeFixture.isOurs))
        func exitCodesOfAShellOnRequest() throws {
            let fixture = try RuntimeFixture()
            try fixture.write("rootfs/etc/plain", "")
            for (command, code) in [("nothing", 127), ("/etc", 126), ("/etc/plain", 126)] as [(String, Int32)]
            {
                fixture.config.process?.args = [command]
                try fixture.save()
                #expect(
                    try fixture.command(["--shell-exit-codes", "run", "-b", fixture.directory, fixture.id])
                        .code == code)
            }
        }

        @Test func theWorkingDirectoryIsMade() throws {
            let fixture = try RuntimeFixture()
            fixture.config.root?.readonly = false
            fixture.config.process?.cwd = "/var/work/here"
            fixture.shell("pwd")
            #expect(try fixture.run().output == "/var/work/here\n")
        }

        @Test func onlyTheDescriptorsThatWereAskedFor() throws {
            let fixture = try RuntimeFixture()
            // The shell's own listing has its directory open besides.
            fixture.shell("for f in /proc/self/fd/*; do echo ${f##*/}; done")
            let outcome = try fixture.run()
            #expect(outcome.output.lines.filter { $0 != "3" } == ["0", "1", "2"], "\(outcome.output)")
        }

        @Test func kernelParametersOfItsNamespaces() throws {
            let fixture = try RuntimeFixture()
            fixture.config.linux?.sysctl = ["net.ipv4.ip_forward": "1", "kernel.msgmax": "4096"]
            fixture.shell("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax")
            #expect(try fixture.run().output == "1\n4096\n")
            for name in ["vm.swappiness", "kernel.hostname", "net/../kernel/core_pattern"] {
                fixture.config.linux?.sysctl = [name: "1"]
                #expect(try fixture.run().code != 0, "\(name)")
            }
        }

        @Test func seccompWithAndWithoutNewPrivileges() throws {
            let fixture = try RuntimeFixture()
            fixture.config.linux?.seccomp = Seccomp(defaultAction: .allow)
            fixture.config.linux?.seccomp?.syscalls = [
                Seccomp.Syscall(names: ["mkdir", "mkdirat"], action: .errno, errnoRet: UInt32(ENOTTY))
            ]
            for isPrivileged in [false, true] {
                fixture.config.process?.noNewPrivileges = !isPrivileged
                fixture.config.process?.user = User(uid: 1000, gid: 1000)
                fixture.shell(
                    "mkdir /dev/shm/x; grep Seccomp: /proc/self/status; grep CapEff /proc/self/status")
                let output = try fixture.run().output
                #expect(output.contains("Not a tty") || output.contains("Inappropriate ioctl"), "\(output)")
                #expect(output.contains("Seccomp:\t2"))
                #expect(output.contains("CapEff:\t0000000000000000"))
            }
        }

        @Test(.enabled(if: RuntimeFixture.isOurs))
        func aFilterThatAllowsLittleMoreThanTheCommandNeeds() throws {
            let fixture = try RuntimeFixture()
            // No execveat, no setresuid, no sendto: what the runtime does must be done before.
            fixture.config.linux?.seccomp = Seccomp(defaultAction: .errno)
            fixture.config.linux?.seccomp?.syscalls = [
                Seccomp.Syscall(
                    names: [
                        "execve", "arch_prctl", "set_tid_address", "set_robust_list", "rseq", "prlimit64",
                        "readlinkat",
                        "readlink", "getrandom", "mprotect", "exit_group", "brk", "mmap", "munmap", "write",
                        "fcntl",
                        "getuid", "prctl", "capset", "fstat", "newfstatat",
                    ], action: .allow)
            ]
            fixture.config.process?.args = ["/bin/echo", "here"]
            for isPrivileged in [false, true] {
                fixture.config.process?.noNewPrivileges = !isPrivileged
                fixture.config.process?.user = User(uid: 1000, gid: 1000)
                #expect(try fixture.run().output == "here\n")
            }
        }

        @Test func schedulingAndPersonality() throws {
            let fixture = try RuntimeFixture()
            fixture.config.process?.oomScoreAdj = 321
            fixture.shell("cat /proc/self/oom_score_adj")
            #expect(try fixture.run().output == "321\n")
        }
    }
}
