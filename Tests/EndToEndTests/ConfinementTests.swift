import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// What a container may do by default, and the limits one sets.
    @Suite struct ConfinementTests {
        static func inside(_ host: Host, _ options: [String] = [], _ script: String) throws -> Finished {
            try host.apus(
                list: ["run", "--rm", "--network", "none"] + options + [
                    try host.busybox(), "sh", "-c", script,
                ])
        }

        static func capabilities(_ host: Host, _ options: String...) throws -> UInt64? {
            let line = try inside(host, options, "grep CapEff /proc/self/status").text
            return UInt64(line.fields.last ?? "", radix: 16)
        }

        @Test func fourteenCapabilities() throws {
            try Host.with { host in
                // chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw
                // sys_chroot mknod audit_write setfcap: Docker's. podman has fewer.
                let dockers: UInt64 = 0xA804_25FB
                let own = try Self.capabilities(host)
                #expect(own == dockers || Programs.peer != nil)
                #expect(try Self.capabilities(host, "--cap-drop", "ALL") == 0)
                #expect(
                    try Self.capabilities(
                        host, "--cap-drop", "all", "--cap-add", "NET_ADMIN", "--cap-add", "cap_sys_time") == 1
                        << 12 | 1 << 25)
                let more = try #require(try Self.capabilities(host, "--cap-add", "SYS_PTRACE"))
                #expect(more == (own ?? 0) | 1 << 19)
                let hosts = UInt64(Kernel.status(getpid(), "CapBnd") ?? "", radix: 16)
                #expect(try Self.capabilities(host, "--privileged") == hosts)
                #expect(try Self.inside(host, ["--cap-add", "NO_SUCH_CAP"], "true").exit == 125)
            }
        }

        @Test func seccompRefusesWhatDockersProfileRefuses() throws {
            try Host.with { host in
                let status = try Self.inside(host, [], "grep -E 'Seccomp:|NoNewPrivs' /proc/self/status").text
                    .fields
                #expect(status.contains("2"))
                #expect(
                    try Self.inside(host, ["--privileged"], "grep Seccomp: /proc/self/status").text.fields
                        .last == Kernel.status(getpid(), "Seccomp"))
                #expect(
                    try Self.inside(
                        host, ["--security-opt", "seccomp=unconfined"], "grep Seccomp: /proc/self/status"
                    ).text.fields.last == Kernel.status(getpid(), "Seccomp"))
                // unshare(2) of a user namespace needs CAP_SYS_ADMIN in the profile; keyctl(2) is never there.
                let unshare = try Self.inside(host, [], "unshare -U true")
                // Debian's podman allows it.
                #expect(unshare.errorText.contains("Operation not permitted") || Programs.peer != nil)
                #expect(try Self.inside(host, [], "mount -t tmpfs none /tmp").exit != 0)
            }
        }

        @Test func noNewPrivilegesOnRequest() throws {
            try Host.with { host in
                _ = try host.busybox()
                #expect(
                    try Self.inside(
                        host, ["--security-opt", "no-new-privileges"], "grep NoNewPrivs /proc/self/status"
                    ).text.fields.last == "1")
                #expect(
                    try Self.inside(host, [], "grep NoNewPrivs /proc/self/status").text.fields.last == "0")
            }
        }

        @Test func namespacesOfItsOwn() throws {
            try Host.with { host in
                let inside = try Self.inside(
                    host, [], "for n in pid ipc uts mnt net cgroup; do readlink /proc/self/ns/$n; done"
                ).lines
                #expect(inside.count == 6)
                for (name, link) in zip(["pid", "ipc", "uts", "mnt", "net", "cgroup"], inside) {
                    let own = try File.readLink("/proc/self/ns/\(name)")
                    // podman leaves the cgroup namespace to the host on cgroup v1.
                    if name == "cgroup", Programs.peer != nil { continue }
                    #expect(own != link, "\(name)")
                }
                #expect(try Self.inside(host, [], "echo $$; ls /proc | grep -c '^[0-9]'").lines.first == "1")
                #expect(
                    try Self.inside(host, ["--pid", "host"], "readlink /proc/self/ns/pid").text
                        == (try File.readLink("/proc/self/ns/pid")))
                #expect(
                    try Self.inside(host, ["--ipc", "host"], "readlink /proc/self/ns/ipc").text
                        == (try File.readLink("/proc/self/ns/ipc")))
                #expect(
                    try Self.inside(host, ["--uts", "host"], "readlink /proc/self/ns/uts").text
                        == (try File.readLink("/proc/self/ns/uts")))
            }
        }

        @Test func maskedAndReadOnlyPaths() throws {
            try Host.with { host in
                let shown = try Self.inside(
                    host, [],
                    "cat /proc/kcore | wc -c; cat /proc/keys | wc -c; ls /sys/firmware | wc -l; ls /proc/acpi 2>/dev/null | wc -l; echo x > /proc/sys/kernel/hostname; echo x > /proc/sysrq-trigger; touch /sys/x; echo done"
                )
                #expect(shown.text == "0\n0\n0\n0\ndone")
                #expect(
                    shown.errorText.split(separator: "\n").filter {
                        $0.contains("Read-only file system") || $0.contains("can't create")
                    }.count == 3)
                #expect(
                    try Self.inside(
                        host, ["--privileged"], "grep -c . /proc/keys; touch /proc/sys/kernel/domainname"
                    ).exit == 0)
            }
        }

        @Test func devicesAreTheUsualOnes() throws {
            try Host.with { host in
                let names = try Self.inside(host, [], "ls /dev").text.fields
                for name in [
                    "null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "fd", "stdin",
                    "stdout", "stderr",
                ] {
                    #expect(names.contains(name), "\(name)")
                }
                // Other devices may be made (mknod) but not opened: the device cgroup.
                let disk = try Self.inside(host, [], "mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem")
                #expect(disk.exit != 0)
                #expect(disk.errorText.contains("Operation not permitted"))
                #expect(
                    try Self.inside(host, [], "echo x > /dev/null && head -c 4 /dev/urandom | wc -c").text
                        .trimmed == "4")
                #expect(
                    try Self.inside(host, ["--device", "/dev/null:/dev/mynull"], "echo x > /dev/mynull").exit
                        == 0)
            }
        }

        @Test func memoryIsLimited() throws {
            try Host.with { host in
                let image = try host.busybox()
                let name = "\(host.prefix)-m"
                // Grows past 32 MiB of memory that cannot be swapped away: a tmpfs counts.
                let finished = try host.apus(
                    "run", "--name", name, "--network", "none", "--memory", "32m", "--tmpfs", "/t", image,
                    "sh", "-c", "dd if=/dev/zero of=/t/x bs=1M count=100 2>/dev/null & wait; tail /dev/zero")
                #expect(finished.exit == 137, "\(finished)")
                #expect(
                    try host.ok("inspect", "--format", "{{.State.OOMKilled}}", name) == "true"
                        || Programs.peer != nil)
                #expect(try host.ok("inspect", "--format", "{{.HostConfig.Memory}}", name) == "33554432")
                #expect(try host.apus("run", "--rm", "--memory", "1k", image, "true").exit != 0)
            }
        }

        @Test(.ours) func whatOnlyOneVersionOfControlGroupsHasIsDiscarded() throws {
            try Host.with { host in
                let isUnified = File.exists("/sys/fs/cgroup/cgroup.controllers")
                let options = ["--memory", "64m", "--memory-swappiness", "10", "--oom-kill-disable"]
                let finished = try Self.inside(host, options, "echo ran")
                #expect(finished.text == "ran", "\(finished)")
                #expect(finished.errorText.contains("--memory-swappiness is discarded") == isUnified)
                #expect(finished.errorText.contains("--oom-kill-disable is discarded") == isUnified)
                #expect(try Self.inside(host, ["--memory-swappiness", "-1"], "true").errorText == "")
            }
        }

        @Test func pidsAreLimited() throws {
            try Host.with { host in
                let finished = try Self.inside(
                    host, ["--pids-limit", "10"],
                    "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 5 & done; echo all")
                #expect(finished.exit != 0 || finished.errorText.contains("can't fork"))
                #expect(finished.errorText.contains("fork"))
            }
        }

        @Test func theCPUIsLimited() throws {
            try Host.with { host in
                // Half a processor for two seconds of wall time: about one second of processor time.
                let finished = try Self.inside(
                    host, ["--cpus", "0.5"],
                    "timeout 2 sh -c 'while :; do :; done'; cat /proc/self/cgroup > /dev/null; times")
                let spent = finished.text.split(separator: "\n").last.map(String.init)?.fields.first ?? ""
                let seconds = spent.split(separator: "m").last.flatMap { Double($0.dropLast()) } ?? -1
                #expect(seconds > 0.4 && seconds < 1.5, "\(finished)")
            }
        }

        @Test(arguments: ["", "/"]) func theParentOfTheGroupIsChosen(slash: String) throws {
            try Host.with { host in
                let parent = "\(host.prefix)-parent"
                host.later {
                    for hierarchy in ((try? File.names(in: "/sys/fs/cgroup")) ?? []) + ["."] {
                        rmdir("/sys/fs/cgroup/\(hierarchy)/\(parent)")
                    }
                }
                let id = try host.detached(
                    "--network", "none", "--cgroup-parent", slash + parent, try host.busybox(), "sleep",
                    "1000")
                let pid = try host.ok("inspect", "--format", "{{.State.Pid}}", id)
                let groups = try File.readText("/proc/\(pid)/cgroup").split(separator: "\n").compactMap {
                    $0.split(separator: ":").last.map(String.init)
                }
                let name = Programs.peer == nil ? id : "libpod-\(id)"
                #expect(groups.allSatisfy { $0 == "/" || $0.hasPrefix("/\(parent)/\(name)") }, "\(groups)")
                #expect(groups.contains { $0 != "/" })
            }
        }

        @Test func sharedMemorySysctlsAndLimits() throws {
            try Host.with { host in
                _ = try host.busybox()
                #expect(
                    try Self.inside(host, [], "df -k /dev/shm | tail -1").text.fields.dropFirst().first
                        == "64000" || Programs.peer == nil)
                #expect(
                    try Self.inside(host, ["--shm-size", "8m"], "df -k /dev/shm | tail -1").text.fields
                        .dropFirst().first == "8192")
                #expect(
                    try Self.inside(
                        host, ["--sysctl", "net.ipv4.ip_forward=1"], "cat /proc/sys/net/ipv4/ip_forward"
                    ).text == "1")
                let limits = try Self.inside(host, ["--ulimit", "nofile=100:200"], "ulimit -Sn; ulimit -Hn")
                // podman adds the limits of containers.conf, which this kernel may refuse.
                #expect(limits.text == "100\n200" || Programs.peer != nil, "\(limits)")
            }
        }

        @Test(.ours, arguments: ["hybrid", "v1", "v2"])
        func limitsHoldInEveryCgroupLayout(layout: String) throws {
            let mounts = Kernel.mounts()
            if layout == "hybrid", !mounts.contains("/sys/fs/cgroup/unified") { return }
            let isUnified = File.exists("/sys/fs/cgroup/cgroup.controllers")
            if layout == "v1", isUnified { return }
            try Host.with(checksLeaks: false) { host in
                let image = try host.busybox()
                let view: String
                switch layout {
                case "v1":
                    view =
                        "mount --make-rprivate /; ! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified"
                case "v2":
                    view =
                        "mount --make-rprivate /; umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup"
                default: view = "true"
                }
                let apus = host.command.map { "'\($0)'" }.joined(separator: " ")
                func run(_ options: String, _ script: String) throws -> Finished {
                    try ProgramRun.run(
                        [
                            "unshare", "--mount", "sh", "-c",
                            "\(view)\n\(apus) run --rm --network none \(options) \(image) sh -c '\(script)'",
                        ],
                        environment: host.environment)
                }
                let plain = try run("", "echo ok; cat /proc/self/cgroup")
                #expect(plain.exit == 0, "\(plain)")
                #expect(plain.lines.first == "ok")
                let denied = try run("", "mknod /tmp/m c 1 1 && head -c 1 /tmp/m")
                #expect(denied.errorText.contains("Operation not permitted"), "\(denied)")
                // In a v2 view of a machine that has v1, the controllers are with v1.
                if layout != "v2" || isUnified {
                    #expect(
                        try run("--pids-limit 8", "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 3 & done")
                            .errorText.contains("fork"))
                    let files =
                        isUnified
                        ? "memory.max cpu.max" : "memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us"
                    let shown = try run("--memory 64m --cpus 0.25", "cd /sys/fs/cgroup; cat \(files)")
                    #expect(
                        shown.text == (isUnified ? "67108864\n25000 100000" : "67108864\n25000"), "\(shown)")
                }
            }
        }
    }
}
