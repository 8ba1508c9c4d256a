import LayerArchive
import LinuxSystem
import Synchronization
import Testing

extension EndToEnd {
    /// Many processes at all kinds of work on one store, with the same images: each command does what
    /// it says or names what another took away, and in the end nothing is left.
    ///
    /// - `APUS_MANY_SECONDS`: for how long (default 4)
    @Suite(.ours) struct ManyProcessesTests {
        private static let seconds = Programs.environment("APUS_MANY_SECONDS").flatMap { Int($0) } ?? 4

        @Test(arguments: ["overlay", "erofs"]) func anyMixIsCorrect(driver: String) throws {
            try Host.with(globals: ["--storage-driver", driver]) { host in
                guard try StoreTests.canUse(driver, host) else { return }
                let crowd = try Crowd(host)
                let workers = (0..<32).map { Crowd.Worker(number: $0, of: crowd) }
                let end = ContinuousClock.now + .seconds(Self.seconds)
                try Threads.parallel(limit: workers.count, workers) { worker in
                    while ContinuousClock.now < end { worker.work() }
                }
                let (tally, wrong) = crowd.outcome
                print("many processes, \(driver): \(tally)")
                #expect(wrong.isEmpty, "\(wrong.count) wrong:\n\(wrong.prefix(10).joined(separator: "\n"))")

                try host.ok("rm", "-a", "-f", "-t", "0")
                try host.ok("image", "unmount", "--all", "--force")
                try host.ok("rmi", "-a", "-f")
                try host.ok("volume", "prune", "-f")
                try host.ok("system", "sweep")
                #expect(try host.ok("system", "check") == "")
                for place in [
                    "blobs/sha256", "\(driver)/layers", "\(driver)/implied", "\(driver)/trees",
                    "\(driver)/snapshots", "ingest", "trash", "containers", "volumes",
                ] {
                    let names = (try? File.names(in: "\(host.root)/\(place)")) ?? []
                    #expect(names.isEmpty, "\(place): \(names)")
                }
                for folder in (try? File.names(in: "\(host.root)/erofs/objects")) ?? [] {
                    #expect(try File.names(in: "\(host.root)/erofs/objects/\(folder)").isEmpty)
                }
                #expect(
                    Set(try File.names(in: "\(host.root)/locks")).subtracting(["store", "content"]) == [])
                for place in ["containers", "runtime", "images", "held"] {
                    let names = (try? File.names(in: "\(host.runRoot)/\(place)")) ?? []
                    #expect(names.isEmpty, "\(place): \(names)")
                }
            }
        }
    }
}

/// What the processes of a test share, and what became of their commands.
private final class Crowd: Sendable {
    /// Images over the same lowest layer; the file /mark says which one it is.
    static let images = ["a", "b", "c"]

    let command: [String]
    let environment: [String]
    let scratch: String
    let prefix: String
    private let state = Mutex((counts: [String: Int](), slowest: [String: Duration](), wrong: [String]()))

    init(_ host: Host) throws {
        command = host.command
        environment = host.environment
        scratch = host.scratch
        prefix = host.prefix
        let entries = try Self.images.map { name in
            var extra = TarBuilder()
            extra.add("mark", .file, name)
            for index in 0..<100 {
                extra.add("files/\(index)", .file, String(repeating: "\(name)\(index % 7)", count: 500))
            }
            let image = try ImageBuilder.busybox(adding: extra)
            try File.replace(
                host.path("\(name).tar"), with: try image.dockerArchive(tags: ["localhost/mix:\(name)"]),
                durable: false)
            return (name, [image], false)
        }
        try ImageBuilder.writeLayout(to: host.path("layout"), entries)
        for name in Self.images { try host.ok("load", "-q", "-i", host.path("\(name).tar")) }
    }

    /// - Parameter isRight: what is wrong with the outcome; nil for nothing.
    func note(_ finished: Finished, as name: String, _ objection: String?) {
        state.withLock {
            $0.counts[name, default: 0] += 1
            $0.slowest[name] = max($0.slowest[name] ?? .zero, finished.duration)
            if let objection { $0.wrong.append("\(objection): \(finished)") }
        }
    }

    func wrong(_ what: String) { state.withLock { $0.wrong.append(what) } }

    var outcome: (tally: String, wrong: [String]) {
        state.withLock { state in
            let lines = state.counts.sorted { $0.key < $1.key }.map { name, count in
                let time = state.slowest[name]!.components
                return
                    "\(name) \(count) (\(time.seconds * 1000 + time.attoseconds / 1_000_000_000_000_000) ms)"
            }
            return (lines.joined(separator: ", "), state.wrong)
        }
    }

    /// One of those who work at once.
    final class Worker: Sendable {
        private let number: Int
        private let crowd: Crowd

        init(number: Int, of crowd: Crowd) {
            self.number = number
            self.crowd = crowd
        }

        /// Someone else took it away, or uses it.
        private static let lost = [
            "no such image", "no image ", "no such container", "is in use", "is mounted", "not mounted",
            "there is no such", "is gone", "it is used by",
        ]

