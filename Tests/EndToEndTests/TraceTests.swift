import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// `apus-runtime run --trace`, `create --trace`, `exec --trace`.
    @Suite struct TraceTests {
        private typealias Bundle = RuntimeCommandTests.Bundle

        private struct Step {
            var at: Int
            /// nil for a part of another step.
            var took: Int?
            var process: String
            var name: String
            var what: String
        }

        /// The table, and the text around it.
        private struct Trace {
            var steps: [Step] = []
            var total: Int?
            var longest: String?
            var rest: [String] = []
            var isAligned = true

            init(_ text: String) throws {
                var columns: [Int] = []
                for line in text.split(separator: "\n").map(String.init) {
                    let fields = line.fields
                    if fields.starts(with: ["at", "µs", "took", "µs", "process", "step"]) {
                        columns = ["process", "step", "what"].map { word in
                            let characters = Array(line)
                            return characters.indices.last { characters[$0...].starts(with: word) } ?? 0
                        }
                    } else if fields.count >= 4, let at = Int(fields[0]),
                        fields[1] == "·" || Int(fields[1]) != nil
                    {
                        let characters = Array(line)
                        for column in columns {
                            guard column > 0, column <= characters.count, characters[column - 1] == " ",
                                column == characters.count || characters[column] != " "
                            else {
                                isAligned = false
                                continue
                            }
                        }
                        steps.append(
                            Step(
                                at: at, took: Int(fields[1]), process: fields[2],
                                name: String(characters[columns[1]..<(columns[2] - 1)]).trimmed,
                                what: String(characters[columns[2]...])))
                    } else if line.hasPrefix("total "), let value = Int(fields[1]) {
                        total = value
                        longest = line
                    } else {
                        rest.append(line)
                    }
                }
            }

            func what(_ name: String, _ process: String? = nil) -> [String] {
                steps.filter { $0.name == name && (process == nil || $0.process == process) }.map(\.what)
            }
        }

        private func bundle(_ host: Host, _ arguments: [String]) throws -> Bundle {
            let bundle = try Bundle(host, arguments: arguments)
            try bundle.edit { config in
                config["hostname"] = "traced"
                var linux = config["linux"]?.object ?? [:]
                linux["sysctl"] = ["net.ipv4.ip_forward": "1"]
                linux["resources"] = ["pids": ["limit": 77]]
                linux["seccomp"] = [
                    "defaultAction": "SCMP_ACT_ALLOW",
                    "syscalls": [["names": ["reboot"], "action": "SCMP_ACT_ERRNO"]],
                ]
                config["linux"] = .object(linux)
            }
            return bundle
        }

        @Test(.ours) func runTellsEachStep() throws {
            try Host.with { host in
                let bundle = try bundle(host, ["sh", "-c", "echo out; echo err >&2; exit 3"])
                let finished = try bundle.run("run", "--trace", "--bundle", bundle.path, "t")
                #expect(finished.exit == 3)
                #expect(finished.text == "out")
                let trace = try Trace(finished.errorText)
                #expect(trace.rest == ["err"])
                #expect(trace.isAligned, "\(finished.errorText)")

                let destinations =
                    bundle.config["mounts"]?.array?.compactMap { $0["destination"]?.string } ?? []
                for destination in destinations {
                    #expect(trace.what("mount", "container").contains { $0.contains(" on \(destination)") })
                }
                let made = (trace.what("namespaces") + trace.what("clone") + trace.what("cgroup")).joined()
                for namespace in bundle.config["linux"]?["namespaces"]?.array ?? [] {
                    #expect(made.contains(namespace["type"]?.string ?? "?"), "\(namespace)")
                }
                #expect(trace.what("limit").contains { $0.contains("77") })
                #expect(
                    trace.what("cgroup").contains { $0.contains("/sys/fs/cgroup/") && $0.hasSuffix("/t") })
                #expect(trace.what("devices").first?.contains("/dev/null") == true)
                #expect(trace.what("mask").contains("/proc/keys"))
                #expect(trace.what("read-only").contains("/proc/sys"))
                #expect(trace.what("pivot") == ["\(bundle.path)/rootfs"])
                #expect(trace.what("hostname") == ["traced"])
                #expect(trace.what("sysctl").contains("net.ipv4.ip_forward=1"))
                #expect(trace.what("capability").contains { $0.contains("bounding") && $0.contains("KILL") })
                #expect(trace.what("no_new_privs") == ["set"])
                #expect(trace.what("seccomp").count >= 2)
                #expect(trace.what("exec", "container").count == 1)
                #expect(trace.steps.last?.name == "exec")

                // The times add up: steps come in their order, those of one process do not overlap, and
                // nothing is outside the whole.
                let total = trace.total ?? 0
                for process in ["runtime", "container"] {
                    var end = 0
                    for step in trace.steps where step.process == process {
                        #expect(step.at >= end - 2 || step.took == nil, "\(step)")
                        end = max(end, step.at + (step.took ?? 0))
                        #expect(end <= total + 2, "\(step)")
                    }
                }
                #expect(trace.steps.map(\.at) == trace.steps.map(\.at).sorted())
                let most = trace.steps.filter { $0.name != "wait" }.compactMap(\.took).max() ?? 0
                #expect(trace.longest?.contains("longest: \(most) µs") == true, "\(trace.longest ?? "")")
            }
        }

        @Test(.ours) func nothingIsToldUnasked() throws {
            try Host.with { host in
                let bundle = try bundle(host, ["true"])
                #expect(try bundle.run("run", "--bundle", bundle.path, "t").errors.isEmpty)
            }
        }

        @Test(.ours) func createAndExecTellToo() throws {
            try Host.with { host in
                let bundle = try bundle(host, ["sleep", "100"])
                try bundle.create("t", "--trace")
                let created = try Trace(try File.readText(host.path("out")))
                #expect(created.rest.isEmpty)
                #expect(!created.what("pivot").isEmpty && created.what("exec").isEmpty)
                #expect(created.total != nil)
                #expect(try bundle.run("start", "t").exit == 0)

                let executed = try bundle.run("exec", "--trace", "t", "echo", "inside")
                #expect(executed.text == "inside")
                let trace = try Trace(executed.errorText)
                #expect(trace.rest.isEmpty)
                #expect(trace.what("namespaces").first?.contains("mount") == true)
                #expect(trace.what("exec") == ["echo inside"])
            }
        }

        /// What was done until it failed is told before the failure.
        @Test(.ours) func aFailureIsTracedUpToIt() throws {
            try Host.with { host in
                let bundle = try bundle(host, ["no-such-command"])
                let finished = try bundle.run("run", "--trace", "--bundle", bundle.path, "t")
                #expect(finished.exit != 0)
                let trace = try Trace(finished.errorText)
                #expect(!trace.what("pivot").isEmpty && trace.what("exec").isEmpty)
                #expect(trace.rest.contains { $0.contains("no-such-command") })
            }
        }

        /// A config must not steer the terminal of the one who reads the trace.
        @Test(.ours) func controlCharactersAreSpelledOut() throws {
            try Host.with { host in
                let bundle = try bundle(host, ["true", "\u{1b}]0;title\u{7}\nfake line"])
                let finished = try bundle.run("run", "--trace", "--bundle", bundle.path, "t")
                #expect(finished.errorText.contains("\\x1b]0;title\\x07\\x0afake line"))
                #expect(!finished.errors.contains(0x1b))
            }
        }
    }
}
