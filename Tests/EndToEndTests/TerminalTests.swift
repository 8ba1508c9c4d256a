import LayerArchive
import LinuxSystem
import Testing

extension EndToEnd {
    /// `-t`, `-i`, attach, and what flows through.
    @Suite struct TerminalTests {
        @Test func aShellOnATerminal() throws {
            try Host.with { host in
                let screen = try host.terminal(
                    "run", "-it", "--rm", "--network", "none", try host.busybox(), "sh", rows: 33,
                    columns: 101)
                try screen.wait(for: "#")
                screen.type("stty size; tty; echo mark$((40+2))\r")
                try screen.wait(for: "mark42")
                #expect(screen.text.contains("33 101"))
                #expect(screen.text.contains("/dev/pts/0") || screen.text.contains("/dev/console"))
                screen.type("exit 9\r")
                #expect(try screen.finish() == 9)
            }
        }

        @Test func resizingReachesTheContainer() throws {
            try Host.with { host in
                let screen = try host.terminal(
                    "run", "-it", "--rm", "--network", "none", try host.busybox(), "sh", "-c",
                    "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done")
                try screen.wait(for: "ready")
                try screen.resize(rows: 50, columns: 132)
                try screen.wait(for: "50 132")
                try screen.resize(rows: 20, columns: 60)
                try screen.wait(for: "20 60")
                host.removeAll()
                _ = try screen.finish()
            }
        }

        @Test func controlCInterruptsTheContainersProcess() throws {
            try Host.with { host in
                let screen = try host.terminal(
                    "run", "-it", "--rm", "--network", "none", try host.busybox(), "sh", "-c",
                    "trap 'echo caught; exit 11' INT; echo ready; while :; do sleep 0.05; done")
                try screen.wait(for: "ready")
                screen.type([3])
                try screen.wait(for: "caught")
                #expect(try screen.finish() == 11)
            }
        }

        @Test func detachKeysLeaveItRunning() throws {
            try Host.with { host in
                let name = "\(host.prefix)-d"
                let screen = try host.terminal(
                    "run", "-it", "--name", name, "--network", "none", try host.busybox(), "sh")
                try screen.wait(for: "#")
                screen.type([16])  // ^P ^Q; podman knows them only one by one
                if Programs.peer != nil { usleep(100_000) }
                screen.type([17])
                #expect(try screen.finish() == 0)
                #expect(try host.ok("inspect", "--format", "{{.State.Running}}", name) == "true")
                // Back again, and away by other keys.
                let again = try host.terminal("attach", "--detach-keys", "ctrl-x,x", name)
                usleep(300_000)
                again.type("echo back$((1+1))\r")
                try again.wait(for: "back2")
                again.type([24])
                if Programs.peer != nil { usleep(200_000) }
                again.type("x")
                #expect(try again.finish() == 0)
                #expect(try host.ok("inspect", "--format", "{{.State.Running}}", name) == "true")
                let last = try host.terminal("attach", name)
                usleep(300_000)
                last.type("exit 3\r")
                let code = try last.finish()
                #expect(code == 3 || Programs.peer != nil)
            }
        }

        @Test func aCommandThatWasLeftRunsOn() throws {
            try Host.with { host in
                let id = try host.detached("--network", "none", try host.busybox(), "sleep", "1000")
                let screen = try host.terminal(
                    "exec", "-it", id, "sh", "-c",
                    "echo ready; read word; seq 20000; echo $word > /finished")
                try screen.wait(for: "ready")
                screen.type("done\r")
                screen.type([16])
                if Programs.peer != nil { usleep(100_000) }
                screen.type([17])
                #expect(try screen.finish() == 0)
                // More than the terminal's buffer came meanwhile, and nobody has hung up.
                try host.eventually("the command finishes") {
                    try host.apus("exec", id, "cat", "/finished").text == "done"
                }
            }
        }

        @Test func theTerminalIsAsBeforeAfterwards() throws {
            try Host.with { host in
                let image = try host.busybox()
                let line = (host.command + ["run", "-it", "--rm", "--network", "none", image, "true"]).map {
                    "'\($0)'"
                }.joined(separator: " ")
                let screen = try PseudoTerminal(
                    [
                        "sh", "-c",
                        "stty -g > \(host.path("before")); \(line); stty -g > \(host.path("after"))",
                    ], environment: host.environment)
                #expect(try screen.finish() == 0)
                #expect(try File.readText(host.path("before")) == File.readText(host.path("after")))
            }
        }

