import LinuxSystem
import Testing

@testable import ContainerMonitor

@Suite struct RestartTests {
    @Test func onFailureCountsAndKeepsTheLog() throws {
        let box = try Sandbox(["/bin/sh", "-c", "echo run; exit 3"])
        box.request.restart = .onFailure(maximum: 2)
        try box.start()
        let status = try #require(try box.waitForExit())
        #expect(status.exit.exitCode == 3)
        #expect(status.exit.restartCount == 2)
        let runs = try LogReader(box.request.log, .init()).texts()
        #expect(runs == ["o:run$", "o:run$", "o:run$"])
    }

    @Test func onFailureLetsSuccessEnd() throws {
        let box = try Sandbox(["/bin/true"])
        box.request.restart = .onFailure(maximum: 5)
        try box.start()
        #expect(try box.waitForExit()?.exit.restartCount == 0)
    }

    @Test(arguments: Sandbox.runtimes) func alwaysStartsAgainUntilStopped(_ runtime: String?) throws {
        let box = try Sandbox(["/bin/sleep", "100"], runtime: runtime)
        box.request.restart = .always
        try box.start()
        let first = try #require(try box.status()?.process)
        kill(first.pid, SIGKILL)
        let again = try #require(
            try box.wait { $0.phase == .running && $0.process != nil && $0.process != first })
        #expect(again.exit.restartCount == 1)
        #expect(again.monitor != nil)

        let connection = try MonitorConnection(box.request.attachSocket)
        try connection.requestStop()
        #expect(try box.status()?.stopRequested == true)
        try connection.signal(SIGKILL)
        let status = try #require(try box.waitForExit())
        #expect(status.exit.exitCode == 137)
        #expect(status.exit.restartCount == 1)
    }

    @Test func aStopEndsTheWaitForARestart() throws {
        let box = try Sandbox(["/bin/sh", "-c", "exit 1"])
        box.request.restart = .always
        try box.start()
        // 100 + 200 + 400 + 800 ms of pauses: by then it waits longer than we look.
        try #require(try box.wait { $0.phase == .restarting && $0.exit.restartCount >= 4 } != nil)
        try MonitorConnection(box.request.attachSocket).requestStop()
        let status = try #require(try box.waitForExit())
        #expect(status.exit.exitCode == 1)
    }

    @Test func attachedClientsHearOfEachEnd() throws {
        let box = try Sandbox(["/bin/sh", "-c", "exit 5"])
        box.request.restart = .always
        try box.launch()
        let connection = try MonitorConnection(box.request.attachSocket)
        try box.monitor?.start()
        #expect(try connection.waitForExit() == 5)
    }
}
