import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// What stays per container, and what the monitor does when others die.
    @Suite(.ours) struct MonitorTests {
        @Test func onlyASmallMonitorStays() throws {
            try Host.with { host in
                let before = Set(Kernel.processes(mentioning: "apus").map { $0.prefix { $0 != " " } })
                let id = try host.detached("--network", "none", try host.busybox(), "sleep", "1000")
                let pid = try #require(pid_t(try host.ok("inspect", "--format", "{{.State.Pid}}", id)))
                let parent = try #require(pid_t(Kernel.status(pid, "PPid") ?? ""))
                #expect(Kernel.status(parent, "Name") == "apus-monitor")
                // Nothing but the monitor and the container.
                try host.eventually("only the monitor is left") {
                    Kernel.processes(mentioning: "apus").filter { !before.contains($0.prefix { $0 != " " }) }
                        .count == 1
                }
                #expect(Kernel.children(of: parent) == [pid])
                #expect(Kernel.status(parent, "Threads") == "1")
                // It gives its start-up's pages back once it has nothing to do.
                var size = Int.max
                for _ in 0..<50 where size > 1536 {
                    usleep(100_000)
                    size = try #require(Kernel.proportionalSize(parent))
                }
                #expect(size <= 1536, "PSS of the monitor: \(size) KiB")
            }
        }

        @Test func theMonitorOutlivesTheCommandAndRecordsTheEnd() throws {
            try Host.with { host in
                let run = try host.start(
                    "run", "--name", "\(host.prefix)-o", "--network", "none", try host.busybox(), "sh", "-c",
                    "echo up; while [ ! -e /go ]; do sleep 0.05; done; echo later; exit 21")
                try run.wait(for: "up") { run.text.contains("up") }
                run.send(SIGKILL)
                _ = try run.finish()
                #expect(try host.ok("ps", "--format", "{{.Names}}") == "\(host.prefix)-o")
                try host.ok("exec", "\(host.prefix)-o", "touch", "/go")
                #expect(try host.ok("wait", "\(host.prefix)-o") == "21")
                #expect(try host.ok("logs", "\(host.prefix)-o") == "up\nlater")
                #expect(try host.ok("inspect", "--format", "{{.State.ExitCode}}", "\(host.prefix)-o") == "21")
            }
        }

        /// Or systemd would end it with the unit or the session of the command.
        @Test func theMonitorLeavesTheGroupOfTheCommand() throws {
            let own = try File.readText("/proc/self/cgroup").split(separator: "\n")
            let mounted = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].contains {
                File.exists("\($0)/cgroup.controllers")
            }
            guard mounted, own.contains(where: { $0.hasPrefix("0::") }) else { return }
            try Host.with { host in
                let id = try host.detached("--network", "none", try host.busybox(), "sleep", "1000")
                let pid = try #require(pid_t(try host.ok("inspect", "--format", "{{.State.Pid}}", id)))
                let monitor = try #require(pid_t(Kernel.status(pid, "PPid") ?? ""))
                let groups = try File.readText("/proc/\(monitor)/cgroup").split(separator: "\n")
                #expect(groups.contains("0::/apus/monitor"), "\(groups)")
            }
        }

        @Test func psTellsTheTruthAfterTheMonitorWasKilled() throws {
            try Host.with { host in
                let id = try host.detached("--network", "none", try host.busybox(), "sleep", "1000")
                let pid = try #require(pid_t(try host.ok("inspect", "--format", "{{.State.Pid}}", id)))
                let monitor = try #require(pid_t(Kernel.status(pid, "PPid") ?? ""))
                kill(monitor, SIGKILL)
                // The container runs on without its monitor, or it does not: ps says which.
                usleep(200_000)
                #expect(try host.ok("ps", "-q", "--no-trunc") == (Kernel.exists(pid) ? id : ""))
                if Kernel.exists(pid) {
                    #expect(try host.apus("attach", id).errorText.contains("monitor was killed"))
                }
                kill(pid, SIGKILL)
                try host.eventually("ps sees the end") { try host.ok("ps", "-q") == "" }
                #expect(try host.ok("ps", "-aq", "--no-trunc") == id)
                let status = try host.ok("ps", "-a", "--format", "{{.Status}}")
                #expect(status.hasPrefix("Exited") || status.hasPrefix("Dead") || status.hasPrefix("Unknown"))
                // It can be started anew and removed.
                try host.ok("start", id)
                #expect(try host.ok("ps", "-q", "--no-trunc") == id)
                try host.ok("rm", "-f", "-t", "0", id)
            }
        }

        @Test func psTellsTheTruthAfterAReboot() throws {
            try Host.with { host in
                let id = try host.detached(
                    "--network", "none", "--name", "\(host.prefix)-r", try host.busybox(), "sleep", "1000")
                let pid = try #require(pid_t(try host.ok("inspect", "--format", "{{.State.Pid}}", id)))
                let monitor = try #require(pid_t(Kernel.status(pid, "PPid") ?? ""))
                // As a power cut leaves it: no process, no mount, an empty run directory.
                kill(monitor, SIGKILL)
                kill(pid, SIGKILL)
                try host.eventually("the container is gone") { !Kernel.exists(pid) }
                for mount in Kernel.mounts().reversed() where mount.hasPrefix(host.scratch) {
                    umount2(mount, Int32(MNT_DETACH))
                }
                try File.removeTree(host.runRoot)
                #expect(try host.ok("ps", "-q") == "")
                #expect(try host.ok("ps", "-a", "--format", "{{.Names}}") == "\(host.prefix)-r")
                try host.ok("start", "\(host.prefix)-r")
                #expect(try host.ok("exec", id, "echo", "again") == "again")
            }
        }

        @Test func aReusedProcessNumberIsNotTaken() throws {
            try Host.with { host in
                let id = try host.detached("--network", "none", try host.busybox(), "sleep", "1000")
                let pid = try #require(pid_t(try host.ok("inspect", "--format", "{{.State.Pid}}", id)))
                let monitor = try #require(pid_t(Kernel.status(pid, "PPid") ?? ""))
                kill(monitor, SIGKILL)
                kill(pid, SIGKILL)
                try host.eventually("the container is gone") { !Kernel.exists(pid) }
                // Another process gets the same number, where the kernel lets us choose the next one.
                let other = try ProgramRun(
                    ["sh", "-c", "echo \(pid - 1) > /proc/sys/kernel/ns_last_pid && sleep 1000"])
                defer { other.send(SIGKILL) }
                usleep(200_000)
                #expect(try host.ok("ps", "-q") == "")
            }
        }
    }
}
