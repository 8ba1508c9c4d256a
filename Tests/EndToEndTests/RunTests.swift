import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// `run` and its options, the life of a container, exit codes.
    @Suite struct RunTests {
        /// A container without a network; what it prints.
        static func shell(_ host: Host, _ options: [String], _ script: String) throws -> Finished {
            try host.apus(
                list: ["run", "--rm", "--network", "none"] + options + [
                    try host.busybox(), "sh", "-c", script,
                ])
        }

        @Test func printsAndEndsAsItsProcessDoes() throws {
            try Host.with { host in
                let finished = try Self.shell(host, [], "echo out; echo err >&2; exit 7")
                #expect(finished.text == "out")
                #expect(finished.errorText == "err")
                #expect(finished.exit == 7)
                #expect(try host.ok("ps", "-aq") == "")
            }
        }

        @Test func exitCodesAreDockers() throws {
            try Host.with { host in
                let image = try host.busybox()
                func run(_ arguments: String...) throws -> Finished {
                    try host.apus(list: ["run", "--rm", "--network", "none"] + arguments)
                }
                let missing = try run(image, "no-such-command")
                #expect(missing.exit == 127)
                #expect(missing.errorText.contains("no-such-command"))
                #expect(try run(image, "/no/such/path").exit == 127)
                let directory = try run(image, "/etc")
                #expect(directory.exit == 126)
                #expect(directory.errorText.contains("/etc") || Programs.peer != nil)
                #expect(try run(image, "/etc/passwd").exit == 126)
                #expect(try run(image, "false").exit == 1)
                #expect(try run("--no-such-flag", image).exit == 125)
                #expect(try run("localhost/no-such-image", "true").exit == 125)
                #expect(try host.ok("ps", "-aq") == "")
            }
        }

        @Test func environmentWorkingDirectoryAndEntrypoint() throws {
            try Host.with { host in
                let image = try host.busybox()
                let shown = try Self.shell(
                    host, ["-e", "A=1", "--env", "B=x y", "-e", "HOME", "-w", "/tmp", "--hostname", "box"],
                    "echo $A-$B-$PWD-$HOSTNAME-$(hostname)-$PATH")
                #expect(shown.text == "1-x y-/tmp-box-box-/bin")
                #expect(
                    try host.ok("run", "--rm", "--network", "none", "--entrypoint", "echo", image, "a", "b")
                        == "a b")
                let made = try Self.shell(host, ["-w", "/made/for/it"], "pwd")
                // Docker makes the directory, podman 4 refuses.
                #expect(made.text == "/made/for/it" || Programs.peer != nil)
                try host.write("FILE=yes\n# comment\nHERE\n", to: "env")
                #expect(try Self.shell(host, ["--env-file", host.path("env")], "echo $FILE").text == "yes")
            }
        }

        @Test func usersAreLookedUpInTheImage() throws {
            try Host.with { host in
                #expect(
                    try Self.shell(host, ["-u", "bob"], "id -u; id -g; id -G; echo $HOME").text
                        == "1000\n1001\n1001 1002\n/home")
                #expect(try Self.shell(host, ["-u", "1000:0"], "id -u; id -g").text == "1000\n0")
                #expect(try Self.shell(host, ["-u", "77"], "id -u; id -g").text == "77\n0")
                #expect(try Self.shell(host, ["-u", "bob:extra"], "id -g").text == "1002")
                let unknown = try Self.shell(host, ["-u", "nobody-here"], "id")
                #expect((125...126).contains(unknown.exit))
                #expect(unknown.errorText.contains("nobody-here"))
            }
        }

        @Test func bindMountsAndVolumes() throws {
            try Host.with { host in
                try host.write("from the host\n", to: "shared/file")
                let shared = host.path("shared")
                #expect(
                    try Self.shell(host, ["-v", "\(shared):/data"], "cat /data/file; echo back > /data/out")
                        .text == "from the host")
                #expect(try File.readText("\(shared)/out") == "back\n")
                let readOnly = try Self.shell(host, ["-v", "\(shared):/data:ro"], "echo no > /data/x")
                #expect(readOnly.exit != 0 && readOnly.errorText.contains("Read-only"))
                let volume = "\(host.prefix)-vol"
                try #require(try Self.shell(host, ["-v", "\(volume):/v"], "echo kept > /v/f").exit == 0)
                #expect(try Self.shell(host, ["-v", "\(volume):/v"], "cat /v/f").text == "kept")
                #expect(
                    try Self.shell(host, ["-v", "\(shared)/file:/one"], "cat /one").text == "from the host")
                let absent = try Self.shell(host, ["-v", "/no/such/dir-\(host.prefix):/x"], "true")
                // Docker makes the directory, podman refuses.
                #expect(absent.exit == 125 || File.exists("/no/such/dir-\(host.prefix)"))
                try? File.removeTree("/no/such/dir-\(host.prefix)")
            }
        }

        @Test func aVolumeStartsWithTheImagesFiles() throws {
            try Host.with { host in
                let volume = "\(host.prefix)-copy"
                let copied = try Self.shell(host, ["-v", "\(volume):/etc"], "cat /etc/group | head -1")
                #expect(copied.text == "root:x:0:")
            }
        }

        @Test func readOnlyRootAndTemporaryFileSystems() throws {
            try Host.with { host in
                let refused = try Self.shell(host, ["--read-only"], "echo x > /root/f")
                #expect(refused.exit != 0 && refused.errorText.contains("Read-only"))
                let scratch = try Self.shell(
                    host, ["--read-only", "--tmpfs", "/scratch:size=1m,mode=1777"],
                    "echo x > /scratch/f && cat /scratch/f && grep ' /scratch ' /proc/mounts && stat -c %a /scratch"
                )
                #expect(
                    scratch.text.hasPrefix("x\ntmpfs /scratch tmpfs rw") && scratch.text.hasSuffix("1777"))
                #expect(scratch.text.contains("size=1024k"))
                #expect(try Self.shell(host, [], "echo w > /root/f && cat /root/f").text == "w")
            }
        }

        @Test func createStartWaitAndRemove() throws {
            try Host.with { host in
                let image = try host.busybox()
                let name = "\(host.prefix)-c"
                let id = try host.ok(
                    "create", "--name", name, "--network", "none", image, "sh", "-c", "echo ran; exit 3")
                #expect(id.count == 64)
                #expect(
                    try host.ok("ps", "-a", "--format", "{{.Names}} {{.Status}}").contains("\(name) Created"))
                #expect(try host.ok("ps", "-q") == "")
                #expect(try host.ok("start", name) == name)
                #expect(try host.ok("wait", name) == "3")
                #expect(try host.ok("logs", name) == "ran")
                #expect(
                    try host.ok("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", name)
                        == "exited 3")
                // Again, from the state it left.
                try host.ok("start", String(id.prefix(12)))
                #expect(try host.ok("wait", id) == "3")
                #expect(try host.ok("logs", name) == "ran\nran")
                #expect(try host.ok("rm", name) == name)
                #expect(try host.apus("inspect", name).exit != 0)
            }
        }

        @Test func startAttachedGivesOutputAndExitCode() throws {
            try Host.with { host in
                let id = try host.ok(
                    "create", "-i", "--network", "none", try host.busybox(), "sh", "-c", "cat; exit 5")
                let finished = try host.apus("start", "-a", "-i", id, input: .text("through\n"))
                #expect(finished.text == "through")
                #expect(finished.exit == 5)
            }
        }

        @Test func stopSendsItsSignalThenKills() throws {
            try Host.with { host in
                let image = try host.busybox()
                let polite = try host.detached(
                    "--network", "none", image, "sh", "-c",
                    "trap 'echo bye; exit 9' TERM; echo up; while :; do sleep 0.05; done")
                try host.eventually("it is up") { try host.ok("logs", polite) == "up" }
                try host.ok("stop", "-t", "10", polite)
                #expect(try host.ok("inspect", "--format", "{{.State.ExitCode}}", polite) == "9")
                #expect(try host.ok("logs", polite) == "up\nbye")
                let stubborn = try host.detached(
                    "--network", "none", image, "sh", "-c",
                    "trap '' TERM; echo up; while :; do sleep 0.05; done")
                try host.eventually("it is up") { try host.ok("logs", stubborn) == "up" }
                let stopped = try host.apus("stop", "-t", "1", stubborn)
                #expect(stopped.exit == 0)
                #expect(stopped.duration > .milliseconds(900) && stopped.duration < .seconds(8))
                #expect(try host.ok("inspect", "--format", "{{.State.ExitCode}}", stubborn) == "137")
                // A container that has stopped is stopped.
                #expect(try host.apus("stop", stubborn).exit == 0)
            }
        }

        @Test func killSendsAnySignal() throws {
            try Host.with { host in
                let id = try host.detached(
                    "--network", "none", try host.busybox(), "sh", "-c",
                    "trap 'echo usr1' USR1; echo up; while :; do sleep 0.05; done")
                try host.eventually("it is up") { try host.ok("logs", id) == "up" }
                try host.ok("kill", "--signal", "USR1", id)
                try host.eventually("the signal arrives") { try host.ok("logs", id) == "up\nusr1" }
                try host.ok("kill", id)
                #expect(try host.ok("wait", id) == "137")
                #expect(try host.apus("kill", id).exit != 0)
                #expect(try host.apus("kill", "-s", "NOSUCH", id).exit != 0)
            }
        }

        @Test func execRunsBeside() throws {
            try Host.with { host in
                let id = try host.detached(
                    "--network", "none", "-e", "A=1", "--name", "\(host.prefix)-e", try host.busybox(),
                    "sleep", "1000")
                #expect(try host.ok("exec", id, "sh", "-c", "echo $A; hostname") == "1\n\(id.prefix(12))")
                #expect(
                    try host.ok(
                        "exec", "-e", "B=2", "-w", "/etc", "-u", "bob", id, "sh", "-c",
                        "echo $B $PWD $(id -u)") == "2 /etc 1000")
                #expect(try host.apus("exec", id, "sh", "-c", "exit 42").exit == 42)
                #expect(try host.apus("exec", id, "no-such-command").exit == 127)
                #expect(try host.apus("exec", id, "/etc").exit == 126)
                #expect(try host.apus("exec", "-i", id, "cat", input: .text("in\n")).text == "in")
                #expect(try host.apus("exec", id, "cat", input: .text("not read\n")).text == "")
                #expect(
                    try host.ok("exec", id, "sh", "-c", "cat /proc/1/cmdline | tr '\\0' ' '") == "sleep 1000 "
                )
                try host.ok("exec", "-d", id, "sh", "-c", "echo detached > /tmp/d")
                try host.eventually("the detached exec writes") {
                    try host.apus("exec", id, "cat", "/tmp/d").text == "detached"
                }
                try host.ok("kill", id)
                try host.ok("wait", id)
                #expect(try host.apus("exec", id, "true").exit != 0)
            }
        }

        @Test func rmRefusesARunningContainer() throws {
            try Host.with { host in
                let id = try host.detached("--network", "none", try host.busybox(), "sleep", "1000")
                let refused = try host.apus("rm", id)
                #expect(refused.exit != 0)
                #expect(refused.errorText.contains("running"))
                try host.ok("rm", "-f", "-t", "0", id)
                #expect(try host.ok("ps", "-aq") == "")
            }
        }

        @Test func psTellsNamesImagesStatesAndFilters() throws {
            try Host.with { host in
                let image = try host.busybox()
                let up = try host.detached(
                    "--network", "none", "--name", "\(host.prefix)-up", image, "sleep", "1000")
                let done = try host.detached(
                    "--network", "none", "--name", "\(host.prefix)-done", image, "sh", "-c", "exit 4")
                try host.ok("wait", done)
                #expect(try host.ok("ps", "-q", "--no-trunc") == up)
                #expect(try host.ok("ps", "-aq", "--no-trunc").split(separator: "\n").count == 2)
                #expect(
                    try host.ok("ps", "--format", "{{.Names}}|{{.Image}}|{{.ID}}")
                        == "\(host.prefix)-up|\(image)|\(up.prefix(12))")
                #expect(
                    try host.ok("ps", "-a", "--filter", "status=exited", "--format", "{{.Names}} {{.Status}}")
                        .hasPrefix("\(host.prefix)-done Exited (4) "))
                #expect(try host.ok("ps", "-aq", "--no-trunc", "--filter", "name=\(host.prefix)-up") == up)
                let table = try host.ok("ps", "-a").split(separator: "\n")
                #expect(table.first?.hasPrefix("CONTAINER ID  ") ?? false)
                #expect(table.count == 3)
            }
        }

        @Test(.ours) func initReapsOrphans() throws {
            try Host.with { host in
                let id = try host.detached(
                    "--network", "none", "--init", try host.busybox(), "sh", "-c",
                    "while :; do (sh -c 'sleep 0.01 & exit 0'); sleep 0.02; done")
                try host.eventually("init is process 1") {
                    try host.ok("exec", id, "cat", "/proc/1/comm").contains("init") || Programs.peer != nil
                }
                usleep(500_000)
                let zombies = try host.ok(
                    "exec", id, "sh", "-c", "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l")
                #expect((Int(zombies.trimmed) ?? 99) <= 2)
                #expect(try Self.shell(host, ["--init"], "exit 6").exit == 6)
                #expect(try Self.shell(host, ["--init"], "kill -9 $$").exit == 137)
            }
        }

        @Test(.needs("runc"), arguments: ["runc", "crun"])
        func anotherRuntimeRunsIt(runtime: String) throws {
            guard let path = Programs.find(runtime) else { return }
            // crun 1.8 refuses the hybrid layout of cgroups.
            if runtime == "crun", Kernel.mounts().contains("/sys/fs/cgroup/unified") { return }
            try Host.with { host in
                let image = try host.busybox()
                let finished = try host.apus(
                    "run", "--rm", "--network", "none", "--runtime", path, image, "sh", "-c",
                    "echo $$; exit 3")
                #expect(finished.text == "1" && finished.exit == 3, "\(finished)")
                let id = try host.detached("--network", "none", "--runtime", path, image, "sleep", "1000")
                #expect(try host.apus("exec", id, "sh", "-c", "exit 9").exit == 9)
                #expect(try host.apus("exec", id, "no-such-command").exit == 127)
                #expect(try host.apus("exec", id, "/etc").exit == 126)
                try host.ok("rm", "-f", "-t", "0", id)
                let absent = try host.apus("run", "--rm", "--runtime", "/no/such/runtime", image, "true")
                #expect(absent.exit == 125 || absent.exit == 127)
                #expect(absent.errorText.contains("/no/such/runtime"))
            }
        }

        @Test(.ours) func ourRuntimeServesPodmanToo() throws {
            guard Programs.find("podman") != nil else { return }
            try Host.with { host in
                let podman = [
                    "podman", "--root", host.path("p"), "--runroot", host.path("pr"), "--cgroup-manager",
                    "cgroupfs", "--runtime", Programs.runtime,
                ]
                func run(_ arguments: String...) throws -> Finished {
                    try ProgramRun.run(
                        podman + arguments,
                        environment: host.environment)
                }
                let imported = try run("import", try Fixtures.busyboxTar(), "localhost/bb")
                try #require(imported.exit == 0, "\(imported)")
                let finished = try run(
                    "run", "--rm", "--network", "none", "localhost/bb", "/bin/sh", "-c", "echo $$; exit 3")
                #expect(finished.text == "1" && finished.exit == 3, "\(finished)")
            }
        }

        @Test func aContainersOwnLimitsAndLabels() throws {
            try Host.with { host in
                let id = try host.ok(
                    "create", "--label", "team=a", "-l", "x", "--network", "none", try host.busybox())
                #expect(try host.ok("inspect", "--format", "{{.Config.Labels.team}}", id) == "a")
                #expect(try host.ok("ps", "-aq", "--no-trunc", "--filter", "label=team=a") == id)
                #expect(try host.ok("ps", "-aq", "--filter", "label=team=b") == "")
            }
        }
    }
}
