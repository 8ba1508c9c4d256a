import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// Images out to registries, and who may send them there.
    @Suite(.ours) struct PushTests {
        private static func digest(_ host: Host, _ name: String, _ flags: String...) throws -> String {
            try ProgramRun.tool(
                "sh", "-c",
                "skopeo inspect --tls-verify=false \(flags.joined(separator: " ")) --format '{{.Digest}}' docker://\(name)"
            )
        }

        @Test(.needs("docker-registry", "skopeo"))
        func pushesWhatItPulledToTheByte() throws {
            try Host.with { host in
                let registry = try Registry(host)
                try ImagesTests.marked("pushed").writeLayout(to: host.path("layout"), tag: "v1")
                try registry.push("oci:\(host.path("layout")):v1", as: "from/app:1")
                let (source, target) = ("\(registry.address)/from/app:1", "\(registry.address)/to/app:2")
                try host.ok("pull", "-q", source)
                let pushed = try host.apus("push", "--digestfile", host.path("digest"), source, target)
                #expect(pushed.exit == 0 && pushed.output.isEmpty, "\(pushed)")
                #expect(pushed.errorText.contains("Writing manifest to image destination"))
                let digest = try Self.digest(host, source)
                #expect(try File.readText(host.path("digest")) == digest)
                #expect(try Self.digest(host, target) == digest)
                // Into another store, by its digest.
                let other = ["--root", host.path("o"), "--runroot", host.path("or")]
                let name = "\(registry.address)/to/app@\(digest)"
                let pulled = try ProgramRun.run(
                    [Programs.apus] + other + ["pull", "-q", name], environment: host.environment)
                #expect(pulled.exit == 0, "\(pulled)")
                let again = try host.apus("push", source, "docker://\(target)")
                #expect(again.errorText.contains("skipped: already exists"), "\(again)")
                #expect(!again.errorText.contains(" blob \(digest.prefix(1)) done"))
                let quiet = try host.apus("push", "-q", source, target)
                #expect(quiet.exit == 0 && quiet.output.isEmpty && quiet.errors.isEmpty, "\(quiet)")
            }
        }

        @Test(.needs("docker-registry", "skopeo")) func allTags() throws {
            try Host.with { host in
                let registry = try Registry(host)
                let name = "\(registry.address)/team/app"
                try host.ok("import", "-q", try Fixtures.busyboxTar(), "\(name):1")
                try host.ok("tag", "\(name):1", "\(name):2")
                try host.ok("tag", "\(name):1", "\(registry.address)/team/apple:3")
                try host.ok("push", "-q", "--all-tags", name)
                let tags = try ProgramRun.tool(
                    "skopeo", "list-tags", "--tls-verify=false", "docker://\(name)")
                #expect(try JSON(parsing: tags)["Tags"]?.array?.compactMap(\.string).sorted() == ["1", "2"])
                let tagged = try host.apus("push", "-a", "\(name):1")
                #expect(tagged.exit == 125 && tagged.errorText.contains("--all-tags"), "\(tagged)")
                let unknown = try host.apus("push", "-a", "\(registry.address)/team/other")
                #expect(unknown.exit == 125 && unknown.errorText.contains("no tag of"), "\(unknown)")
            }
        }

        /// Compression's formats and levels, and none, in directories that skopeo reads.
        @Test(.needs("skopeo")) func compressesAsAsked() throws {
            try Host.with { host in
                try host.ok("import", "-q", try Fixtures.busyboxTar(), "localhost/app")
                var sizes: [String: Int64] = [:]
                for flags in [
                    [], ["--compress"], ["--compression-format", "gzip", "--compression-level", "1"],
                    ["--compression-format", "zstd", "--compression-level", "19"],
                ] {
                    let directory = host.path("d\(sizes.count)")
                    let pushed = try host.apus(
                        list: ["push", "-q"] + flags + ["localhost/app", "dir:\(directory)"])
                    #expect(pushed.exit == 0, "\(pushed)")
                    try ProgramRun.tool("skopeo", "inspect", "dir:\(directory)")
                    let json = try JSON(parsing: try File.read("\(directory)/manifest.json", limit: 1 << 20))
                    sizes[flags.joined(separator: " ")] = json["layers"]?.array?[0]["size"]?.int.map(
                        Int64.init)
                }
                let (plain, gzip) = (try #require(sizes[""]), try #require(sizes["--compress"]))
                let fast = try #require(sizes["--compression-format gzip --compression-level 1"])
                let zstd = try #require(sizes["--compression-format zstd --compression-level 19"])
                #expect(zstd < gzip && gzip < fast && fast < plain, "\(sizes)")
                // What is compressed already is compressed anew only when that is asked for.
                func other(_ arguments: [String]) throws -> String {
                    let stores = ["--root", host.path("o"), "--runroot", host.path("or")]
                    let finished = try ProgramRun.run(
                        [Programs.apus] + stores + arguments, environment: host.environment)
                    #expect(finished.exit == 0, "\(finished)")
                    return finished.text
                }
                let id = try other(["pull", "-q", "dir:\(host.path("d1"))"])
                func level(_ level: String, _ flags: String...) throws -> String {
                    let target = host.path("l\(level)\(flags.count)")
                    _ = try other(
                        ["push", "-q", "--compression-level", level] + flags + [id, "dir:\(target)"])
                    return try File.readText("\(target)/manifest.json")
                }
                let before = try File.readText("\(host.path("d1"))/manifest.json")
                #expect(try level("1") == before)
                #expect(try level("1", "--force-compression") != before)
                for (format, level) in [("gzip", "0"), ("gzip", "10"), ("zstd", "21")] {
                    let refused = try host.apus(
                        "push", "--compression-format", format, "--compression-level", level,
                        "localhost/app", "dir:\(host.path("no"))")
                    #expect(
                        refused.exit == 125 && refused.errorText.contains("\(format) has 1 to"), "\(refused)")
                }
                #expect(!File.exists(host.path("no")))
            }
        }

        @Test(.needs("docker-registry", "skopeo", "podman"))
        func podmanPullsWhatWeImported() throws {
            try Host.with { host in
                let registry = try Registry(host)
                let name = "\(registry.address)/imported:1"
                try host.ok("import", "-q", try Fixtures.busyboxTar(), name)
                try host.ok("push", "-q", name)
                try host.ok("push", "-q", "--format", "v2s2", name, "\(registry.address)/docker:1")
                try host.ok("push", "-q", "--compression-format", "zstd", name, "\(registry.address)/zstd:1")
                let podman = [
                    "podman", "--root", host.path("p"), "--runroot", host.path("pr"), "--cgroup-manager",
                    "cgroupfs", "--runtime", Programs.runtime,
                ]
                for image in ["imported:1", "docker:1", "zstd:1"] {
                    let pulled = try ProgramRun.run(
                        podman + ["pull", "-q", "--tls-verify=false", "\(registry.address)/\(image)"],
                        environment: host.environment)
                    #expect(pulled.exit == 0, "\(pulled)")
                }
                _ = try ProgramRun.run(podman + ["system", "reset", "-f"], environment: host.environment)
            }
        }

        @Test(.needs("docker-registry", "skopeo", "htpasswd", "openssl"))
        func logsIn() throws {
            try Host.with { host in
                let registry = try Registry(host, https: true, password: "se:cret")
                let certificates = host.path("certs")
                let file = host.path("auth/new.json")
                try File.makeDirectories(host.path("auth"))
                try host.write(
                    #"{"auths":{"example.com":{"auth":"YTpi","more":1}},"credHelpers":{"x":"y"}}"#,
                    to: "auth/new.json")
                let name = "\(registry.address)/private:1"
                try host.ok("import", "-q", try Fixtures.busyboxTar(), name)
                func run(_ arguments: String..., input: String = "") throws -> Finished {
                    try host.apus(list: arguments + ["--authfile", file], input: .bytes(Array(input.utf8)))
                }
                let anonymous = try run("push", "-q", "--cert-dir", certificates, name)
                #expect(anonymous.exit == 125, "\(anonymous)")
                #expect(anonymous.errorText.contains("authentication required"))
                let wrong = try run(
                    "login", "-u", "tester", "-p", "wrong", "--cert-dir", certificates, registry.address)
                #expect(wrong.exit == 125)
                #expect(
                    wrong.errorText.contains(
                        "logging into \"\(registry.address)\": invalid username/password"))
                let untrusted = try run("login", "-u", "tester", "-p", "se:cret", registry.address)
                #expect(untrusted.exit == 125 && untrusted.errorText.contains("certificate"), "\(untrusted)")
                #expect(
                    try run("login", "--get-login", registry.address).errorText.contains("not logged into"))

                let login = try run(
                    "login", "-u", "tester", "--password-stdin", "--verbose", "--cert-dir", certificates,
                    registry.address, input: "se:cret\n")
                #expect(login.lines == ["Used:  \(file)", "Login Succeeded!"], "\(login)")
                let json = try JSON(parsing: try File.read(file, limit: 1 << 20))
                #expect(json["credHelpers"]?["x"]?.string == "y")
                #expect(json["auths"]?["example.com"]?["more"]?.int == 1)
                #expect(try File.status(file).st_mode & 0o777 == 0o600)
                #expect(try File.names(in: host.path("auth")) == ["new.json"])
                #expect(try run("login", "--get-login", "https://\(registry.address)/v2/").text == "tester")
                let existing = try run("login", "--tls-verify=false", registry.address)
                #expect(existing.text.contains("Already logged in to \(registry.address)"), "\(existing)")

                let pushed = try run("push", "-q", "--cert-dir", certificates, name)
                #expect(pushed.exit == 0, "\(pushed)")
                #expect(
                    try Self.digest(host, name, "--creds", "tester:se:cret").hasPrefix("sha256:"))
                let refused = try host.apus(
                    "push", "-q", "--creds", "tester:no", "--tls-verify=false", name)
                #expect(refused.exit == 125, "\(refused)")

                let out = try run("logout", registry.address)
                #expect(out.text == "Removed login credentials for \(registry.address)")
                #expect(try run("logout", registry.address).exit == 125)
                #expect(try File.readText(file).contains("example.com"))
                // A helper that is not there is named, and nothing else stays.
                let all = try run("logout", "--all")
                #expect(all.exit == 125 && all.errorText.contains("docker-credential-y"), "\(all)")
                let empty = try JSON(parsing: try File.read(file, limit: 1 << 20))
                #expect(empty["auths"]?.object?.isEmpty == true)
                #expect(empty["credHelpers"]?["x"]?.string == "y")
            }
        }

        /// A registry with TLS sends for a token, with the password, where there is none, or where the
        /// certificate is not one of those to be trusted (CVE-2019-10214, CVE-2026-48978).
        @Test(
            .needs("docker-registry", "openssl"),
            arguments: [("http", "token server without TLS"), ("https", "certificate")])
        func tokenServersAreVerified(_ scheme: String, _ why: String) throws {
            try Host.with { host in
                let port = try Ports.free()
                let registry = try Registry(host, https: true, realm: "\(scheme)://127.0.0.1:\(port)/token")
                let (key, certificate) = (host.path("token.key"), host.path("token.crt"))
                try Registry.makeCertificate(certificate, key: key)
                // It prints what it is told.
                let server = try ProgramRun(
                    [
                        "openssl", "s_server", "-quiet", "-accept", "127.0.0.1:\(port)", "-key", key, "-cert",
                        certificate,
                    ], input: .open)
                defer { server.send(SIGKILL) }
                try host.eventually("token server") { Ports.isOpen(port) }
                let pulled = try host.apus(
                    "pull", "-q", "--cert-dir", host.path("certs"), "--creds", "tester:secret",
                    "\(registry.address)/app:1")
                #expect(pulled.exit == 125 && pulled.errorText.contains(why), "\(pulled)")
                #expect(!pulled.errorText.contains("secret"))
                server.send(SIGTERM)
                let heard = try server.finish()
                #expect(heard.output.isEmpty, "\(heard)")
                #expect(scheme == "https" || !heard.errorText.contains("http request"), "\(heard)")
            }
        }

        @Test(.needs("docker-registry")) func asksForThePassword() throws {
            try Host.with { host in
                let registry = try Registry(host, password: "secret")
                let terminal = try host.terminal("login", registry.address)
                try terminal.wait(for: "Username: ")
                terminal.type("tester\n")
                try terminal.wait(for: "Password: ")
                terminal.type("secret\n")
                try terminal.wait(for: "Login Succeeded!")
                #expect(try terminal.finish() == 0)
                #expect(try host.ok("login", "--get-login", registry.address) == "tester")
                let pipe = try host.apus("login", "-u", "tester", registry.address)
                #expect(pipe.exit == 125 && pipe.errorText.contains("--password-stdin"), "\(pipe)")
            }
        }

        @Test(.needs("docker-registry")) func saysWhyNot() throws {
            try Host.with { host in
                let registry = try Registry(host, readOnly: true)
                let name = "\(registry.address)/app:1"
                try host.ok("import", "-q", try Fixtures.busyboxTar(), name)
                let id = try host.ok("images", "-q", "--no-trunc")
                let closed = try Ports.free()
                try host.write("mine", to: "full/file")
                try host.write("mine", to: "archive.tar")
                for (arguments, expected) in [
                    ([name], "status 405"),
                    ([id], "say where to push it"),
                    (["nothing:1"], "no such image"),
                    ([name, "127.0.0.1:\(closed)/app"], "127.0.0.1:\(closed)"),
                    ([name, "dir:\(host.path("full"))"], "not empty"),
                    ([name, "docker-archive:\(host.path("archive.tar"))"], "is there already"),
                    (["--format", "oci", name, "docker-archive:\(host.path("new.tar"))"], "--format"),
                    (["--format", "v2s2", name, "oci:\(host.path("new"))"], "v2s2"),
                    (["--format", "v2s2", "--compression-format", "zstd", name], "no zstd layers"),
                    ([name, "containers-storage:x"], "not supported"),
                ] {
                    let finished = try host.apus(
                        list: ["push", "-q", "--digestfile", host.path("digest")] + arguments)
                    #expect(finished.exit == 125, "\(finished)")
                    #expect(finished.errorText.contains(expected), "\(finished)")
                    #expect(!File.exists(host.path("digest")))
                }
                #expect(try File.names(in: host.path("full")) == ["file"])
                #expect(!File.exists(host.path("new.tar")))
            }
        }
    }
}
