import LinuxSystem
import Testing

@testable import ContainerMonitor

/// Killed monitors, dead engines, and what is true afterwards.
@Suite struct DeathTests {
    @Test func theContainerOutlivesItsMonitor() throws {
        let box = try Sandbox(["/bin/sleep", "100"])
        try box.start()
        let before = try #require(try box.status())
        let monitor = try #require(before.monitor)
        let process = try #require(before.process)
        kill(monitor.pid, SIGKILL)
        let orphan = try #require(try box.wait { $0.monitor == nil })
        #expect(orphan.phase == .running)
        #expect(orphan.process == process)
        #expect(throws: MonitorError.self) { try MonitorConnection(box.request.attachSocket) }

        kill(process.pid, SIGKILL)
        let after = try #require(try box.wait { $0.phase == .exited })
        #expect(after.exit.exitCode == 255)
        #expect(after.exit.reason == "it ended unseen: its monitor had died")
    }

    @Test func aRuntimeThatIsKilledLeavesNothing() throws {
        let box = try Sandbox(["/bin/sleep", "100"])
        try box.launch()
        let status = try #require(try box.status())
        let monitor = try #require(status.monitor)
        let process = try #require(status.process)
        // The worker is the monitor's other child.
        let children = try File.readText("/proc/\(monitor.pid)/task/\(monitor.pid)/children")
        let worker = try #require(
            children.split(separator: " ").compactMap { Int32($0) }.first { $0 != process.pid })
        kill(worker, SIGKILL)
        let error = #expect(throws: MonitorError.self) { try box.monitor?.start() }
        #expect(error?.exitCode == 125)
        try box.waitForExit()
        #expect(!process.isAlive)
        #expect(try File.names(in: box.request.runtimeRoot).isEmpty)
    }

    @Test func aMonitorKilledBeforeTheStartLeavesNoContainer() throws {
        let box = try Sandbox(["/bin/sleep", "100"])
        try box.launch()
        let status = try #require(try box.status())
        kill(try #require(status.monitor).pid, SIGKILL)
        let ended = try #require(try box.wait { $0.phase == .exited })
        #expect(ended.exit.exitCode == 255)
        #expect(throws: MonitorError.self) { try box.monitor?.start() }
        for _ in 0..<500 where try !File.names(in: box.request.runtimeRoot).isEmpty { usleep(10_000) }
        #expect(try File.names(in: box.request.runtimeRoot).isEmpty)
    }

    @Test func aRebootIsNoticed() throws {
        let box = try Sandbox(["/bin/sleep", "100"])
        try box.start()
        var record: StatusRecord = try #require(try readDocument(box.request.statusPath))
        let monitor = record.monitor
        defer { kill(monitor.pid, SIGKILL) }
        // The same numbers in another boot.
        record.monitor.bootID = "before"
        record.process?.bootID = "before"
        let status = ContainerStatus(record)
        #expect(status.phase == .exited)
        #expect(status.exit.exitCode == 255)
        #expect(status.exit.reason == "the host went down while it ran")
        // The run's own file system is empty after a boot.
        let lost = try ContainerStatus.read(
            statusPath: "/nowhere/status.json", exitPath: box.request.exitPath)
        #expect(lost?.phase == .exited && lost?.exit.exitCode == 255)
        #expect(lost?.exit.startedAt != nil)
        #expect(
            try ContainerStatus.read(statusPath: "/nowhere/status.json", exitPath: "/nowhere/exit.json")
                == nil)
        kill(try #require(try box.status()?.process).pid, SIGKILL)
    }

    @Test(arguments: Sandbox.runtimes) func anEngineThatDiesBeforeTheStartLeavesNothing(_ runtime: String?)
        throws
    {
        let box = try Sandbox(["/bin/sleep", "100"], runtime: runtime)
        let mark = box.directory + "/cleaned"
        box.request.exitCommand = ["/bin/sh", "-c", "echo done > \(mark)"]
        try box.launch()
        let process = try #require(try box.status()?.process)
        box.monitor = nil
        let status = try #require(try box.waitForExit())
        #expect(!process.isAlive)
        #expect(status.exit.exitCode == 128)
        #expect(File.exists(mark))
        #expect(try File.names(in: box.request.runtimeRoot).isEmpty)
    }

    @Test func itLeavesItsStarterBehind() throws {
        let box = try Sandbox(["/bin/sleep", "100"])
        try box.start()
        let monitor = try #require(try box.status()?.monitor)
        #expect(getsid(monitor.pid) == monitor.pid)
        #expect(try File.readLink("/proc/\(monitor.pid)/cwd") == "/")
        let stat = try File.readText("/proc/\(monitor.pid)/stat")
        #expect(stat.split(separator: " ")[3] != "\(getpid())")
        kill(monitor.pid, SIGHUP)
        kill(monitor.pid, SIGINT)
        usleep(50_000)
        #expect(monitor.isAlive)
    }

    @Test func afterTheEndTheExitCommandRuns() throws {
        let box = try Sandbox(["/bin/true"])
        let mark = box.directory + "/cleaned"
        // What it finds is complete: the exit record, and nothing of the runtime's.
        box.request.exitCommand = [
            "/bin/sh", "-c",
            "cat \(box.request.exitPath) > \(mark); ls \(box.request.runtimeRoot) >> \(mark)",
        ]
        try box.start()
        try box.waitForExit()
        #expect(try File.readText(mark) == File.readText(box.request.exitPath))
    }

    @Test(arguments: Sandbox.runtimes) func aCommandThatIsNotThereIs127(_ runtime: String?) throws {
        let box = try Sandbox(["/bin/missing"], runtime: runtime)
        let error = #expect(throws: MonitorError.self) { try box.start() }
        #expect(error?.exitCode == 127)
        #expect(try box.waitForExit()?.exit.exitCode == 127)
    }

    @Test(arguments: Sandbox.runtimes) func aFileThatIsNoProgramIs126(_ runtime: String?) throws {
        let box = try Sandbox(["/tmp/file"], runtime: runtime)
        try File.replace(box.directory + "/rootfs/tmp/file", with: [], mode: 0o600, durable: false)
        let error = #expect(throws: MonitorError.self) { try box.start() }
        #expect(error?.exitCode == 126)
        #expect(try box.waitForExit()?.exit.exitCode == 126)
    }

    @Test func anUnusableRequestIsRefusedInWords() throws {
        let box = try Sandbox(["/bin/true"])
        box.request.log.path = "/nowhere/log"
        let error = #expect(throws: MonitorError.self) { try box.launch() }
        #expect(error?.message.contains("/nowhere/log") == true)
    }

    @Test func descriptorsKeepTheirNumbers() throws {
        let box = try Sandbox(["/bin/sleep", "100"])
        box.request.descriptors = [11, 10]
        let files = try [File.open("/etc/passwd").take(), File.open("/etc/group").take()]
        defer { for fd in files { close(fd) } }
        let monitor = try MonitorProcess.launch(Sandbox.program, box.request, descriptors: files)
        box.monitor = monitor
        try monitor.waitUntilCreated()
        try monitor.start()
        let pid = try #require(try box.status()?.monitor).pid
        #expect(try File.readLink("/proc/\(pid)/fd/11") == "/etc/passwd")
        #expect(try File.readLink("/proc/\(pid)/fd/10") == "/etc/group")
        // The container has none of ours.
        let container = try #require(try box.status()?.process).pid
        #expect(try File.names(in: "/proc/\(container)/fd").allSatisfy { Int32($0)! <= 2 })
    }

    @Test func anIdleMonitorIsSmallAndSleeps() throws {
        let box = try Sandbox(["/bin/sleep", "100"])
        try box.start()
        let pid = try #require(try box.status()?.monitor).pid
        usleep(1_500_000)
        let rollup = try File.readText("/proc/\(pid)/smaps_rollup")
        let pss = try #require(rollup.split(separator: "\n").first { $0.hasPrefix("Pss:") })
        #expect(Int(pss.split(separator: " ")[1])! < 1024, "\(pss)")
        func switches() throws -> Substring? {
            try File.readText("/proc/\(pid)/status").split(separator: "\n").first {
                $0.hasPrefix("voluntary")
            }
        }
        let before = try switches()
        usleep(2_500_000)
        #expect(try switches() == before)
    }

    @Test func aFullDiskStopsNoContainer() throws {
        let disk = try LogDirectory(size: 64 << 10)
        let box = try Sandbox([
            "/bin/sh", "-c",
            "i=0; while [ $i -lt 3000 ]; do echo line $i aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; i=$((i+1)); done; exit 9",
        ])
        box.request.log = disk.configuration(.jsonFile)
        try box.start()
        #expect(try box.waitForExit()?.exit.exitCode == 9)
        #expect(try LogReader(box.request.log, .init()).texts().allSatisfy { $0.hasSuffix("$") })
    }
}
