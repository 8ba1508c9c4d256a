import JSONText
import LinuxSystem
import OCISpec
import Testing

extension RuntimeTests {
    @Suite struct Lifecycle {
        @Test func aContainerGoesThroughItsStates() throws {
            let fixture = try RuntimeFixture()
            fixture.shell("exec sleep 100")
            #expect(try fixture.create(["--pid-file", fixture.directory + "/pid"]).code == 0)
            #expect(fixture.status == "created")
            let state = try JSON(parsing: try fixture.command(["state", fixture.id]).output)
            #expect(state["id"]?.string == fixture.id)
            #expect(state["bundle"]?.string == fixture.directory)
            #expect(state["pid"]?.int.map(String.init) == (try File.readText(fixture.directory + "/pid")))
            #expect(try fixture.command(["start", fixture.id]).code == 0)
            #expect(fixture.status == "running")
            let again = try fixture.command(["start", fixture.id])
            #expect(again.code == 1 && again.output.contains("cannot start an already running container"))
            let delete = try fixture.command(["delete", fixture.id])
            #expect(delete.code == 1 && delete.output.contains("that is not stopped: running"))
            #expect(try fixture.command(["kill", fixture.id, "KILL"]).code == 0)
            #expect(fixture.waitFor("stopped"))
            let dead = try fixture.command(["kill", fixture.id, "KILL"])
            #expect(dead.code == 1 && dead.output.contains("not running"))
            #expect(try fixture.command(["delete", fixture.id]).code == 0)
            #expect(fixture.status == nil)
            #expect(fixture.cgroupCount == 0)
            #expect(try fixture.command(["delete", fixture.id]).output.contains("does not exist"))
            #expect(try fixture.command(["delete", "--force", fixture.id]).code == 0)
        }

        @Test func runEndsAsItsCommandEnds() throws {
            let fixture = try RuntimeFixture()
            fixture.shell("exit 7")
            #expect(try fixture.run().code == 7)
            #expect(fixture.status == nil)
            #expect(fixture.cgroupCount == 0)
            // The first process of a PID namespace ignores what it does not handle: a child dies.
            fixture.shell("sh -c 'kill -9 $$'; exit $?")
            #expect(try fixture.run().code == 137)
        }

        @Test func killAsksAndKillsAllThatShareAPIDNamespace() throws {
            let fixture = try RuntimeFixture()
            fixture.config.linux?.namespaces.removeAll { $0.type == .pid }
            fixture.shell("sleep 4321 & exec sleep 4321")
            try fixture.create()
            #expect(try fixture.command(["kill", fixture.id, "0"]).code == 0)
            try fixture.command(["start", fixture.id])
            let pids = try JSON(parsing: try fixture.command(["ps", "--format", "json", fixture.id]).output)
            #expect(try fixture.command(["kill", fixture.id, "KILL"]).code == 0)
            #expect(fixture.waitFor("stopped"))
            for pid in pids.array ?? [] {
                let status = try ProcessStatus.read(pid_t(pid.int ?? 0))
                #expect(status?.isAlive ?? false == false)
            }
            let asked = try fixture.command(["kill", fixture.id, "0"])
            #expect(asked.code == 1 && asked.output.contains("container not running"))
            #expect(try fixture.command(["kill", "--all", fixture.id, "0"]).code == 0)
        }

