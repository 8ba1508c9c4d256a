import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// `apus-runtime` behind runc's command line; `APUS_PEER=podman` tries runc itself.
    @Suite struct RuntimeCommandTests {
        /// A bundle with busybox's root and a configuration that is `spec`'s, changed.
        final class Bundle {
            let host: Host
            let path: String
            let state: String
            var runtime: [String] {
                [Programs.peer == nil ? Programs.runtime : "runc", "--root", state]
                    + (Programs.usesSystemd ? ["--systemd-cgroup"] : [])
            }
            private(set) var config: JSON

            init(_ host: Host, arguments: [String] = ["true"], terminal: Bool = false) throws {
                self.host = host
                path = host.path("bundle")
                state = host.path("state")
                try File.makeDirectories("\(path)/rootfs")
                try ProgramRun.tool("tar", "-C", "\(path)/rootfs", "-xf", try Fixtures.busyboxTar())
                let made = try ProgramRun.run([
                    Programs.peer == nil ? Programs.runtime : "runc", "spec", "--bundle", path,
                ])
                guard made.exit == 0 else { throw Unexpected("\(made)") }
                config = try JSON(parsing: try File.read("\(path)/config.json"))
                try edit { config in
                    var process = config["process"]?.object ?? [:]
                    process["args"] = .array(arguments.map { .string($0) })
                    process["terminal"] = .bool(terminal)
                    process["env"] = ["PATH=/bin"]
                    // This machine may not let us raise limits (CAP_SYS_RESOURCE).
                    process["rlimits"] = nil
                    config["process"] = .object(process)
                    config["root"] = ["path": "rootfs", "readonly": false]
                }
                let (state, runtime) = (state, runtime)
                host.later {
                    for id in (try? File.names(in: state)) ?? [] {
                        _ = try? ProgramRun.run(runtime + ["delete", "-f", id])
                    }
                }
            }

            func edit(_ change: (inout JSONObject) throws -> Void) throws {
                var object = config.object ?? [:]
                try change(&object)
                config = .object(object)
                try File.replace("\(path)/config.json", with: config.bytes(indent: "  "), durable: false)
            }

            func run(_ arguments: String..., input: ProgramRun.Input = .nothing) throws -> Finished {
                try ProgramRun.run(runtime + arguments, input: input)
            }

            func state(_ id: String) throws -> JSON {
                let finished = try run("state", id)
                guard finished.exit == 0 else { throw Unexpected("\(finished)") }
                return try JSON(parsing: finished.text)
            }

            /// `create` whose container keeps our null device as its standard streams.
            func create(_ id: String, _ options: String...) throws {
                let line = (runtime + ["create", "--bundle", path] + options + [id]).map { "'\($0)'" }.joined(
                    separator: " ")
                let finished = try ProgramRun.run([
                    "sh", "-c", "\(line) < /dev/null > \(host.path("out")) 2>&1",
                ])
                guard finished.exit == 0 else {
                    throw Unexpected("\(finished) \((try? File.readText(host.path("out"))) ?? "")")
                }
            }
        }

        @Test func specIsAValidDefault() throws {
            try Host.with { host in
                let bundle = try Bundle(host)
                #expect(bundle.config["ociVersion"]?.string?.hasPrefix("1.") ?? false)
                #expect(bundle.config["root"]?["path"] == "rootfs")
                #expect(bundle.config["linux"]?["namespaces"]?.array?.count ?? 0 >= 5)
                // It does not overwrite one.
                #expect(try ProgramRun.run([bundle.runtime[0], "spec", "--bundle", bundle.path]).exit != 0)
            }
        }

        @Test func runEndsAsItsProcessDoes() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["sh", "-c", "echo $$ $(hostname); exit 4"])
                let finished = try bundle.run("run", "--bundle", bundle.path, "a")
                #expect(finished.text.hasPrefix("1 "))
                #expect(finished.exit == 4)
                #expect(try bundle.run("state", "a").exit != 0)
                #expect(try bundle.run("run", "-bundle", bundle.path, "b").exit == 4)
                #expect(try bundle.run("run", "-b", bundle.path, "c", input: .text("x")).exit == 4)
            }
        }

        @Test func createStartStateKillDelete() throws {
            try Host.with { host in
                let bundle = try Bundle(
                    host, arguments: ["sh", "-c", "echo started > /tmp/started; sleep 1000"])
                try bundle.create("life", "--pid-file", host.path("pid"))
                let created = try bundle.state("life")
                #expect(created["status"] == "created")
                #expect(created["id"] == "life")
                #expect(created["bundle"]?.string == bundle.path)
                let pid = try #require(created["pid"]?.int)
                #expect(try File.readText(host.path("pid")).trimmed == "\(pid)")
                #expect(!File.exists("\(bundle.path)/rootfs/tmp/started"))
                #expect(try bundle.run("create", "--bundle", bundle.path, "life").exit != 0)
                #expect(try bundle.run("start", "life").exit == 0)
                #expect(try bundle.state("life")["status"] == "running")
                try host.eventually("the process runs") { File.exists("\(bundle.path)/rootfs/tmp/started") }
                #expect(try bundle.run("start", "life").exit != 0)
                #expect(try bundle.run("delete", "life").exit != 0)
                #expect(try bundle.run("list", "-q").text == "life")
                let table = try bundle.run("list").lines
                #expect(table.first?.hasPrefix("ID") ?? false)
                #expect(table.last?.fields.prefix(3) == ["life", "\(pid)", "running"])
                let listed = try JSON(parsing: try bundle.run("list", "--format", "json").text)
                #expect(listed.array?.first?["pid"]?.int == pid)
                #expect(try bundle.run("kill", "life", "KILL").exit == 0)
                try host.eventually("it has stopped") { try bundle.state("life")["status"] == "stopped" }
                #expect(try bundle.run("kill", "life", "TERM").exit != 0)
                #expect(try bundle.run("delete", "life").exit == 0)
                #expect(try bundle.run("delete", "life").exit != 0)
                #expect(try bundle.run("delete", "--force", "life").exit == 0)
                #expect(try bundle.run("state", "life").exit != 0)
            }
        }

        @Test func deleteForceKills() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["sleep", "1000"])
                try bundle.create("f")
                #expect(try bundle.run("start", "f").exit == 0)
                #expect(try bundle.run("delete", "--force", "f").exit == 0)
                #expect(try bundle.run("list", "-q").text == "")
            }
        }

        @Test func execJoinsTheContainer() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["sleep", "1000"])
                try bundle.edit { $0["hostname"] = "inside" }
                try bundle.create("e")
                #expect(try bundle.run("start", "e").exit == 0)
                let finished = try bundle.run(
                    "exec", "e", "sh", "-c", "hostname; echo $X; pwd; id -u; exit 8")
                #expect(finished.exit == 8)
                #expect(
                    finished.lines == ["inside", "/", "0"] || finished.lines == ["inside", "", "/", "0"])
                let more = try bundle.run(
                    "exec", "--env", "X=y", "--cwd", "/etc", "--user", "1000:1001", "e", "sh", "-c",
                    "echo $X $PWD $(id -u) $(id -g)")
                #expect(more.text == "y /etc 1000 1001")
                #expect(try bundle.run("exec", "e", "cat", input: .text("through")).text == "through")
                #expect(try bundle.run("exec", "e", "no-such").exit != 0)
                let line =
                    (bundle.runtime + [
                        "exec", "--detach", "--pid-file", host.path("epid"), "e", "sleep", "500",
                    ]).joined(separator: " ")
                #expect(try ProgramRun.run(["sh", "-c", "\(line) > /dev/null 2>&1"]).exit == 0)
                #expect(Kernel.exists(pid_t(try File.readText(host.path("epid")).trimmed) ?? 0))
                #expect(
                    try bundle.run(
                        "exec", "--process",
                        try host.write(
                            #"{"cwd":"/tmp","args":["pwd"],"env":["PATH=/bin"],"user":{"uid":0,"gid":0}}"#,
                            to: "process.json"), "e"
                    ).text == "/tmp")
            }
        }

        @Test func terminalsComeOverTheConsoleSocket() throws {
            try Host.with { host in
                let bundle = try Bundle(
                    host, arguments: ["sh", "-c", "tty; stty size; echo via console"], terminal: true)
                let listener = try UnixSocket.listen(host.path("console"), .stream)
                try bundle.create("t", "--console-socket", host.path("console"))
                guard let connection = try UnixSocket.accept(listener.raw) else {
                    throw Unexpected("nobody connects")
                }
                var message = try UnixSocket.receive(connection.raw)
                guard let terminal = message.descriptors.takeFirst() else {
                    throw Unexpected("no descriptor comes")
                }
                #expect(try bundle.run("start", "t").exit == 0)
                var seen = ""
                var buffer = [UInt8](repeating: 0, count: 1024)
                try host.eventually("output on the terminal") {
                    let count = read(terminal.raw, &buffer, buffer.count)
                    if count > 0 { seen += String(decoding: buffer[..<count], as: UTF8.self) }
                    return seen.contains("via console")
                }
                #expect(seen.contains("/dev/pts/0") || seen.contains("/dev/console"))
            }
        }

        @Test func hooksRunInTheirOrder() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["sh", "-c", "echo process >> /tmp/order"])
                let log = "\(bundle.path)/rootfs/tmp/order"
                func hook(_ name: String) -> JSON {
                    [
                        [
                            "path": "/bin/sh",
                            "args": [
                                "sh", "-c",
                                .string("echo \(name) >> \(log); cat > \(host.path("state-\(name)"))"),
                            ],
                        ]
                    ]
                }
                try bundle.edit {
                    $0["hooks"] = [
                        "createRuntime": hook("createRuntime"), "prestart": hook("prestart"),
                        "poststart": hook("poststart"), "poststop": hook("poststop"),
                    ]
                }
                try bundle.create("h")
                #expect(Set(try File.readText(log).split(separator: "\n")) == ["prestart", "createRuntime"])
                #expect(try bundle.run("start", "h").exit == 0)
                try host.eventually("the process ran") { try bundle.state("h")["status"] == "stopped" }
                #expect(try bundle.run("delete", "h").exit == 0)
                let order = try File.readText(log).split(separator: "\n")
                #expect(Set(order) == ["prestart", "createRuntime", "process", "poststart", "poststop"])
                #expect(order.last == "poststop")
                let state = try JSON(parsing: try File.read(host.path("state-createRuntime")))
                #expect(state["id"] == "h" && state["pid"]?.int ?? 0 > 0)
            }
        }

        @Test(.ours) func onlyAMountIsRemounted() throws {
            try Host.with { host in
                let bundle = try Bundle(host)
                for options in [["remount"], ["remount", "ro"], ["remount", "bind", "ro"]] {
                    for (place, isMount) in [("/dev/shm", true), ("/bin", false)] {
                        try bundle.edit { config in
                            var mounts = config["mounts"]?.array ?? []
                            mounts.removeAll { $0["source"] == "again" }
                            mounts.append([
                                "destination": .string(place), "type": "tmpfs", "source": "again",
                                "options": .array(options.map { .string($0) }),
                            ])
                            config["mounts"] = .array(mounts)
                        }
                        let finished = try bundle.run("run", "--bundle", bundle.path, "r")
                        #expect((finished.exit == 0) == isMount, "\(options): \(finished)")
                        if !isMount { #expect(finished.errorText.contains("/bin"), "\(finished)") }
                    }
                }
            }
        }

        @Test func errorsAreClear() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["no-such-command"])
                let missing = try bundle.run("run", "--bundle", bundle.path, "x")
                #expect(missing.exit != 0)
                #expect(missing.errorText.contains("no-such-command"))
                #expect(try bundle.run("run", "--bundle", "/no/such/bundle", "x").exit != 0)
                #expect(try bundle.run("run", "--bundle", bundle.path, "../escape").exit != 0)
                #expect(try bundle.run("run", "--bundle", bundle.path, "").exit != 0)
                #expect(try bundle.run("state", "nothing").exit != 0)
                #expect(try bundle.run("kill", "nothing").exit != 0)
                try File.replace("\(bundle.path)/config.json", with: Array(#"{"ociVersion": 5}"#.utf8))
                #expect(try bundle.run("run", "--bundle", bundle.path, "x").exit != 0)
                try File.replace("\(bundle.path)/config.json", with: Array("{".utf8))
                #expect(try bundle.run("run", "--bundle", bundle.path, "x").exit != 0)
                #expect(try bundle.run("list", "-q").text == "")
            }
        }
    }
}
