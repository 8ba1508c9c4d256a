import LinuxSystem
import Testing

extension EndToEnd {
    /// `--restart`, and the monitor that honours it without anybody's help.
    @Suite struct RestartTests {
        static func count(_ host: Host, _ id: String) throws -> Int {
            Int(try host.ok("inspect", "--format", "{{.RestartCount}}", id)) ?? -1
        }

        @Test func onFailureUpToACount() throws {
            try Host.with { host in
                let id = try host.detached(
                    "--network", "none", "--restart", "on-failure:3", try host.busybox(), "sh", "-c",
                    "echo try; exit 5")
                try host.eventually("four tries") {
                    try host.ok("logs", id).split(separator: "\n").count == 4
                }
                try host.eventually("the end") {
                    try host.ok("inspect", "--format", "{{.State.Status}}", id) == "exited"
                }
                #expect(try host.ok("inspect", "--format", "{{.State.ExitCode}}", id) == "5")
                #expect(try Self.count(host, id) == 3)
                usleep(500_000)
                #expect(try host.ok("logs", id).split(separator: "\n").count == 4)
            }
        }

        @Test func successIsNoFailure() throws {
            try Host.with { host in
                let id = try host.detached(
                    "--network", "none", "--restart", "on-failure", try host.busybox(), "sh", "-c",
                    "echo once")
                #expect(try host.ok("wait", id) == "0")
                usleep(500_000)
                #expect(try host.ok("logs", id) == "once")
            }
        }

        @Test(arguments: ["always", "unless-stopped"])
        func comesBackUntilStopped(policy: String) throws {
            // podman 4.3 restarts a container that was stopped between two starts.
            if Programs.peer != nil, policy == "always" { return }
            try Host.with { host in
                let id = try host.detached(
                    "--network", "none", "--restart", policy, try host.busybox(), "sh", "-c",
                    "echo up; sleep 0.2; exit 0")
                try host.eventually("three starts") {
                    try host.ok("logs", id).split(separator: "\n").count >= 3
                }
                try host.ok("stop", "-t", "0", id)
                let stopped = try host.ok("logs", id)
                usleep(700_000)
                #expect(try host.ok("logs", id) == stopped)
                #expect(try host.ok("ps", "-q") == "")
            }
        }

        @Test func aRestartedContainerKeepsItsNetwork() throws {
            try Host.with { host in
                let port = try Ports.free()
                let id = try host.detached(
                    "--restart", "always", "-p", "\(port):80", try host.busybox(), "sh", "-c",
                    NetworkTests.server)
                #expect(NetworkTests.get("http://127.0.0.1:\(port)/") == "page")
                let pid = try host.ok("inspect", "--format", "{{.State.Pid}}", id)
                try #require(pid_t(pid).map { kill($0, SIGKILL) } == 0)
                try host.eventually("another process") {
                    try host.ok("inspect", "--format", "{{.State.Pid}}", id) != pid
                }
                #expect(NetworkTests.get("http://127.0.0.1:\(port)/") == "page")
            }
        }

        @Test func rmEndsTheRestarts() throws {
            try Host.with { host in
                let id = try host.detached(
                    "--network", "none", "--restart", "always", try host.busybox(), "false")
                try host.eventually("a restart") { try Self.count(host, id) >= 1 }
                try host.ok("rm", "-f", "-t", "0", id)
                usleep(500_000)
                #expect(try host.ok("ps", "-aq") == "")
            }
        }
    }
}
