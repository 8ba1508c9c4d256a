import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// The runtime's commands beside each other on one container, and killed at any moment.
    @Suite struct RuntimeKillTests {
        typealias Bundle = RuntimeCommandTests.Bundle

        /// A command of the runtime that leaves our pipes alone, so that its end is its own.
        private func start(_ bundle: Bundle, _ arguments: [String]) throws -> ProgramRun {
            let words = (bundle.runtime + arguments).map { "'\($0)'" }.joined(separator: " ")
            return try ProgramRun(["sh", "-c", "exec \(words) < /dev/null > /dev/null 2>&1"])
        }

        /// Everything of the container is gone: its state, its processes; the groups are counted when
        /// the test ends.
        private func expectNothing(_ host: Host, _ bundle: Bundle, _ mark: String, _ what: String) throws {
            let removed = try bundle.run("delete", "--force", "a")
            #expect(removed.exit == 0, "\(what): \(removed)")
            #expect(try File.names(in: bundle.state).isEmpty, "\(what)")
            try host.eventually("\(what): no process is left", within: .seconds(5)) {
                Kernel.processes(mentioning: mark).isEmpty
            }
        }

        @Test func killedAtAnyMoment() throws {
            try Host.with { host in
                // Found in every command line that a container leaves.
                let mark = "\(UInt32.random(in: 100_000...UInt32.max)).5"
                let bundle = try Bundle(host, arguments: ["sleep", mark])
                try File.makeDirectories(bundle.state)
                let commands = [
                    ["create", "--bundle", bundle.path, "a"], ["run", "--bundle", bundle.path, "a"],
                    ["start", "a"],
                    ["exec", "a", "sleep", mark], ["delete", "--force", "a"], ["kill", "a", "KILL"],
                ]
                for round in 0..<50 {
                    for command in commands {
                        if command[0] != "create", command[0] != "run" {
                            let created = try start(bundle, commands[0]).finish()
                            #expect(created.exit == 0, "\(created)")
                        }
                        if command[0] == "exec" || command[0] == "delete" && round % 2 == 0 {
                            #expect(try bundle.run("start", "a").exit == 0)
                        }
                        let delay = UInt32.random(in: 0...(round % 5 == 0 ? 60_000 : 25_000))
                        let victim = try start(bundle, command)
                        usleep(delay)
                        victim.send(SIGKILL)
                        _ = try victim.finish()
                        try expectNothing(host, bundle, mark, "\(command[0]) killed after \(delay) µs")
                    }
                }
            }
        }

        /// The first has it, the others hear that the name is taken.
        @Test func simultaneousCreates() throws {
            try Host.with { host in
                let mark = "\(UInt32.random(in: 100_000...UInt32.max)).5"
                let bundle = try Bundle(host, arguments: ["sleep", mark])
                for _ in 0..<8 {
                    let runs = try (0..<4).map { _ in
                        try start(bundle, ["create", "--bundle", bundle.path, "a"])
                    }
                    let exits = try runs.map { try $0.finish().exit }
                    #expect(exits.count { $0 == 0 } == 1, "\(exits)")
                    #expect(try bundle.state("a")["status"] == "created")
                    try expectNothing(host, bundle, mark, "simultaneous creates")
                }
            }
        }

        @Test func startWhileItIsDeleted() throws {
            try Host.with { host in
                let mark = "\(UInt32.random(in: 100_000...UInt32.max)).5"
                let bundle = try Bundle(host, arguments: ["sleep", mark])
                for _ in 0..<20 {
                    #expect(try start(bundle, ["create", "--bundle", bundle.path, "a"]).finish().exit == 0)
                    let runs = try [["start", "a"], ["delete", "--force", "a"], ["exec", "a", "true"]]
                        .shuffled()
                        .map { try start(bundle, $0) }
                    for run in runs {
                        let finished = try run.finish()
                        #expect(
                            finished.exit >= 0 && finished.exit != 139 && finished.exit != 132, "\(finished)")
                    }
                    try expectNothing(host, bundle, mark, "start during delete")
                }
            }
        }

        /// A name that is made and deleted without a pause belongs to nobody or to one.
        @Test func createWhileItIsDeleted() throws {
            try Host.with { host in
                let mark = "\(UInt32.random(in: 100_000...UInt32.max)).5"
                let bundle = try Bundle(host, arguments: ["sleep", mark])
                try File.makeDirectories(bundle.state)
                for _ in 0..<25 {
                    let runs = try [["create", "--bundle", bundle.path, "a"], ["delete", "--force", "a"]]
                        .flatMap {
                            [$0, $0]
                        }.shuffled().map { try start(bundle, $0) }
                    for run in runs { _ = try run.finish() }
                    try expectNothing(host, bundle, mark, "create during delete")
                }
            }
        }
    }
}
