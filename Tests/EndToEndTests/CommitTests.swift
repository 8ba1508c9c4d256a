import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    @Suite struct CommitTests {
        /// Changes of every kind, by a shell.
        private static let changes = """
            echo new > /new; ln /new /twin; ln -s /etc/passwd /soft; mkdir -p /deep/er; echo x > /deep/er/x
            echo more >> /etc/passwd; rm /etc/group; rm -r /home; mkdir /home; echo h > /home/h
            chmod 700 /tmp; chmod 4755 /bin/busybox; chown 1000:1001 /var; mkfifo /pipe
            dd if=/dev/zero of=/sparse bs=1 count=1 seek=5000000 2>/dev/null
            """

        private static let listing =
            "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /etc/hosts -o -path /etc/hostname -o -path /etc/resolv.conf \\) -prune -o -exec stat -c '%n %a %u %g %s %Y %F %N' {} + | grep -v -e '^/ ' -e '^/etc ' | sort"

        @Test func committedImageIsTheContainer() throws {
            try Host.with { host in
                let image = try host.busybox()
                try host.ok(
                    "run", "--name", "\(host.prefix)c", "--network", "none", image, "sh", "-c", Self.changes)
                try host.ok("commit", "-q", "\(host.prefix)c", "localhost/made:1")
                // The same shell in both.
                try host.ok(
                    "commit", "-q", "--change",
                    "CMD [\"sh\", \"-c\", \"\(Self.listing.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\"]",
                    "\(host.prefix)c", "localhost/lister:1")
                let listed = try host.ok("run", "--rm", "--network", "none", "localhost/lister:1")
                #expect(listed.contains("/new 644 0 0 4"))
                #expect(listed.contains("/twin 644 0 0 4"))
                #expect(listed.contains("/tmp 700 "))
                #expect(listed.contains("/bin/busybox 4755 "))
                #expect(listed.contains("/sparse 644 0 0 5000001"))
                #expect(listed.contains("/home/h ") && !listed.contains("/etc/group"))
                let again = try host.ok(
                    "run", "--rm", "--network", "none", "localhost/made:1", "sh", "-c", Self.listing)
                #expect(again == listed)
            }
        }

        @Test func configurationAndHistory() throws {
            try Host.with { host in
                let image = try host.busybox()
                try host.ok(
                    "run", "--name", "\(host.prefix)c", "--network", "none", "-e", "A=1", "-w", "/tmp",
                    "--user", "bob",
                    "--label", "x=y", image, "true")
                let id = try host.ok(
                    "commit", "-q", "--format", "docker", "--author", "me <me@example.org>", "-m",
                    "the message", "-c", "ENV B=2",
                    "-c",
                    "EXPOSE 80", "--iidfile", host.path("id"), "\(host.prefix)c", "localhost/made:2")
                #expect(try File.readText(host.path("id")) == (id.hasPrefix("sha256:") ? id : "sha256:" + id))
                let shown = try JSON(parsing: host.ok("image", "inspect", "localhost/made:2"))
                let config = shown.array?.first?["Config"]
                #expect(config?["Env"]?.array?.compactMap(\.string).contains("A=1") == true)
                #expect(config?["Env"]?.array?.compactMap(\.string).contains("B=2") == true)
                #expect(config?["WorkingDir"]?.string == "/tmp")
                #expect(config?["User"]?.string == "bob")
                #expect(config?["Labels"]?["x"]?.string == "y")
                #expect(config?["Cmd"]?.array?.compactMap(\.string) == ["true"])
                #expect(config?["ExposedPorts"]?["80/tcp"] != nil)
                let history = try host.ok(
                    "history", "--format", "{{.CreatedBy}}|{{.Comment}}", "localhost/made:2")
                #expect(history.split(separator: "\n").first == "true|the message")
            }
        }

        @Test(.ours) func reproducible() throws {
            try Host.with { host in
                let image = try host.busybox()
                var digests: Set<String> = []
                for name in ["a", "b"] {
                    try host.ok(
                        "run", "--name", host.prefix + name, "--network", "none", image, "sh", "-c",
                        Self.changes)
                    usleep(1_100_000)
                    let commit = try ProgramRun.run(
                        host.command + ["commit", host.prefix + name],
                        environment: host.environment + ["SOURCE_DATE_EPOCH=1000000000"])
                    #expect(commit.exit == 0, "\(commit)")
                    digests.insert(commit.text)
                }
                #expect(digests.count == 1)
                let bad = try ProgramRun.run(
                    host.command + ["commit", host.prefix + "a"],
                    environment: host.environment + ["SOURCE_DATE_EPOCH=tomorrow"])
                #expect(bad.exit == 125 && bad.errorText.contains("SOURCE_DATE_EPOCH"))
                // What changed nothing makes no layer.
                try host.ok("create", "--name", "\(host.prefix)n", "--network", "none", image)
                try host.ok("commit", "\(host.prefix)n", "localhost/same:1")
                let layers = { (name: String) in
                    try host.ok("image", "inspect", "--format", "{{len .RootFS.Layers}}", name)
                }
                #expect(try layers("localhost/same:1") == layers(image))
                try host.ok("commit", "--squash", host.prefix + "a", "localhost/flat:1")
                #expect(try layers("localhost/flat:1") == "1")
                try host.ok(
                    "run", "--rm", "--network", "none", "localhost/flat:1", "sh", "-c",
                    "test -e /deep/er/x && test ! -e /etc/group")
            }
        }

        @Test(.ours) func sameByEveryDriver() throws {
            var listings: Set<String> = []
            for driver in ["overlay", "vfs", "erofs"] {
                try Host.with(globals: ["--storage-driver", driver]) { host in
                    guard try StoreTests.canUse(driver, host) else { return }
                    let image = try host.busybox()
                    try host.ok(
                        "run", "--name", "\(host.prefix)c", "--network", "none", image, "sh", "-c",
                        Self.changes)
                    let commit = try ProgramRun.run(
                        host.command + ["commit", "\(host.prefix)c", "localhost/m:1"],
                        environment: host.environment + ["SOURCE_DATE_EPOCH=1000000000"])
                    #expect(commit.exit == 0, "\(commit)")
                    listings.insert(
                        try host.ok(
                            "image", "inspect", "--format", "{{json .RootFS.Layers}}", "localhost/m:1"))
                    let list = try host.ok("diff", "\(host.prefix)c")
                    #expect(list.split(separator: "\n").contains("D /etc/group"), "\(driver): \(list)")
                }
            }
            #expect(listings.count == 1, "\(listings)")
        }

        @Test func differences() throws {
            try Host.with { host in
                let image = try host.busybox()
                try host.ok(
                    "run", "--name", "\(host.prefix)c", "--network", "none", image, "sh", "-c",
                    "mkdir /a; echo > /a/b; rm /etc/group; echo >> /etc/passwd")
                let lines = try host.ok("diff", "\(host.prefix)c").split(separator: "\n")
                for line in ["A /a", "A /a/b", "D /etc/group", "C /etc", "C /etc/passwd"] {
                    #expect(lines.contains(Substring(line)), "\(line) in \(lines)")
                }
                // What mounts stand on is not the container's doing.
                #expect(!lines.contains { $0.hasSuffix("/etc/hosts") || $0.hasSuffix("/proc") })
                let json = try JSON(parsing: host.ok("diff", "--format", "json", "\(host.prefix)c"))
                #expect(json["deleted"]?.array?.compactMap(\.string) == ["/etc/group"])
                try host.ok("commit", "-q", "\(host.prefix)c", "localhost/made:3")
                let ofImage = try host.ok("image", "diff", "localhost/made:3").split(separator: "\n")
                #expect(ofImage.contains("A /a/b") && ofImage.contains("D /etc/group"))
            }
        }

        @Test func exports() throws {
            try Host.with { host in
                let image = try host.busybox()
                let id = try host.detached(
                    "--name", "\(host.prefix)c", "--network", "none", "-v", "vol:/data", image, "sh", "-c",
                    "echo v > /data/v; echo x > /x; sleep 1000")
                try host.eventually("the file is there") {
                    try host.apus("exec", id, "test", "-e", "/x").exit == 0
                }
                try host.ok("export", "-o", host.path("running.tar"), id)
                let names = try ProgramRun.tool("tar", "tf", host.path("running.tar")).split(separator: "\n")
                #expect(names.contains("x") && names.contains("bin/busybox") && names.contains("data/"))
                #expect(!names.contains("data/v"))
                try host.ok("stop", "-t", "0", id)
                let stopped = try host.apus("export", id)
                #expect(stopped.exit == 0 && stopped.output.count > 1_000_000)
                let imported = try host.ok("import", "-q", host.path("running.tar"))
                #expect(try host.ok("run", "--rm", "--network", "none", imported, "/bin/cat", "/x") == "x")
            }
        }

        /// The container stands still while it is committed, and goes on whatever happens to the commit.
        @Test(.ours) func pausesAndGoesOn() throws {
            try Host.with { host in
                let image = try host.busybox()
                let id = try host.detached(
                    "--name", "\(host.prefix)c", "--network", "none", image, "sh", "-c",
                    "dd if=/dev/zero of=/big bs=1M count=60 2>/dev/null; echo ready > /ready; while true; do echo x > /t; done"
                )
                try host.eventually("it has begun") {
                    try host.apus("exec", id, "test", "-e", "/ready").exit == 0
                }
                func isMoving() throws -> Bool {
                    let probe = try host.apus(
                        "exec", id, "sh", "-c", "stat -c %y /t; sleep 0.1; stat -c %y /t",
                        timeout: .seconds(10))
                    return probe.exit == 0 && probe.lines.count == 2 && probe.lines[0] != probe.lines[1]
                }
                try host.ok("commit", id)
                #expect(try isMoving())
                for moment in 0..<8 {
                    let run = try ProgramRun(host.command + ["commit", id], environment: host.environment)
                    usleep(useconds_t(20_000 * moment))
                    let children = Kernel.children(of: run.pid)
                    run.send(SIGKILL)
                    // The helper too: then the next command lets it go on.
                    if moment % 2 == 1 { for child in children { kill(child, SIGKILL) } }
                    _ = try run.finish(timeout: .seconds(20))
                    try host.ok("images")
                    try host.eventually("it goes on") { try isMoving() }
                }
                #expect(((try? File.names(in: "\(host.runRoot)/held")) ?? []).isEmpty)
                try host.ok("rm", "-f", "-t", "0", id)
                for image in try host.ok("images", "-q").split(separator: "\n") {
                    try host.ok("rmi", "-f", String(image))
                }
                try CrashTests.expectEmpty(host)
            }
        }

        @Test(.ours) func refusals() throws {
            try Host.with { host in
                let image = try host.busybox()
                try host.ok("create", "--name", "\(host.prefix)c", "--network", "none", image)
                for (arguments, words) in [
                    (["commit", "nosuch"], "no such container"),
                    (["commit", "\(host.prefix)c", "UPPER"], "UPPER"),
                    (["commit", "-c", "NONSENSE x", "\(host.prefix)c"], "NONSENSE"),
                    (
                        ["commit", "\(host.prefix)c", "a@sha256:\(String(repeating: "0", count: 64))"],
                        "digest"
                    ),
                    (["diff", "nosuch"], "nosuch"), (["export", "nosuch"], "no such container"),
                    (["history", "nosuch"], "no such image"),
                ] {
                    let finished = try host.apus(list: arguments)
                    #expect(finished.exit == 125 && finished.errorText.contains(words), "\(finished)")
                }
                // A name that a layer cannot hold.
                try host.ok(
                    "run", "--name", "\(host.prefix)w", "--network", "none", image, "touch", "/tmp/.wh.x")
                let trick = try host.apus("commit", "\(host.prefix)w")
                #expect(trick.exit == 125 && trick.errorText.contains(".wh.x"), "\(trick)")
                #expect(try host.ok("images", "-q").split(separator: "\n").count == 1)
            }
        }

        @Test(.ours) func importsFromTheWeb() throws {
            try Host.with { host in
                let directory = host.path("web")
                try File.makeDirectories(directory)
                try ProgramRun.tool("cp", try Fixtures.busyboxTar(), "\(directory)/root.tar")
                let script = """
                    import http.server, os
                    os.chdir('\(directory)')
                    class H(http.server.SimpleHTTPRequestHandler):
                        def do_GET(self):
                            if self.path in ('/there', '/loop', '/file'):
                                self.send_response(302)
                                self.send_header('Location', {'/there': '/root.tar', '/loop': '/loop', '/file': 'file:///etc/passwd'}[self.path])
                                self.end_headers()
                            else:
                                super().do_GET()
                        def log_message(self, *a): pass
                    s = http.server.ThreadingHTTPServer(('127.0.0.1', 0), H)
                    print(s.server_port, flush=True)
                    s.serve_forever()
                    """
                let server = try ProgramRun(["/usr/bin/python3", "-c", script])
                defer { server.send(SIGKILL) }
                try server.wait(for: "port") { server.text.contains("\n") }
                let url = "http://127.0.0.1:\(server.text.split(separator: "\n")[0])"
                try host.ok("import", "-q", "\(url)/there", "localhost/web:1")
                #expect(
                    try host.ok("run", "--rm", "--network", "none", "localhost/web:1", "/bin/echo", "hi")
                        == "hi")
                for (path, words) in [("/none", "404"), ("/loop", "redirections"), ("/file", "URL")] {
                    let finished = try host.apus("import", "\(url)\(path)")
                    #expect(finished.exit == 125 && finished.errorText.contains(words), "\(finished)")
                }
            }
        }
    }
}