        @Test func whoWaitsForStartHoldsNothingOfTheCallers() throws {
            let fixture = try RuntimeFixture()
            try fixture.save()
            let output = try File.open(fixture.directory + "/output", O_RDWR | O_CREAT, mode: 0o600)
            // A descriptor that its caller forgot.
            let pid = try Spawn.start(
                "/bin/sh",
                ["sh", "-c", "exec 9</etc/passwd; exec \"$0\" \"$@\"", RuntimeFixture.program]
                    + ["--root", fixture.root, "create", "-b", fixture.directory, fixture.id],
                descriptors: [nil, output.raw, output.raw])
            #expect(try Spawn.wait(pid).exitCode == 0)
            let state = try JSON(parsing: try fixture.command(["state", fixture.id]).output)
            let initial = state["pid"]?.int ?? 0
            let links = try File.names(in: "/proc/\(initial)/fd").map {
                (try? File.readLink("/proc/\(initial)/fd/\($0)")) ?? ""
            }
            // The streams, and what it is told by.
            #expect(links.count <= 5 && !links.contains("/etc/passwd"), "\(links)")
            // And it dies as a process does that runs nothing yet.
            #expect(try fixture.command(["kill", fixture.id, "TERM"]).code == 0)
            #expect(fixture.waitFor("stopped"))
        }

        @Test func thePidfdGoesToItsSocket() throws {
            let fixture = try RuntimeFixture()
            let socket = try UnixSocket.listen(fixture.directory + "/pidfd", .stream)
            #expect(try fixture.create(["--pidfd-socket", fixture.directory + "/pidfd"]).code == 0)
            guard let connection = try UnixSocket.accept(socket.raw) else {
                Issue.record("nobody came")
                return
            }
            var message = try UnixSocket.receive(connection.raw)
            guard let pidfd = message.descriptors.takeFirst() else {
                Issue.record("no descriptor came")
                return
            }
            try Pidfd.send(SIGKILL, to: pidfd.raw)
            #expect(fixture.waitFor("stopped"))
        }

        @Test func anIDIsTakenOnce() throws {
            let fixture = try RuntimeFixture()
            fixture.shell("exec sleep 100")
            #expect(try fixture.create().code == 0)
            let second = try fixture.create()
            #expect(second.code == 1 && second.output.contains("container with given ID already exists"))
            #expect(fixture.status == "created")
            #expect(try fixture.command(["delete", fixture.id]).code == 0)
        }

        @Test(arguments: ["../x", "a/b", "", "a b"])
        func badIDsAreRefused(_ id: String) throws {
            let fixture = try RuntimeFixture()
            try fixture.save()
            let outcome = try fixture.command(["create", "--bundle", fixture.directory, id])
            #expect(outcome.code == 1)
        }

        @Test func aSignalReachesTheCommand() throws {
            let fixture = try RuntimeFixture()
            fixture.shell("trap 'exit 5' USR1; echo ready; while true; do sleep 0.05; done")
            try fixture.save()
            let pid = try fixture.start(["run", "--bundle", fixture.directory, fixture.id])
            for _ in 0..<200 where !fixture.output.contains("ready") { usleep(20_000) }
            // To the runtime, which passes it on.
            kill(pid, SIGUSR1)
            #expect(try Spawn.wait(pid).exitCode == 5)
        }

        @Test func listShowsContainers() throws {
            let fixture = try RuntimeFixture()
            // A root that was named and is not there is a mistake.
            #expect(try fixture.command(["list"]).code == 1)
            try File.makeDirectory(fixture.root)
            #expect(try fixture.command(["list", "--format", "json"]).output == "null\n")
            fixture.shell("exec sleep 100")
            try fixture.create()
            #expect(try fixture.command(["list", "--quiet"]).output == fixture.id + "\n")
            let json = try JSON(parsing: try fixture.command(["list", "--format", "json"]).output)
            #expect(json.array?.first?["status"]?.string == "created")
            let table = try fixture.command(["list"]).output.lines
            #expect(table.first?.hasPrefix("ID ") == true && table.count == 2)
        }

