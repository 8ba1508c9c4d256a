import LinuxSystem
import Testing

extension EndToEnd {
    /// Containers that systemd's units and sessions start.
    @Suite(.ours, .enabled(if: access("/run/systemd/system", F_OK) == 0, "systemd is not process 1"))
    struct SystemdTests {
        private static func systemd(_ host: Host, _ options: [String], _ arguments: [String]) throws
            -> Finished
        {
            let variables = host.environment.flatMap { ["--setenv", $0] }
            return try ProgramRun.run(
                ["systemd-run", "--quiet", "--collect"] + variables + options + host.command + arguments)
        }

        @Test(arguments: [["--wait", "-p", "Type=oneshot", "-p", "TimeoutStopSec=10"], ["--scope"]])
        func aContainerOutlivesTheUnitThatStartedIt(options: [String]) throws {
            try Host.with { host in
                let image = try host.busybox()
                let (name, unit) = ("\(host.prefix)-c", "apus-\(host.prefix)")
                let started = try Self.systemd(
                    host, ["--unit", unit] + options,
                    [
                        "run", "-d", "--name", name, "--network", "none", image, "sh", "-c",
                        "while [ ! -e /go ]; do sleep 0.1; done; echo later; exit 21",
                    ])
                #expect(started.exit == 0, "\(started)")
                let suffix = options == ["--scope"] ? "scope" : "service"
                try host.eventually("the unit ends") {
                    try ProgramRun.run(["systemctl", "is-active", "\(unit).\(suffix)"]).text == "inactive"
                }
                try host.ok("exec", name, "touch", "/go")
                #expect(try host.ok("wait", name) == "21")
                #expect(try host.ok("logs", name) == "later")
            }
        }

        @Test func stoppingAServiceEndsItsContainer() throws {
            try Host.with { host in
                let image = try host.busybox()
                let (name, unit) = ("\(host.prefix)-s", "apus-\(host.prefix).service")
                try File.makeDirectories(host.path("shared"))
                let started = try Self.systemd(
                    host, ["--unit", unit],
                    [
                        "run", "--rm", "--name", name, "--network", "none", "-v",
                        "\(host.path("shared")):/shared",
                        image, "sh", "-c",
                        "trap 'echo told > /shared/end; exit 0' TERM; touch /shared/up; while :; do sleep 0.1; done",
                    ])
                #expect(started.exit == 0, "\(started)")
                try host.eventually("the container is up") { File.exists(host.path("shared/up")) }
                #expect(try ProgramRun.run(["systemctl", "stop", unit]).exit == 0)
                #expect(try File.readText(host.path("shared/end")) == "told\n")
                #expect(try host.ok("ps", "-aq") == "")
            }
        }

        @Test func limitsStayWhenSystemdReloads() throws {
            try Host.with { host in
                let id = try host.detached(
                    "--network", "none", "--memory", "64m", "--cpus", "0.5", try host.busybox(), "sleep",
                    "1000")
                let files = ["cat", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/cpu.max"]
                guard File.exists("/sys/fs/cgroup/cgroup.controllers") else { return }
                for verb in ["daemon-reload", "daemon-reexec"] {
                    #expect(try ProgramRun.run(["systemctl", verb]).exit == 0)
                    #expect(try host.apus(list: ["exec", id] + files).text == "67108864\n50000 100000")
                }
                // A unit that wants no controller has systemd look at the whole tree again.
                #expect(try ProgramRun.run(["systemd-run", "--quiet", "--wait", "true"]).exit == 0)
                #expect(try host.apus(list: ["exec", id] + files).text == "67108864\n50000 100000")
            }
        }
    }
}