        @discardableResult
        private func run(
            _ name: String, _ arguments: [String], input: ProgramRun.Input = .nothing,
            mayLose: Bool = true, expecting text: String? = nil
        ) -> Finished? {
            let finished: Finished
            do {
                finished = try ProgramRun.run(
                    crowd.command + arguments, input: input, environment: crowd.environment,
                    timeout: .seconds(120))
            } catch {
                crowd.wrong("\(name): \(error)")
                return nil
            }
            var objection: String?
            if finished.exit != 0 {
                let wasLost = mayLose && Self.lost.contains { finished.errorText.contains($0) }
                if !wasLost || finished.errorText.split(separator: "\n").count > 1 { objection = "it failed" }
            } else if let text, finished.text != text {
                objection = "it says something else than \(text)"
            }
            crowd.note(finished, as: name, objection)
            return finished.exit == 0 ? finished : nil
        }

        func work() {
            let which = Crowd.images.randomElement()!
            let image = "localhost/mix:\(which)"
            let container = "\(crowd.prefix)-\(number)"
            switch Int.random(in: 0..<24) {
            case 0, 1:
                if let id = run(
                    "pull", ["pull", "-q", "oci:\(crowd.scratch)/layout:\(which)"], mayLose: false)
                {
                    run("tag", ["tag", id.text, image])
                }
            case 2, 22: run("load", ["load", "-q", "-i", "\(crowd.scratch)/\(which).tar"], mayLose: false)
            case 3, 4:
                run(
                    "run --rm",
                    ["run", "--rm", "--pull", "never", "--network", "none", image, "cat", "/mark"],
                    expecting: which)
            case 5, 18: detached(image, container, which)
            case 6, 19: committed(image, container)
            case 7:
                let name = "localhost/own:\(number)"
                if run("tag", ["tag", image, name]) != nil { run("untag", ["rmi", name]) }
            case 8:
                let path = "\(crowd.scratch)/saved-\(number).tar"
                if run("save", ["save", "-q", "-o", path, image]) != nil {
                    run("load", ["load", "-q", "-i", path], mayLose: false)
                }
                try? File.unlink(path)
            case 9:
                run("copy", ["copy", "-q", "apus:\(image)", "oci:\(crowd.scratch)/copies:\(which)"])
            case 10, 20: mounted(image, which)
            case 11: run("rmi", ["rmi", image])
            case 12: run("prune", ["system", "prune", "-f"] + (Int.random(in: 0..<8) == 0 ? ["-a"] : []))
            case 13: run("check", ["system", "check"], mayLose: false, expecting: "")
            case 14: run("images", ["images", "-a"], mayLose: false)
            case 15, 21: run("ps", ["ps", "-a"], mayLose: false)
            case 16:
                let volume = "\(crowd.prefix)-\(number)"
                if run("volume create", ["volume", "create", volume], mayLose: false) != nil {
                    run(
                        "run --rm",
                        [
                            "run", "--rm", "--pull", "never", "--network", "none", "-v", "\(volume):/files",
                            image, "cat", "/files/3",
                        ], expecting: String(repeating: "\(which)3", count: 500))
                    run("volume rm", ["volume", "rm", volume], mayLose: false)
                }
            default:
                var tar = TarBuilder()
                tar.add("only-\(number)", .file, "\(number)")
                let name = "localhost/imported:\(number)"
                if run("import", ["import", "-q", "-", name], input: .bytes(tar.archive), mayLose: false)
                    != nil
                {
                    run("rmi", ["rmi", name])
                }
            }
        }

        private func detached(_ image: String, _ container: String, _ which: String) {
            let started = run(
                "run -d",
                [
                    "run", "-d", "--pull", "never", "--network", "none", "--name", container, image, "sleep",
                    "1000",
                ])
            guard started != nil else { return }
            // One that runs is nobody else's to remove.
            run("exec", ["exec", container, "cat", "/mark"], mayLose: false, expecting: which)
            if Bool.random() {
                run("stop", ["stop", "-t", "0", container], mayLose: false)
                run("start", ["start", container])
            }
            run("rm -f", ["rm", "-f", "-t", "0", container])
        }

        private func committed(_ image: String, _ container: String) {
            var tar = TarBuilder()
            tar.add("own", .file, "\(number)")
            let name = "localhost/committed:\(number)"
            let made = run(
                "create",
                ["create", "--pull", "never", "--network", "none", "--name", container, image, "cat", "/own"])
            guard made != nil else { return }
            if run("cp", ["cp", "-", "\(container):/"], input: .bytes(tar.archive)) != nil,
                run("commit", ["commit", "-q", container, name]) != nil
            {
                run(
                    "run --rm", ["run", "--rm", "--pull", "never", "--network", "none", name],
                    expecting: "\(number)")
                run("rmi", ["rmi", name])
            }
            run("rm", ["rm", "-i", container])
        }

        private func mounted(_ image: String, _ which: String) {
            guard let path = run("image mount", ["image", "mount", image])?.text else { return }
            // Who unmounts takes one use back, and not all of them.
            do {
                let mark = try File.readText("\(path)/mark")
                if mark != which { crowd.wrong("\(path) shows \"\(mark)\" for \(image)") }
            } catch {
                crowd.wrong("\(path) does not show \(image): \(error)")
            }
            run("image unmount", ["image", "unmount", image])
        }
    }
}