        @Test func processesAreAddedByExec() throws {
            let fixture = try RuntimeFixture()
            fixture.shell("exec sleep 100")
            try fixture.create()
            try fixture.command(["start", fixture.id])
            let id = fixture.id
            let hello = try fixture.command([
                "exec", id, "sh", "-c", "echo hello; hostname; cat /proc/1/comm; exit 9",
            ])
            #expect(hello.code == 9)
            #expect(hello.output == "hello\nfixture\nsleep\n")
            let user = try fixture.command([
                "exec", "--user", "1000:5", "--cwd", "/bin", "-e", "A=b", id, "sh", "-c",
                "id -u; id -g; pwd; echo $A",
            ])
            #expect(user.output == "1000\n5\n/bin\nb\n")
            let missing = try fixture.command(["exec", id, "nothing"])
            #expect(missing.code == 255 && missing.output.contains("executable file not found in $PATH"))
            #expect(try fixture.command(["exec", id, "/etc"]).code == 255)
            #expect(try fixture.command(["exec", "--cwd", "/nothing", id, "true"]).code == 255)
            // The container's confinement holds for it too.
            let rights = try fixture.command([
                "exec", id, "grep", "-E", "CapEff|CapBnd|NoNewPrivs", "/proc/self/status",
            ])
            #expect(rights.output == "CapEff:\t0000000020000420\nCapBnd:\t0000000020000420\nNoNewPrivs:\t1\n")
            let detached = try fixture.command([
                "exec", "--detach", "--pid-file", fixture.directory + "/p", id, "sleep", "100",
            ])
            #expect(detached.code == 0)
            let pid = pid_t(try File.readText(fixture.directory + "/p"))
            #expect(try ProcessStatus.read(pid ?? -1)?.isAlive == true)
            try fixture.command(["kill", id, "KILL"])
            #expect(fixture.waitFor("stopped"))
            #expect(try fixture.command(["exec", id, "true"]).code == 255)
        }

        @Test func aContainerIsPausedAndGoesOn() throws {
            let fixture = try RuntimeFixture()
            fixture.shell("exec sleep 100")
            try fixture.create()
            try fixture.command(["start", fixture.id])
            #expect(try fixture.command(["pause", fixture.id]).code == 0)
            #expect(fixture.status == "paused")
            #expect(try fixture.command(["exec", fixture.id, "true"]).code == 255)
            #expect(try fixture.command(["resume", fixture.id]).code == 0)
            #expect(fixture.status == "running")
            try fixture.command(["pause", fixture.id])
            #expect(try fixture.command(["delete", "--force", fixture.id]).code == 0)
        }

        @Test func processesThatOutliveTheFirstAreKilled() throws {
            let fixture = try RuntimeFixture()
            fixture.config.linux?.namespaces.removeAll { $0.type == .pid }
            fixture.config.mounts.removeAll { $0.type == "proc" }
            fixture.config.linux?.maskedPaths = []
            fixture.config.linux?.readonlyPaths = []
            fixture.shell("sleep 4711 & exit 3")
            #expect(try fixture.run().code == 3)
            #expect(fixture.cgroupCount == 0)
        }
    }

    /// A runtime may be killed at any instant.
    @Suite(.enabled(if: RuntimeFixture.isOurs)) struct Crashes {
        @Test(arguments: ["run", "create"])
        func whatAKilledRuntimeLeavesIsDeleted(_ verb: String) throws {
            let fixture = try RuntimeFixture()
            fixture.shell("exec sleep 4712")
            try fixture.save()
            let start = ContinuousClock.now
            try fixture.create()
            let whole = start.duration(to: .now)
            try fixture.command(["delete", "--force", fixture.id])
            var leftSomething = 0
            for round in 0..<40 {
                let pid = try fixture.start([verb, "--bundle", fixture.directory, fixture.id])
                usleep(UInt32(whole / .microseconds(1)) * UInt32(round) / 36)
                kill(pid, SIGKILL)
                _ = try Spawn.wait(pid)
                if File.exists(fixture.root + "/" + fixture.id) { leftSomething += 1 }
                let outcome = try fixture.command(["delete", "--force", fixture.id])
                #expect(outcome.code == 0, "round \(round): \(outcome.output)")
                #expect(!File.exists(fixture.root + "/" + fixture.id))
                #expect(fixture.cgroupCount == 0, "round \(round)")
            }
            #expect(leftSomething > 5, "killed too early or too late to show anything")
        }
    }
}
