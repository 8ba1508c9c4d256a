import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// SIGKILL of our processes at any moment: the next command finds a sane store.
    @Suite(.ours) struct CrashTests {
        /// Runs a command, kills it and what it started after a while; the while grows from nothing to
        /// a little more than the command takes.
        static func killed(_ host: Host, moments: Int, takes: Duration, _ arguments: [String]) throws {
            for moment in 0..<moments {
                let run = try ProgramRun(host.command + arguments, environment: host.environment)
                let wait = takes * moment / (moments - 1)
                usleep(
                    useconds_t(
                        wait.components.attoseconds / 1_000_000_000_000 + wait.components.seconds * 1_000_000)
                )
                // The children too, as the OOM killer or a power cut may choose them.
                let children = Kernel.children(of: run.pid)
                run.send(SIGKILL)
                if moment % 2 == 0 { for child in children { kill(child, SIGKILL) } }
                _ = try run.finish(timeout: .seconds(20))
            }
        }

        static func time(_ host: Host, _ arguments: [String]) throws -> Duration {
            let finished = try host.apus(list: arguments)
            guard finished.exit == 0 else { throw Unexpected("\(finished)") }
            return finished.duration + finished.duration / 5
        }

        @Test func killedPulls() throws {
            try Host.with { host in
                var extra = TarBuilder()
                for index in 0..<40 {
                    extra.add("dir\(index)/f", .file, String(repeating: "x", count: 40_000))
                }
                try ImageBuilder.busybox(adding: extra).writeLayout(to: host.path("layout"), tag: "v1")
                let pull = ["pull", "-q", "oci:\(host.path("layout")):v1"]
                let takes = try Self.time(host, pull)
                try host.ok("rmi", "-f", try host.ok("images", "-q"))
                try Self.killed(host, moments: 12, takes: takes, pull)
                // Whole or not at all.
                for id in try host.ok("images", "-q").split(separator: "\n") {
                    try host.ok("run", "--rm", "--network", "none", String(id), "true")
                    try host.ok("rmi", String(id))
                }
                let id = try host.ok(
                    "pull", "-q", "oci:\(host.path("layout")):v1")
                #expect(
                    try host.ok("run", "--rm", "--network", "none", id, "sh", "-c", "ls -d /dir* | wc -l")
                        == "40")
                try host.ok("rmi", id)
                try Self.expectEmpty(host)
            }
        }

        /// Nothing of any image or container is left in the store.
        static func expectEmpty(_ host: Host) throws {
            #expect(try host.ok("ps", "-aq") == "")
            #expect(try host.ok("images", "-aq") == "")
            // What takes long goes on in the background.
            try host.ok("system", "sweep")
            for place in [
                "blobs/sha256", "overlay/layers", "overlay/snapshots", "ingest", "partial", "trash",
                "containers",
            ] {
                let names = (try? File.names(in: "\(host.root)/\(place)")) ?? []
                #expect(names.isEmpty, "\(place): \(names)")
            }
        }

        @Test func killedRuns() throws {
            try Host.with { host in
                let image = try host.busybox()
                let run = ["run", "--rm", image, "true"]
                let takes = try Self.time(host, run)
                try Self.killed(host, moments: 25, takes: takes, run)
                try host.eventually("what was started ends by itself") { try host.ok("ps", "-q") == "" }
                for id in try host.ok("ps", "-aq").split(separator: "\n") {
                    try host.ok("rm", "-f", String(id))
                }
                #expect(try host.apus(list: run).exit == 0)
                try host.ok("rmi", image)
                try Self.expectEmpty(host)
            }
        }

        @Test func killedDetachedRunsStopsAndRemovals() throws {
            try Host.with { host in
                let image = try host.busybox()
                let name = "\(host.prefix)-k"
                for moment in 0..<12 {
                    let pause = useconds_t(moment * 4_000)
                    for arguments in [
                        ["run", "-d", "--name", name, image, "sleep", "1000"], ["stop", "-t", "1", name],
                        ["rm", "-f", "-t", "0", name],
                    ] {
                        let run = try ProgramRun(host.command + arguments, environment: host.environment)
                        usleep(pause)
                        run.send(SIGKILL)
                        _ = try run.finish()
                    }
                    // The name is free again once the container is removed, whatever state it was left in.
                    _ = try host.apus("rm", "-f", "-t", "0", name)
                    let again = try host.apus("run", "--rm", "--name", name, image, "echo", "fine")
                    #expect(again.text == "fine", "moment \(moment): \(again)")
                }
                try host.ok("rmi", image)
                try Self.expectEmpty(host)
            }
        }

        @Test func killedMonitorsAndRuntimes() throws {
            try Host.with { host in
                let image = try host.busybox()
                for moment in 0..<10 {
                    let run = try host.start("run", "-d", image, "sleep", "1000")
                    usleep(useconds_t(moment * 3_000))
                    for process in Kernel.processes(mentioning: host.root) where !process.contains(" run -d ")
                    {
                        if let pid = pid_t(process.prefix { $0 != " " }) { kill(pid, SIGKILL) }
                    }
                    _ = try run.finish()
                    for id in try host.ok("ps", "-aq").split(separator: "\n") {
                        try host.ok("rm", "-f", "-t", "0", String(id))
                    }
                }
                #expect(try host.ok("run", "--rm", image, "echo", "fine") == "fine")
                try host.ok("rmi", image)
                try Self.expectEmpty(host)
            }
        }

        @Test func aFullDiskDuringAPull() throws {
            try Host.with { host in
                try File.makeDirectories(host.root)
                // Room for the compressed layer but not for its files.
                try ProgramRun.tool("mount", "-t", "tmpfs", "-o", "size=3m", "small", host.root)
                defer { umount2(host.root, Int32(MNT_DETACH)) }
                var extra = TarBuilder()
                extra.add("big", bytes: [UInt8](repeating: 0x61, count: 6 << 20))
                try ImageBuilder.busybox(adding: extra).writeLayout(to: host.path("layout"), tag: "v1")
                let full = try host.apus("pull", "-q", "oci:\(host.path("layout")):v1")
                #expect(full.exit != 0)
                #expect(full.errorText.lowercased().contains("no space left on device"))
                #expect(full.errorText.split(separator: "\n").count == 1)
                #expect(try host.ok("images", "-q") == "")
                try ProgramRun.tool("mount", "-o", "remount,size=64m", host.root)
                let id = try host.ok("pull", "-q", "oci:\(host.path("layout")):v1")
                #expect(
                    try host.ok("run", "--rm", "--network", "none", id, "wc", "-c", "/big").hasPrefix(
                        "6291456"))
            }
        }

        @Test func twoPullsOfTheSameAtOnce() throws {
            try Host.with { host in
                try ImageBuilder.busybox().writeLayout(to: host.path("layout"), tag: "v1")
                let runs = try (0..<6).map { _ in
                    try host.start("pull", "-q", "oci:\(host.path("layout")):v1")
                }
                let ends = try runs.map { try $0.finish() }
                for end in ends { #expect(end.exit == 0, "\(end)") }
                #expect(Set(ends.map(\.text)).count == 1)
                #expect(try host.ok("images", "-q").split(separator: "\n").count == 1)
            }
        }
    }
}
