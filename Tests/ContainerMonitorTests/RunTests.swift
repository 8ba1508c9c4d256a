import LinuxSystem
import Testing

@testable import ContainerMonitor

@Suite struct RunTests {
    @Test(arguments: Sandbox.runtimes) func recordsTheExitCodeThoughNobodyWaits(_ runtime: String?) throws {
        let box = try Sandbox(["/bin/sh", "-c", "echo out; echo err >&2; exit 7"], runtime: runtime)
        try box.start()
        let status = try #require(try box.waitForExit())
        #expect(status.exit.exitCode == 7)
        #expect(try ExitRecord.read(box.request.exitPath)?.exitCode == 7)
        let log = try box.log()
        #expect(log.contains(#"{"log":"out\n","stream":"stdout","time":""#))
        #expect(log.contains(#"{"log":"err\n","stream":"stderr","time":""#))
        #expect(!File.exists(box.request.attachSocket))
    }

    @Test func whatTheKernelKilledForMemoryIsRecorded() throws {
        let box = try Sandbox(
            ["/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"], memory: 20 << 20)
        try box.start()
        let status = try #require(try box.waitForExit())
        #expect(status.exit.exitCode == 137)
        #expect(status.exit.oomKilled)
    }

    @Test(arguments: Sandbox.runtimes) func aPassedNetworkIsTheContainersInEachRun(_ runtime: String?) throws
    {
        let box = try Sandbox(["/bin/sleep", "100"], runtime: runtime, network: "/proc/self/fd/10")
        let namespace = try NetworkNamespace.create()
        box.request.descriptors = [10]
        box.request.restart = .always
        let monitor = try MonitorProcess.launch(Sandbox.program, box.request, descriptors: [namespace.raw])
        box.monitor = monitor
        try monitor.waitUntilCreated()
        try monitor.start()
        let first = try #require(try box.status()?.process)
        let wanted = try FD.stat(namespace.raw).st_ino
        #expect(try File.status("/proc/\(first.pid)/ns/net").st_ino == wanted)
        kill(first.pid, SIGKILL)
        let again = try #require(
            try box.wait { $0.phase == .running && $0.process != nil && $0.process != first })
        #expect(try File.status("/proc/\(try #require(again.process).pid)/ns/net").st_ino == wanted)
    }

    @Test func aSignalIs128AndItsNumber() throws {
        let box = try Sandbox(["/bin/sleep", "100"])
        try box.start()
        let process = try #require(try box.status()?.process)
        kill(process.pid, SIGKILL)
        let status = try #require(try box.waitForExit())
        #expect(status.exit.exitCode == 137)
        #expect(status.exit.signal == SIGKILL)
    }

    @Test(arguments: Sandbox.runtimes) func attachedBeforeTheStartNothingIsLost(_ runtime: String?) throws {
        let box = try Sandbox(["/bin/sh", "-c", "echo first; cat; echo last >&2; exit 3"], runtime: runtime)
        box.request.openStdin = true
        box.request.stdinOnce = true
        try box.launch()
        let pipes = try LocalPipes()
        try pipes.type("through\n")
        var options = AttachClient.Options()
        options.local = pipes.local
        options.isForeground = true
        let client = try AttachClient.connect(box.request.attachSocket, options)
        try box.monitor?.start()
        pipes.endInput()
        #expect(try client.run() == .exited(3))
        let results = try pipes.results()
        #expect(results.output == "first\nthrough\n")
        #expect(results.error == "last\n")
    }
}
