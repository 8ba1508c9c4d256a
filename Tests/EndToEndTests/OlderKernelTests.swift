import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// The same with the system calls of today and without (Tests/OlderKernel). `make test-fallback`
    /// runs all tests so.
    @Suite struct OlderKernelTests {
        private typealias Bundle = RuntimeCommandTests.Bundle

        /// All programs are built into the same directory as the tests.
        private static let launcher: String = {
            let own = (try? File.readLink("/proc/self/exe")) ?? ""
            return own[..<(own.lastIndex(of: "/") ?? own.startIndex)] + "/older-kernel"
        }()

        @Test(.ours) func theLauncherTakesCallsAway() throws {
            try Host.with { host in
                // Its own check of what it runs under.
                let finished = try ProgramRun.run([Self.launcher, "sh", "-c", "exit 7"])
                #expect(finished.exit == 7)
                let status = try ProgramRun.run([Self.launcher, "cat", "/proc/self/status"]).lines
                #expect(status.contains("NoNewPrivs:\t0"))
                #expect(status.contains("Seccomp:\t2"))
                let missing = try ProgramRun.run([Self.launcher, "/no/such/program"])
                #expect(missing.exit == 125)
            }
        }

        /// The whole lane, and not only this test: what was asked for is there.
        @Test(.enabled(if: Programs.environment("APUS_FALLBACK") != nil, "make test-fallback only"))
        func theLaneIsOne() {
            for number in [SYS_openat2, SYS_clone3, SYS_close_range] {
                #expect(linux_syscall(Int(number), -1, 0, 0, 0, 0, 0) == Int(-ENOSYS))
            }
            for number in 428..<470 {
                #expect(linux_syscall(number, -1, 0, 0, 0, 0, 0) == Int(-ENOSYS))
            }
        }

        @Test(.ours) func bothMakeTheSameContainer() throws {
            try Host.with { host in
                // What a container can see of itself, but for numbers that differ each time: /proc has
                // a link for each process of the whole machine.
                let script = """
                    cut -d' ' -f4- /proc/self/mountinfo | sed 's/ master:[0-9]*//; s/ - / /; s/,inode64//'
                    grep -E 'Cap|NoNewPrivs|Groups' /proc/self/status
                    ls -l /dev /dev/pts | tr -s ' ' | cut -d' ' -f1,3-6,10-
                    cat /proc/self/cgroup; hostname; id; ulimit -a
                    ls -ld / /proc /sys /tmp | tr -s ' ' | cut -d' ' -f1,3-
                    for p in /proc/kcore /proc/keys; do wc -c < $p; done; ls /proc/acpi /sys/firmware
                    touch /x /proc/sys/kernel/x 2>&1; ls /proc/self/fd | wc -l
                    """
                let bundle = try Bundle(host, arguments: ["sh", "-c", script])
                let volume = host.path("volume")
                try File.makeDirectories("\(volume)/deep")
                try bundle.edit { config in
                    var mounts = config["mounts"]?.array ?? []
                    mounts.append([
                        "destination": "/volume", "type": "bind", "source": .string(volume),
                        "options": ["rbind", "ro", "nosuid", "noatime"],
                    ])
                    mounts.append([
                        "destination": "/file", "type": "bind", "source": "/etc/passwd",
                        "options": ["bind", "ro"],
                    ])
                    mounts.append([
                        "destination": "/scratch", "type": "tmpfs", "source": "tmpfs",
                        "options": ["size=64k", "mode=1750", "noexec", "nodev"],
                    ])
                    config["mounts"] = .array(mounts)
                }
                let today = try bundle.run("run", "--bundle", bundle.path, "c")
                let older = try ProgramRun.run(
                    [Self.launcher] + bundle.runtime + ["run", "--bundle", bundle.path, "c"])
                #expect(older.exit == today.exit && older.errorText == today.errorText, "\(older)")
                #expect(!today.lines.isEmpty && older.lines.count == today.lines.count)
                for (old, new) in zip(older.lines, today.lines) { #expect(old == new) }
            }
        }
    }
}
