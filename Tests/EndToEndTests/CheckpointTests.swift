import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// `apus-runtime checkpoint` and `restore`, which CRIU does the work of.
    @Suite(.ours) struct CheckpointTests {
        typealias Bundle = RuntimeCommandTests.Bundle

        /// nil when CRIU works here; else why it does not.
        private static let obstacle: String? = {
            guard let criu = Programs.find("criu") else { return "not installed: criu" }
            guard let check = try? ProgramRun.run([criu, "check"]) else { return "criu check cannot be run" }
            if check.exit == 0 { return nil }
            let words = check.errorText + check.text
            return "criu check fails: \(words.split(separator: "\n").first ?? "")"
        }()
        private static let criuWorks = ConditionTrait.enabled(
            if: obstacle == nil, Comment(rawValue: obstacle ?? ""))

        /// Counts in its memory: a restored one goes on where it was.
        private static let counter = [
            "sh", "-c", "n=0; while true; do n=$((n+1)); echo $n > /count; usleep 20000; done",
        ]

        private func started(_ host: Host, _ arguments: [String] = counter) throws -> Bundle {
            let bundle = try Bundle(host, arguments: arguments)
            try start(bundle)
            return bundle
        }

        /// With standard streams that are there again when it is restored, which a file of the
        /// host's is not.
        private func start(_ bundle: Bundle, _ globals: String...) throws {
            let line = (bundle.runtime + globals + ["run", "-d", "--bundle", bundle.path, "c"])
                .map { "'\($0)'" }.joined(separator: " ")
            try ProgramRun.tool("sh", "-c", "\(line) < /dev/null > /dev/null 2>&1")
        }

        private func count(_ bundle: Bundle) -> Int {
            let text = try? File.readText("\(bundle.path)/rootfs/count")
            return text.flatMap { Int($0.trimmed) } ?? 0
        }

        private func waitForCount(_ host: Host, _ bundle: Bundle, above minimum: Int) throws {
            try host.eventually("it counts above \(minimum)") { count(bundle) > minimum }
        }

        /// `restore -d`, its standard streams not the test's pipes, which would stay open.
        @discardableResult
        private func restore(
            _ host: Host, _ bundle: Bundle, globals: [String] = [], _ options: String...
        ) throws -> Finished {
            let line =
                (bundle.runtime + globals + [
                    "restore", "-d", "--bundle", bundle.path, "--image-path", host.path("images"),
                ]
                + options).map { "'\($0)'" }.joined(separator: " ")
            var finished = try ProgramRun.run([
                "sh", "-c", "\(line) < /dev/null > \(host.path("out")) 2>&1",
            ])
            finished.errors = (try? File.read(host.path("out"))) ?? []
            return finished
        }

        @Test(criuWorks) func aContainerGoesOnWhereItWas() throws {
            try Host.with { host in
                let bundle = try started(host)
                try waitForCount(host, bundle, above: 10)
                let images = host.path("images")
                for _ in 1...2 {
                    let dumped = try bundle.run("checkpoint", "--image-path", images, "c")
                    #expect(dumped.exit == 0, "\(dumped)")
                    #expect(try bundle.run("state", "c").exit != 0)
                    let before = count(bundle)
                    usleep(100_000)
                    #expect(count(bundle) == before)

                    let restored = try restore(host, bundle, "--pid-file", host.path("pid"), "c")
                    #expect(restored.exit == 0, "\(restored)")
                    try waitForCount(host, bundle, above: before)
                    #expect(count(bundle) < before + 1000)
                    let state = try bundle.state("c")
                    #expect(state["status"] == "running")
                    #expect(try File.readText(host.path("pid")) == "\(try #require(state["pid"]?.int))")
                }
                // All that can be done with a container can be done with it.
                let clock = try bundle.run(
                    "exec", "c", "sh", "-c", "readlink /proc/self/ns/time; readlink /proc/1/ns/time")
                #expect(clock.exit == 0, "\(clock)")
                #expect(Set(clock.lines).count == 1, "\(clock)")
                #expect(try bundle.run("pause", "c").exit == 0)
                #expect(try bundle.state("c")["status"] == "paused")
                #expect(try bundle.run("resume", "c").exit == 0)
                #expect(try bundle.run("kill", "c", "KILL").exit == 0)
                try host.eventually("it is stopped") { try bundle.state("c")["status"] == "stopped" }
                #expect(try bundle.run("delete", "c").exit == 0)
                #expect(!File.exists("\(bundle.state)/c"))
            }
        }

        @Test(criuWorks) func itMayGoOnAfterItsCheckpoint() throws {
            try Host.with { host in
                let bundle = try started(host)
                try waitForCount(host, bundle, above: 5)
                let pid = try bundle.state("c")["pid"]
                let dumped = try bundle.run(
                    "checkpoint", "--image-path", host.path("images"), "--work-path", host.path("work"),
                    "--leave-running", "c")
                #expect(dumped.exit == 0, "\(dumped)")
                #expect(File.exists(host.path("images/inventory.img")))
                #expect(File.exists(host.path("work/dump.log")))
                #expect(try File.status(host.path("images")).st_mode & 0o077 == 0)
                #expect(try bundle.state("c")["pid"] == pid)
                try waitForCount(host, bundle, above: count(bundle) + 1)
                // The other can be restored beside it only by another name.
                #expect(try restore(host, bundle, "c").errorText.contains("already exists"))
            }
        }

        @Test(criuWorks) func aForegroundRestoreEndsAsTheContainerDoes() throws {
            try Host.with { host in
                let bundle = try started(
                    host, ["sh", "-c", "while [ ! -e /end ]; do usleep 20000; done; exit 7"])
                #expect(try bundle.run("checkpoint", "--image-path", host.path("images"), "c").exit == 0)
                let restored = try ProgramRun(
                    bundle.runtime + [
                        "restore", "--bundle", bundle.path, "--image-path", host.path("images"), "d",
                    ])
                try restored.wait(for: "restored container") {
                    (try? bundle.state("d")["status"]) == "running"
                }
                try host.write("", to: "bundle/rootfs/end")
                #expect(try restored.finish().exit == 7)
                #expect(try bundle.run("state", "d").exit != 0)
            }
        }

        @Test(
            criuWorks, .enabled(if: access("/run/systemd/system", F_OK) == 0, "systemd is not process 1"))
        func whatSystemdManagesIsAScopeAgain() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: Self.counter)
                let unit = "apus-\(host.prefix).scope"
                try bundle.edit { config in
                    var linux = config["linux"]?.object ?? [:]
                    linux["cgroupsPath"] = .string("system.slice:apus:\(host.prefix)")
                    var resources = linux["resources"]?.object ?? [:]
                    resources["pids"] = ["limit": 50]
                    linux["resources"] = .object(resources)
                    config["linux"] = .object(linux)
                }
                try start(bundle, "--systemd-cgroup")
                try waitForCount(host, bundle, above: 5)
                func property(_ name: String) throws -> String {
                    try ProgramRun.tool("systemctl", "show", "--value", "-p", name, unit)
                }
                for _ in 1...2 {
                    let dumped = try bundle.run("checkpoint", "--image-path", host.path("images"), "c")
                    #expect(dumped.exit == 0, "\(dumped)")
                    #expect(try property("LoadState") == "not-found")
                    let before = count(bundle)
                    let restored = try restore(host, bundle, globals: ["--systemd-cgroup"], "c")
                    #expect(restored.exit == 0, "\(restored)")
                    try waitForCount(host, bundle, above: before)
                    #expect(try property("ActiveState") == "active")
                    #expect(try property("TasksMax") == "50")
                    let pid = try #require(try bundle.state("c")["pid"]?.int)
                    #expect(try File.readText("/proc/\(pid)/cgroup").contains("/system.slice/\(unit)\n"))
                }
                #expect(try bundle.run("update", "--pids-limit", "30", "c").exit == 0)
                #expect(try property("TasksMax") == "30")
                #expect(try bundle.run("exec", "c", "true").exit == 0)
                #expect(try bundle.run("delete", "--force", "c").exit == 0)
                #expect(try property("LoadState") == "not-found")

                // One that fails leaves no unit.
                try bundle.edit { config in
                    config["hooks"] = ["createRuntime": [["path": "/bin/false", "args": ["false"]]]]
                }
                #expect(try restore(host, bundle, globals: ["--systemd-cgroup"], "c").exit == 1)
                #expect(!File.exists("\(bundle.state)/c"))
                #expect(try property("LoadState") == "not-found")
            }
        }

        @Test(criuWorks) func mountsComeFromTheHostAgain() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["sh", "-c", "echo a > /tmpfs/file; sleep 1000"])
                try host.write("first", to: "source/file")
                try bundle.edit { config in
                    var mounts = config["mounts"]?.array ?? []
                    mounts.append([
                        "destination": "/link/inner", "source": .string(host.path("source")), "type": "bind",
                        "options": ["bind", "ro"],
                    ])
                    mounts.append(["destination": "/tmpfs", "source": "tmpfs", "type": "tmpfs"])
                    config["mounts"] = .array(mounts)
                    var hooks = config["hooks"]?.object ?? [:]
                    hooks["createRuntime"] = [
                        ["path": "/bin/sh", "args": ["sh", "-c", .string("cat >> \(host.path("hook"))")]]
                    ]
                    config["hooks"] = .object(hooks)
                }
                try File.makeDirectory("\(bundle.path)/rootfs/real")
                try File.makeSymbolicLink(to: "/real", "\(bundle.path)/rootfs/link")
                try start(bundle)
                try host.eventually("the file is there") {
                    try bundle.run("exec", "c", "cat", "/tmpfs/file").text == "a"
                }
                let dumped = try bundle.run("checkpoint", "--image-path", host.path("images"), "c")
                #expect(dumped.exit == 0, "\(dumped)")
                try host.write("second", to: "source/file")
                // The mount point is made again.
                try File.removeDirectory("\(bundle.path)/rootfs/real/inner")
                try host.write("", to: "hook")
                let restored = try restore(host, bundle, "c")
                #expect(restored.exit == 0, "\(restored)")
                #expect(try bundle.run("exec", "c", "cat", "/link/inner/file").text == "second")
                #expect(try bundle.run("exec", "c", "cat", "/tmpfs/file").text == "a")
                #expect(try bundle.run("exec", "c", "touch", "/link/inner/x").exit != 0)
                #expect(try bundle.run("exec", "c", "cat", "/proc/kcore").output.isEmpty)
                let state = try JSON(parsing: try File.readText(host.path("hook")))
                #expect(state["pid"] == (try bundle.state("c")["pid"]))
                // None of it is seen on the host.
                #expect(!(try File.readText("/proc/self/mountinfo").contains("criu-root")))
            }
        }

        @Test(criuWorks) func aFailedCheckpointLeavesTheContainerRunning() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: Self.counter)
                // Its standard output is a file that is not in the container.
                let line = (bundle.runtime + ["run", "-d", "--bundle", bundle.path, "c"])
                    .map { "'\($0)'" }.joined(separator: " ")
                try ProgramRun.tool("sh", "-c", "\(line) < /dev/null > \(host.path("outside")) 2>/dev/null")
                try waitForCount(host, bundle, above: 5)
                let dumped = try bundle.run("checkpoint", "--image-path", host.path("images"), "c")
                #expect(dumped.exit == 1)
                #expect(dumped.errorText.contains("checkpoint failed"), "\(dumped)")
                #expect(dumped.errorText.contains("images/dump.log"), "\(dumped)")
                #expect(dumped.errorText.contains("Error (criu/"), "\(dumped)")
                #expect(try bundle.state("c")["status"] == "running")
                try waitForCount(host, bundle, above: count(bundle) + 1)
            }
        }

        @Test(criuWorks) func aRestoreThatFailsOrIsKilledLeavesNothing() throws {
            try Host.with { host in
                let bundle = try started(host)
                try waitForCount(host, bundle, above: 5)
                #expect(try bundle.run("checkpoint", "--image-path", host.path("images"), "c").exit == 0)
                try bundle.edit { config in
                    config["hooks"] = [
                        "createRuntime": [
                            ["path": "/bin/sh", "args": ["sh", "-c", "echo refused; exit 3"]]
                        ]
                    ]
                }
                let refused = try restore(host, bundle, "c")
                #expect(refused.exit == 1)
                #expect(refused.errorText.contains("refused"), "\(refused)")
                #expect(!File.exists("\(bundle.state)/c"))

                try bundle.edit { config in
                    config["hooks"] = [
                        "createRuntime": [
                            [
                                "path": "/bin/sh",
                                "args": [
                                    "sh", "-c", .string("echo $$ > \(host.path("sleeper")); exec sleep 1000"),
                                ],
                            ]
                        ]
                    ]
                }
                let before = count(bundle)
                let killed = try ProgramRun(
                    bundle.runtime + [
                        "restore", "-d", "--bundle", bundle.path, "--image-path", host.path("images"), "c",
                    ])
                try killed.wait(for: "hook") { File.exists(host.path("sleeper")) }
                killed.send(SIGKILL)
                usleep(200_000)
                let sleeper = try #require(pid_t(try File.readText(host.path("sleeper")).trimmed))
                kill(sleeper, SIGKILL)
                _ = try killed.finish()
                #expect(try bundle.run("delete", "--force", "c").exit == 0)
                #expect(!File.exists("\(bundle.state)/c"))
                usleep(100_000)
                #expect(count(bundle) == before)

                // Nothing of it is in the way.
                try bundle.edit { $0["hooks"] = nil }
                let restored = try restore(host, bundle, "c")
                #expect(restored.exit == 0, "\(restored)")
                try waitForCount(host, bundle, above: before)
            }
        }

        @Test func whatCannotBeDoneIsRefused() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["sleep", "1000"])
                try bundle.create("c")
                func complaint(_ arguments: String...) throws -> String {
                    let finished = try ProgramRun.run(bundle.runtime + arguments)
                    #expect(finished.exit == 1)
                    return finished.errorText
                }
                #expect(try complaint("checkpoint", "c").contains("created"))
                #expect(try complaint("checkpoint", "missing").contains("does not exist"))
                #expect(try bundle.run("start", "c").exit == 0)
                let images = host.path("images")
                #expect(
                    try complaint("--criu", "/does/not/exist", "checkpoint", "--image-path", images, "c")
                        .contains("/does/not/exist was not found"))
                // A program that is no CRIU.
                #expect(
                    try complaint("--criu", "/bin/true", "checkpoint", "--image-path", images, "c")
                        .contains("does not tell its version"))
                #expect(
                    try complaint("checkpoint", "--manage-cgroups-mode", "hard", "c").contains("hard"))
                #expect(try complaint("checkpoint", "--empty-ns", "mount", "c").contains("mount"))
                #expect(try complaint("checkpoint", "--page-server", "host", "c").contains("ADDRESS:PORT"))
                #expect(try complaint("checkpoint", "--page-server", "host:x", "c").contains("host:x"))
                #expect(
                    try complaint("checkpoint", "--lazy-pages", "--status-fd", "77", "c").contains("77"))
                #expect(
                    try complaint("checkpoint", "--image-path", images, "--parent-path", images, "c")
                        .contains("--parent-path"))
                #expect(
                    try complaint("checkpoint", "--image-path", images, "--parent-path", "../none", "c")
                        .contains("--parent-path"))
                #expect(
                    try complaint("restore", "-d", "--bundle", bundle.path, "--image-path", images, "d")
                        .contains("no checkpoint"))
                #expect(
                    try complaint(
                        "restore", "-d", "--bundle", bundle.path, "--image-path", host.path("none"), "d"
                    ).contains("none"))
                #expect(!File.exists(host.path("none")))
                #expect(!File.exists("\(bundle.state)/d"))
                #expect(try bundle.state("c")["status"] == "running")
            }
        }
    }
}
