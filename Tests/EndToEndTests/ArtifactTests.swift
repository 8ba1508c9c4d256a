import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// `apus artifact`, in podman's words; podman has had it since version 5.4.
    @Suite(.ours) struct ArtifactTests {
        private static func files(_ host: Host) throws -> (small: String, large: String) {
            (
                try host.write("hello\n", to: "small.txt"),
                try host.write(String(repeating: "0123456789", count: 1000), to: "large.bin")
            )
        }

        @Test func listsInspectsAndRemoves() throws {
            try Host.with { host in
                let (small, large) = try Self.files(host)
                let one = try host.ok("artifact", "add", "localhost/test/one", small)
                #expect(one.utf8.count == 64)
                let two = try host.ok(
                    "artifact", "add", "--type", "application/x-two", "--file-type", "text/yaml",
                    "--annotation", "color=blue", "localhost/test/two:v2", small, large)
                let table = try host.ok("artifact", "ls").split(separator: "\n").map {
                    $0.split(separator: " ").map(String.init)
                }
                #expect(table.count == 3 && table[0] == ["REPOSITORY", "TAG", "DIGEST", "CREATED", "SIZE"])
                #expect(table[2][..<3] == ["localhost/test/two", "v2", String(two.prefix(12))])
                #expect(table[2].last == "10kB" && table[1].last == "6B" && table[1].contains("ago"))
                #expect(try host.ok("artifact", "list", "-n").split(separator: "\n").count == 2)
                #expect(
                    try host.ok("artifact", "ls", "--no-trunc", "--format", "{{.Digest}} {{.VirtualSize}}")
                        == "\(one) 6\n\(two) 10006")
                let created = try host.ok("artifact", "ls", "--format", "{{.CreatedAt}}")
                #expect(created.contains(" +0000 UTC"))

                let shown = try JSON(
                    parsing: Array(host.ok("artifact", "inspect", String(two.prefix(9))).utf8))
                #expect(shown["Name"]?.string == "localhost/test/two:v2")
                #expect(shown["Digest"]?.string == "sha256:\(two)")
                #expect(shown["Manifest"]?["artifactType"]?.string == "application/x-two")
                let layer = try #require(shown["Manifest"]?["layers"]?.array?.first)
                #expect(layer["mediaType"]?.string == "text/yaml")
                #expect(layer["annotations"]?["org.opencontainers.image.title"]?.string == "small.txt")
                #expect(
                    try host.ok(
                        "artifact", "inspect", "-f",
                        "{{.Digest}} {{.TotalSizeBytes}} {{range .Manifest.Layers}}{{.Size}},{{end}}",
                        "localhost/test/two:v2") == "sha256:\(two) 10006 6,10000,")

                #expect(try host.ok("artifact", "rm", "localhost/test/one") == one)
                let missing = try host.apus("artifact", "rm", "localhost/test/one")
                #expect(
                    missing.exit == 125
                        && missing.errorText == "Error: localhost/test/one: artifact does not exist")
                #expect(try host.apus("artifact", "rm", "-i", "localhost/test/one").exit == 0)
                #expect(try host.apus("artifact", "rm").exit == 125)
                #expect(try host.apus("artifact", "rm", "-a", "x").exit == 125)
                #expect(try host.ok("artifact", "rm", "--all") == two)
                #expect(try File.names(in: "\(host.root)/blobs/sha256").isEmpty)
            }
        }

        @Test func conflictsAreErrors() throws {
            try Host.with { host in
                let (small, large) = try Self.files(host)
                func fails(_ arguments: String..., saying text: String) throws {
                    let run = try host.apus(list: ["artifact"] + arguments)
                    #expect(run.exit == 125 && run.errorText.contains(text), "\(run)")
                }
                try host.ok("artifact", "add", "localhost/a", small)
                try fails("add", "localhost/a", large, saying: "localhost/a:latest: artifact already exists")
                try fails("add", "--append", "localhost/a", small, saying: "file already exists in artifact")
                try fails(
                    "add", "--append", "--replace", "localhost/a", large, saying: "cannot be used together")
                try fails("add", "--append", "--type", "x/y", "localhost/a", large, saying: "not compatible")
                try fails("add", "--append", "localhost/b", large, saying: "artifact does not exist")
                try fails("add", "localhost/b", "/nonexistent", saying: "/nonexistent")
                try fails("add", "short", small, saying: "localhost/short")
                try fails("add", "--annotation", "color", "localhost/b", small, saying: "KEY=VALUE")
                try fails("extract", "--title", "a", "--digest", "b", "localhost/a", "/tmp", saying: "both")
                #expect(try host.ok("artifact", "ls", "-n").split(separator: "\n").count == 1)
                try host.ok("artifact", "add", "-a", "localhost/a", large)
                try host.ok("artifact", "add", "--replace", "localhost/a", large)
                #expect(
                    try host.ok("artifact", "ls", "--format", "{{.VirtualSize}}") == "10000")
            }
        }

        @Test func extracts() throws {
            try Host.with { host in
                let (small, large) = try Self.files(host)
                try host.ok("artifact", "add", "localhost/a", small, large)
                let directory = host.path("out")
                try File.makeDirectory(directory)
                try host.ok("artifact", "extract", "localhost/a", directory)
                #expect(try File.names(in: directory).sorted() == ["large.bin", "small.txt"])
                #expect(try File.read("\(directory)/large.bin") == File.read(large))
                #expect(try host.apus("artifact", "extract", "localhost/a", host.path("f")).exit == 125)
                try host.ok("artifact", "extract", "--title", "small.txt", "localhost/a", host.path("f"))
                #expect(try File.readText(host.path("f")) == "hello\n")
                #expect(
                    try host.ok("artifact", "extract", "--title", "small.txt", "localhost/a", "/dev/stdout")
                        == "hello")
            }
        }

        /// A link stays, and what it leads to is written: a file, or standard output in one.
        @Test func linksStay() throws {
            try Host.with { host in
                let (small, _) = try Self.files(host)
                try host.ok("artifact", "add", "localhost/a", small)
                let kept = try host.write("old", to: "kept")
                try File.makeSymbolicLink(to: kept, host.path("to-file"))
                // As /dev/stdout, which a test had better not touch.
                try File.makeSymbolicLink(to: "/proc/self/fd/1", host.path("to-output"))
                try host.ok("artifact", "extract", "localhost/a", host.path("to-file"))
                #expect(try File.readText(kept) == "hello\n")
                let command = host.command.joined(separator: " ")
                try ProgramRun.tool(
                    "sh", "-ec",
                    "{ echo before; \(command) artifact extract localhost/a \(host.path("to-output")); } > \(host.path("log"))"
                )
                #expect(try File.readText(host.path("log")) == "before\nhello\n")
                for link in ["to-file", "to-output"] {
                    let status = try File.status(host.path(link), followLinks: false)
                    #expect(status.st_mode & S_IFMT == S_IFLNK, "\(link)")
                }
            }
        }

        /// To a registry and back, as skopeo sees it, and by the garbage collection of images.
        @Test(.needs("skopeo")) func travels() throws {
            try Host.with { host in
                let registry = try Registry(host, password: "sesame")
                let (small, large) = try Self.files(host)
                let name = "\(registry.address)/files/all:1"
                let digest = try host.ok(
                    "artifact", "add", "--type", "application/x-test", name, small, large)
                let refused = try host.apus("artifact", "push", "-q", "--tls-verify=false", name)
                #expect(refused.exit == 125, "\(refused)")
                let creds = ["--tls-verify=false", "--creds", "tester:sesame"]
                try host.ok(
                    list: ["artifact", "push", "--digestfile", host.path("digest")] + creds + [name])
                #expect(try File.readText(host.path("digest")) == "sha256:\(digest)")
                let raw = try ProgramRun.tool(
                    "skopeo", "inspect", "--raw", "--tls-verify=false", "--creds", "tester:sesame",
                    "docker://\(name)")
                #expect(try JSON(parsing: Array(raw.utf8))["artifactType"]?.string == "application/x-test")
                // What skopeo copies here is found by its layout, too.
                try ProgramRun.tool(
                    "skopeo", "copy", "-q", "--insecure-policy", "oci:\(host.root):\(name)",
                    "dir:\(host.path("dir"))")
                try host.ok("artifact", "rm", name)
                try host.ok(list: ["artifact", "pull", "-q"] + creds + [name])
                try host.ok("import", try Fixtures.busyboxTar(), "localhost/image")
                try host.ok("rmi", "localhost/image")
                try host.ok("system", "prune", "--all", "--force")
                #expect(try host.ok("system", "check") == "")
                #expect(try host.ok("artifact", "ls", "--no-trunc", "--format", "{{.Digest}}") == digest)
                let sizes = try host.ok("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Size}}")
                #expect(sizes.hasSuffix("Artifacts 1 10.8kB") || sizes.contains("Artifacts 1 10"), "\(sizes)")
                try host.ok("artifact", "extract", "--title", "large.bin", name, host.path("back"))
                #expect(try File.read(host.path("back")) == File.read(large))
            }
        }

        /// What is about an image is listed by its registry, or by the tag that stands for that.
        @Test func subjects() throws {
            try Host.with { host in
                let registry = try Registry(host)
                let name = "\(registry.address)/app"
                try host.ok("import", try Fixtures.busyboxTar(), "\(name):1")
                try host.ok("push", "-q", "--tls-verify=false", "\(name):1")
                let (small, _) = try Self.files(host)
                let digest = try host.ok(
                    "artifact", "add", "--type", "application/x-sbom", "--subject", "docker://\(name):1",
                    "--tls-verify=false", "\(name):sbom", small)
                try host.ok("artifact", "push", "-q", "--tls-verify=false", "\(name):sbom")
                let list = ["image", "referrers", "--tls-verify=false", "docker://\(name):1"]
                #expect(
                    try host.ok(list: list + ["--format", "{{.Digest}} {{.ArtifactType}}"])
                        == "sha256:\(digest) application/x-sbom")
                let json = try JSON(parsing: Array(host.ok(list: list + ["--format", "json"]).utf8))
                #expect(json["Digest"]?.string == "sha256:\(digest)")
                #expect(
                    try host.ok(list: list + ["--format", "{{.Digest}}", "--artifact-type", "x/y"]) == "")
            }
        }

        @Test func killedTransfersLeaveWholeArtifacts() throws {
            try Host.with { host in
                let registry = try Registry(host)
                let name = "\(registry.address)/files/all:1"
                var paths: [String] = []
                for index in 0..<20 {
                    paths.append(
                        try host.write(String(repeating: "\(index) ", count: 100_000), to: "file\(index)"))
                }
                try host.ok(list: ["artifact", "add", name] + paths)
                try host.ok("artifact", "push", "-q", "--tls-verify=false", name)
                let pull = ["artifact", "pull", "-q", "--tls-verify=false", name]
                try host.ok("artifact", "rm", name)
                let takes = try CrashTests.time(host, pull)
                for _ in 0..<2 {
                    try host.ok("artifact", "rm", "-i", name)
                    try CrashTests.killed(host, moments: 8, takes: takes, pull)
                }
                try host.ok(list: pull)
                #expect(try host.ok("system", "check") == "")
                try host.ok("artifact", "rm", name)
                try host.ok("system", "prune", "-f")
                #expect(try File.names(in: "\(host.root)/blobs/sha256").isEmpty)
                #expect(try File.names(in: "\(host.root)/ingest").isEmpty)
            }
        }
    }
}
