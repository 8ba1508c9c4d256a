import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// Published escapes by devices, masks and what is written to the kernel while a container is made.
    @Suite struct RuntimeSecurityMaskTests {
        typealias Bundle = RuntimeCommandTests.Bundle

        /// Masked files got the container's own /dev/null mounted over them: made a link just in time,
        /// it put a file like `/proc/sys/kernel/core_pattern` there, writable, or nothing at all.
        @Test func CVE_2025_31133() throws {
            try Host.with { host in
                let bundle = try Bundle(host)
                let bait = try Bait(host)
                try host.write("prize", to: "bundle/rootfs/etc/prize")
                try host.write("hidden", to: "bundle/rootfs/etc/hidden")
                try bundle.giveRights()
                try bundle.linux {
                    let paths = $0["maskedPaths"]?.array ?? []
                    $0["maskedPaths"] = .array(paths + ["/etc/hidden"])
                }
                try bundle.script(
                    """
                    for file in /etc/hidden /proc/timer_list /proc/keys /proc/kcore; do
                      head -c 100 $file | grep -q . && echo "seen in $file"
                      ( echo pwned > $file ) 2> /tmp/error
                    done; cat /etc/prize
                    """)
                func check(_ finished: Finished) {
                    #expect(finished.exit != 0 || finished.text == "prize", "\(finished)")
                    #expect((try? File.readText("\(bundle.rootfs)/etc/prize")) == "prize")
                    #expect(!finished.text.contains("seen"), "\(finished)")
                }
                try bundle.removeMounts("/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")
                for target in [
                    "/etc/prize", "../etc/prize", "/proc/self/status", "/nothing", "null",
                    "/proc/sys/kernel/domainname",
                    "\(String(repeating: "../", count: 30))\(bait.path.dropFirst())/null",
                ] {
                    try bundle.plant(target, at: "dev/null")
                    check(try bundle.attack())
                }
                // A directory, a socket's name, a file.
                for kind in ["mkdir", "mkfifo", "touch"] {
                    try File.removeTree("\(bundle.rootfs)/dev/null")
                    try ProgramRun.tool(kind, "\(bundle.rootfs)/dev/null")
                    check(try bundle.attack())
                }
                // Another container has the same /dev, and exchanges the name.
                try File.removeTree("\(bundle.rootfs)/dev/null")
                try File.makeSymbolicLink(to: "/etc/prize", "\(bundle.rootfs)/dev/null")
                try ProgramRun.tool("mknod", "\(bundle.rootfs)/dev/other", "c", "1", "3")
                let exchanger = Exchanger("\(bundle.rootfs)/dev/null", "\(bundle.rootfs)/dev/other")
                try bundle.attackRepeatedly { check($0) }
                #expect(exchanger.end() > 0)
                #expect(bait.damage.isEmpty, "\(bait.damage)")
            }
        }

        /// The terminal was mounted on /dev/console by its name in the container's /dev/pts, before the
        /// masks: a link there put a writable file of /proc on /dev/console.
        @Test func CVE_2025_52565() throws {
            try Host.with { host in
                let bundle = try Bundle(host, terminal: true)
                let bait = try Bait(host)
                let listener = try UnixSocket.listen(host.path("console"), .stream)
                try bundle.script(
                    "stat -c '%t %F' /dev/console > /tmp/console; cat /proc/self/mountinfo > /tmp/mounts")
                func check() throws {
                    try? File.removeTree("\(bundle.rootfs)/tmp/console")
                    let finished = try ProgramRun.run([
                        "sh", "-c",
                        "\(bundle.runtime.joined(separator: " ")) create -b \(bundle.path) --console-socket \(host.path("console")) attack < /dev/null > \(host.path("out")) 2>&1",
                    ])
                    if finished.exit == 0 {
                        guard let connection = try UnixSocket.accept(listener.raw) else {
                            throw Unexpected("nobody connects")
                        }
                        // Held open: the end of its terminal would end the process.
                        defer { _ = connection.raw }
                        #expect(try bundle.run("start", "attack").exit == 0)
                        try host.eventually("it ends") {
                            try bundle.state("attack")["status"] == "stopped"
                        }
                        let mounts = (try? File.readText("\(bundle.rootfs)/tmp/mounts")) ?? ""
                        // Only a terminal lies there.
                        for line in mounts.split(separator: "\n") where line.contains(" /dev/console ") {
                            #expect(line.contains(" - devpts "), "\(line)")
                        }
                        #expect(!mounts.contains("core_pattern") && !mounts.contains(bait.path), "\(mounts)")
                    }
                    _ = try bundle.run("delete", "--force", "attack")
                }
                try check()
                #expect(try File.readText("\(bundle.rootfs)/tmp/console") == "88 character special file\n")
                // The image's own /dev, with links where terminals are named.
                try bundle.removeMounts("/dev", "/dev/shm", "/dev/mqueue")
                try File.makeDirectories("\(bundle.rootfs)/dev/pts")
                for target in [
                    "/proc/sys/kernel/core_pattern", "\(bait.path)/console", "\(bait.path)/new", "console",
                ] {
                    try bundle.plant(target, at: "dev/console")
                    try bundle.plant(target, at: "dev/pts/0")
                    try check()
                }
                let pts = ["/dev/pts"]
                try bundle.mounts { $0.removeAll { pts.contains($0["destination"]?.string ?? "") } }
                try bundle.plant("/proc/sys/kernel/core_pattern", at: "dev/ptmx")
                try check()
                // Another container has the same /dev, and exchanges the names.
                try File.removeTree("\(bundle.rootfs)/dev/console")
                try host.write("", to: "bundle/rootfs/dev/console")
                try bundle.plant("/proc/sys/kernel/core_pattern", at: "dev/other")
                try bundle.mounts {
                    $0.append(["destination": "/dev/pts", "type": "devpts", "source": "devpts"])
                }
                let exchanger = Exchanger("\(bundle.rootfs)/dev/console", "\(bundle.rootfs)/dev/other")
                let deadline = ContinuousClock.now + .seconds(1)
                while ContinuousClock.now < deadline { try check() }
                #expect(exchanger.end() > 0)
                #expect(bait.damage.isEmpty, "\(bait.damage)")
            }
        }

        /// What the runtime writes to /proc (sysctls, labels) was led into other files of /proc, like
        /// `/proc/sysrq-trigger`, or into nothing, by mounts and links that were swapped in.
        @Test func CVE_2025_52881() throws {
            try Host.with { host in
                let bundle = try Bundle(host)
                let config = bundle.config
                let value = "7 8"
                let name = "net/ipv4/ping_group_range"
                try bundle.linux { $0["sysctl"] = ["net.ipv4.ping_group_range": .string(value)] }
                try host.write("0 0", to: "fake/sys/\(name)")
                try host.write("", to: "fake/self/attr/exec")
                // Often, because the names are exchanged between two looks, too.
                try bundle.script(
                    "for i in $(seq 20); do cat /proc/sys/\(name); cat /other/sys/\(name); done")
                let wanted = "7\t8"
                #expect(try bundle.attack().lines.allSatisfy { $0 == wanted })
                // A root file system whose /proc is exchanged for one with plain files of the same names.
                try ProgramRun.tool("cp", "-a", host.path("fake"), "\(bundle.rootfs)/other")
                let exchanger = Exchanger("\(bundle.rootfs)/proc", "\(bundle.rootfs)/other")
                try bundle.attackRepeatedly {
                    // Wherever the kernel's view is now, the kernel has got the value.
                    #expect($0.exit != 0 || $0.text.contains(wanted), "\($0)")
                    #expect(!$0.text.contains(value), "a plain file was written: \($0)")
                }
                #expect(exchanger.end() > 0)
                for name in ["proc", "other"] {
                    let file = "\(bundle.rootfs)/\(name)/sys/net/ipv4/ping_group_range"
                    if File.exists(file) { #expect(try File.readText(file) == "0 0") }
                }
                // Names that lead out of /proc/sys, or to what is no namespace's.
                for name in [
                    "net/../../sysrq-trigger", "net.ipv4/../../../sysrq-trigger", "../sysrq-trigger",
                    "net/./../../self/attr/exec", "kernel.core_pattern", "kernel/core_pattern", "net/", "/",
                    "",
                    "net//../..//sysrq-trigger", "net/ipv4/conf/../../../kernel/core_pattern",
                    "net/ipv4\u{0}/x",
                    "net/../\u{301}x",
                ] {
                    try bundle.edit { $0 = config.object ?? [:] }
                    try bundle.linux { $0["sysctl"] = [name: "x"] }
                    try bundle.command("echo", "it ran")
                    let finished = try bundle.attack()
                    #expect(finished.exit != 0 && finished.text.isEmpty, "\(name): \(finished)")
                }
            }
        }

        /// An image's /dev that is a link took device nodes, links and the terminal's place to where it
        /// led (runc's CVE-2026-41579, crun's CVE-2026-47766).
        @Test func CVE_2026_41579_and_CVE_2026_47766() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["true"])
                let bait = try Bait(host)
                let up = String(repeating: "../", count: 30)
                try bundle.giveRights()
                let config = bundle.config
                for target in [
                    bait.path, "\(up)\(bait.path.dropFirst())", "\(bait.path)/sub", "/proc/self/cwd",
                    "/proc/self/fd/3", "/proc/1/root/\(bait.path)", "dev", "/nothing/there",
                ] {
                    for removed in [["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"], ["/dev"], []] {
                        try bundle.edit { $0 = config.object ?? [:] }
                        try bundle.mounts {
                            $0.removeAll { removed.contains($0["destination"]?.string ?? "") }
                        }
                        try bundle.linux {
                            $0["devices"] = [
                                ["type": "c", "path": "/dev/sub/zero", "major": 1, "minor": 5],
                                ["type": "p", "path": "/dev/pipe"],
                            ]
                        }
                        try bundle.plant(target, at: "dev")
                        let finished = try bundle.attack()
                        #expect(bait.damage.isEmpty, "\(target): \(bait.damage) \(finished)")
                    }
                }
                // Exchanged while containers are made.
                try bundle.edit { $0 = config.object ?? [:] }
                try bundle.removeMounts("/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")
                try File.removeTree("\(bundle.rootfs)/dev")
                try File.makeDirectories("\(bundle.rootfs)/dev")
                try File.makeSymbolicLink(to: bait.path, "\(bundle.rootfs)/other")
                let exchanger = Exchanger("\(bundle.rootfs)/dev", "\(bundle.rootfs)/other")
                try bundle.attackRepeatedly { _ in }
                #expect(exchanger.end() > 0)
                #expect(bait.damage.isEmpty, "\(bait.damage)")
            }
        }
    }
}