        @Test func execOnATerminal() throws {
            try Host.with { host in
                let id = try host.detached("--network", "none", try host.busybox(), "sleep", "1000")
                let screen = try host.terminal("exec", "-it", id, "sh", rows: 40, columns: 90)
                try screen.wait(for: "#")
                screen.type("stty size\r")
                try screen.wait(for: "40 90")
                screen.type("exit 12\r")
                #expect(try screen.finish() == 12)
                #expect(try host.ok("inspect", "--format", "{{.State.Running}}", id) == "true")
            }
        }

        @Test func aTerminalIsRefusedWithoutOne() throws {
            try Host.with { host in
                let finished = try host.apus(
                    "run", "-it", "--rm", "--network", "none", try host.busybox(), "true", input: .text(""))
                // Docker refuses, podman warns.
                #expect(
                    finished.errorText.lowercased().contains("tty")
                        || finished.errorText.lowercased().contains("terminal"))
            }
        }

        @Test func standardInputArrivesWholeAndEnds() throws {
            try Host.with { host in
                let finished = try host.apus(
                    "run", "-i", "--rm", "--network", "none", try host.busybox(), "sh", "-c", "cat; echo end",
                    input: .text("one\ntwo"))
                #expect(finished.text == "one\ntwoend")
                let without = try host.apus(
                    "run", "--rm", "--network", "none", try host.busybox(), "sh", "-c", "cat; echo end",
                    input: .text("lost"))
                #expect(without.text == "end")
                let empty = try host.apus(
                    "run", "-i", "--rm", "--network", "none", try host.busybox(), "wc", "-c", input: .text("")
                )
                #expect(empty.text.trimmed == "0")
            }
        }

        @Test func aGibibyteThroughUnchanged() throws {
            try Host.with { host in
                let image = try host.busybox()
                let size = Programs.peer == nil ? 1024 : 64
                let container =
                    (host.command + [
                        "run", "-i", "--rm", "--network", "none", "--log-driver", "none", image, "cat",
                    ])
                    .map { "'\($0)'" }.joined(separator: " ")
                // A stream of pseudo-random bytes that both sides can make again.
                let source =
                    "openssl enc -aes-128-ctr -nosalt -K 0123456789abcdef0123456789abcdef -iv 0 < /dev/zero 2>/dev/null | head -c \(size)M"
                let sums = try ProgramRun.run(
                    [
                        "bash", "-c",
                        "set -o pipefail; \(source) | sha256sum; \(source) | \(container) | sha256sum",
                    ],
                    environment: host.environment, timeout: .seconds(300))
                #expect(sums.lines.count == 2)
                #expect(sums.lines.first == sums.lines.last, "\(sums)")
            }
        }

        @Test func aReaderThatGoesAwayEndsIt() throws {
            try Host.with { host in
                let container =
                    (host.command + [
                        "run", "--rm", "--network", "none", "--log-driver", "none", try host.busybox(), "yes",
                    ])
                    .map { "'\($0)'" }.joined(separator: " ")
                let first = try ProgramRun.run(
                    ["bash", "-c", "timeout 20 \(container) | head -1"], environment: host.environment)
                #expect(first.text == "y")
            }
        }

        @Test func outputIsCompleteWhenTheProcessEndsAtOnce() throws {
            try Host.with { host in
                let image = try host.busybox()
                for _ in 0..<10 {
                    let finished = try host.apus(
                        "run", "--rm", "--network", "none", image, "sh", "-c",
                        "head -c 300000 /dev/zero | tr '\\0' x; echo end >&2")
                    #expect(finished.output.count == 300_000)
                    #expect(finished.errorText == "end")
                }
            }
        }

        @Test(.ours) func signalsAreProxiedToTheContainer() throws {
            try Host.with { host in
                let run = try host.start(
                    "run", "--rm", "--network", "none", try host.busybox(), "sh", "-c",
                    "trap 'echo term; exit 13' TERM; echo ready; while :; do sleep 0.05; done")
                try run.wait(for: "ready") { run.text.contains("ready") }
                run.send(SIGTERM)
                let finished = try run.finish()
                #expect(finished.exit == 13)
                #expect(finished.text == "ready\nterm")
            }
        }
    }
}
