import LinuxSystem
import Testing

extension EndToEnd {
    /// Two commands at once on one container: one goes first, and neither is left half done.
    @Suite(.ours) struct SimultaneousTests {
        /// Runs both at the same time, the second a little later each round.
        static func rounds(_ host: Host, _ body: (Int) throws -> Void) throws {
            for round in 0..<8 {
                try body(round)
                #expect(try host.ok("ps", "-aq") == "")
                #expect(((try? File.names(in: "\(host.runRoot)/containers")) ?? []) == [])
            }
        }

        @Test(arguments: ["start", "restart"])
        func removalByForceWinsOverAStart(command: String) throws {
            try Host.with { host in
                let image = try host.busybox()
                try Self.rounds(host) { round in
                    let id = try host.ok("create", "--network", "none", image, "sleep", "1000")
                    if command == "restart" { try host.ok("start", id) }
                    let start = try host.start(
                        list: command == "start" ? ["start", id] : ["restart", "-t", "0", id])
                    usleep(UInt32(round) * 5000)
                    let removal = try host.start("rm", "-f", id)
                    let (started, removed) = (try start.finish(), try removal.finish())
                    #expect(removed.exit == 0, "\(removed)")
                    #expect(
                        started.exit == 0 || started.errorText.contains("no such container"), "\(started)")
                }
            }
        }

        @Test func restartsFollowEachOther() throws {
            try Host.with { host in
                let image = try host.busybox()
                try Self.rounds(host) { round in
                    let id = try host.detached("--network", "none", image, "sleep", "1000")
                    let first = try host.start("restart", "-t", "0", id)
                    usleep(UInt32(round) * 5000)
                    let second = try host.ok("restart", "-t", "0", id)
                    #expect(second == id)
                    let finished = try first.finish()
                    #expect(finished.exit == 0, "\(finished)")
                    #expect(try host.ok("ps", "-q", "--no-trunc") == id)
                    try host.ok("rm", "-f", id)
                }
            }
        }

        /// Its end shows in the log before its monitor has cleaned up.
        @Test func whoSawTheEndCanRemoveAndStart() throws {
            try Host.with { host in
                let image = try host.busybox()
                try Self.rounds(host) { _ in
                    let id = try host.detached(image, "sh", "-c", "sleep 0.1; echo end")
                    #expect(try host.ok("logs", "-f", id) == "end")
                    try host.ok("start", id)
                    #expect(try host.ok("logs", "-f", id) == "end\nend")
                    try host.ok("rm", id)
                }
            }
        }

        @Test func aStartThatWasKilledIsTakenUp() throws {
            try Host.with { host in
                let image = try host.busybox()
                try Self.rounds(host) { round in
                    let id = try host.ok("create", "--network", "none", image, "sleep", "1000")
                    let start = try host.start("start", id)
                    usleep(10_000 + UInt32(round) * 5000)
                    start.send(SIGKILL)
                    _ = try start.finish()
                    try host.ok("start", id)
                    #expect(try host.ok("exec", id, "echo", "up") == "up")
                    try host.ok("rm", "-f", id)
                }
            }
        }

        @Test func aRestartingContainerIsStartedAlready() throws {
            try Host.with { host in
                let id = try host.detached(
                    "--network", "none", "--restart", "always", try host.busybox(), "false")
                try host.eventually("a pause between two runs") {
                    try host.ok("inspect", "--format", "{{.State.Status}}", id) == "restarting"
                }
                try host.ok("start", id)
                try host.eventually("another pause") {
                    try host.ok("inspect", "--format", "{{.State.Status}} {{.State.Running}}", id)
                        == "restarting true"
                }
            }
        }
    }
}
