import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// Images in and images here: load, import, pull, images, inspect, tag, rmi, save.
    @Suite struct ImagesTests {
        static func marked(_ text: String, _ compression: ImageBuilder.Compression = .gzip) throws
            -> ImageBuilder
        {
            var extra = TarBuilder()
            extra.add("marker", .file, text + "\n", mode: 0o644)
            return try .busybox(adding: extra, compression)
        }

        static func marker(_ host: Host, _ image: String) throws -> String {
            try host.ok("run", "--rm", "--network", "none", image, "cat", "/marker")
        }

        @Test func loadsDockerArchives() throws {
            try Host.with { host in
                let archive = try Self.marked("docker").dockerArchive(tags: ["example.com/loaded:1"])
                let file = host.path("image.tar")
                try File.replace(file, with: archive)
                #expect(try host.ok("load", "-i", file).contains("example.com/loaded:1"))
                #expect(try Self.marker(host, "example.com/loaded:1") == "docker")
                try host.ok("rmi", "example.com/loaded:1")
                // From standard input, and compressed.
                try host.ok("load", input: .bytes(archive))
                #expect(try Self.marker(host, "example.com/loaded:1") == "docker")
                guard Programs.peer == nil else { return }
                try host.ok("rmi", "example.com/loaded:1")
                try ProgramRun.tool("gzip", file)
                try host.ok("load", "--input", "\(file).gz")
                #expect(try Self.marker(host, "example.com/loaded:1") == "docker")
                try host.ok("rmi", "example.com/loaded:1")
                try File.replace(file, with: archive)
                try ProgramRun.tool("xz", "-1", file)
                try host.ok("load", "--input", "\(file).xz")
                #expect(try Self.marker(host, "example.com/loaded:1") == "docker")
            }
        }

        @Test func loadsOCIArchives() throws {
            try Host.with { host in
                try Self.marked("oci", .zstd).writeLayout(to: host.path("layout"), tag: "example.com/oci:2")
                try ProgramRun.tool("tar", "-C", host.path("layout"), "-cf", host.path("oci.tar"), ".")
                try host.ok("load", "-i", host.path("oci.tar"))
                let names = try host.ok("images", "--format", "{{.ID}}").split(separator: "\n")
                #expect(names.count == 1)
                #expect(try Self.marker(host, String(names[0])) == "oci")
            }
        }

        @Test(arguments: [ImageBuilder.Compression.none, .gzip, .zstd])
        func pullsFromALayout(compression: ImageBuilder.Compression) throws {
            try Host.with { host in
                let layout = host.path("layout")
                try Self.marked("layout", compression).writeLayout(to: layout, tag: "v1")
                let pulled = try host.ok("pull", "-q", "oci:\(layout):v1")
                #expect(
                    try Self.marker(host, pulled.split(separator: "\n").last.map(String.init) ?? "")
                        == "layout")
            }
        }

        @Test(.ours) func pullsDockerSchema2FromALayout() throws {
            try Host.with { host in
                var image = try Self.marked("schema2")
                image.isDocker = true
                try image.writeLayout(to: host.path("layout"), tag: "v1")
                let id = try host.ok("pull", "-q", "oci:\(host.path("layout")):v1")
                #expect(try Self.marker(host, id) == "schema2")
            }
        }

        @Test func choosesThePlatformFromAnIndex() throws {
            try Host.with { host in
                var arm = try Self.marked("arm")
                arm.architecture = "arm64"
                let amd = try Self.marked("amd")
                try ImageBuilder.writeLayout(to: host.path("layout"), [("multi", [arm, amd], true)])
                let source = "oci:\(host.path("layout")):multi"
                #expect(try Self.marker(host, try host.ok("pull", "-q", source)) == "amd")
                let other = try host.ok("pull", "-q", "--platform", "linux/arm64", source)
                #expect(try host.ok("image", "inspect", "--format", "{{.Architecture}}", other) == "arm64")
                let unknown = try host.apus("pull", "-q", "--platform", "plan9/mips", source)
                #expect(unknown.exit != 0)
                #expect(unknown.errorText.contains("plan9") || unknown.errorText.contains("mips"))
            }
        }

        @Test(.needs("docker-registry", "skopeo"))
        func pullsFromARegistryByTagAndDigest() throws {
            try Host.with { host in
                let registry = try Registry(host)
                try Self.marked("registry").writeLayout(to: host.path("layout"), tag: "v1")
                try registry.push("oci:\(host.path("layout")):v1", as: "team/app:1.0")
                let name = "\(registry.address)/team/app"
                try host.ok("pull", "--tls-verify=false", "\(name):1.0")
                #expect(try Self.marker(host, "\(name):1.0") == "registry")
                let digest = try ProgramRun.tool(
                    "skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}",
                    "docker://\(name):1.0")
                try host.ok("rmi", "\(name):1.0")
                try host.ok("pull", "--tls-verify=false", "\(name)@\(digest)")
                #expect(try Self.marker(host, "\(name)@\(digest)") == "registry")
                let absent = try host.apus("pull", "--tls-verify=false", "\(name):none")
                #expect(absent.exit != 0)
                #expect(absent.errorText.contains("manifest unknown") || absent.errorText.contains("404"))
            }
        }

        @Test(.needs("docker-registry", "skopeo", "openssl"))
        func pullsOverHTTPS() throws {
            try Host.with { host in
                let registry = try Registry(host, https: true)
                try Self.marked("https").writeLayout(to: host.path("layout"), tag: "v1")
                try registry.push("oci:\(host.path("layout")):v1", as: "secure:1")
                let name = "\(registry.address)/secure:1"
                let refused = try host.apus("pull", name)
                #expect(refused.exit != 0)
                #expect(refused.errorText.contains("certificate"))
                try host.ok("pull", "-q", "--cert-dir", host.path("certs"), name)
                #expect(try Self.marker(host, name) == "https")
                try host.ok("rmi", name)
                try host.ok("pull", "-q", "--tls-verify=false", name)
            }
        }

        @Test(.needs("docker-registry", "skopeo", "htpasswd"))
        func givesThePasswordOfTheAuthFile() throws {
            try Host.with { host in
                let registry = try Registry(host, password: "secret")
                try Self.marked("auth").writeLayout(to: host.path("layout"), tag: "v1")
                let name = "\(registry.address)/private:1"
                try ProgramRun.tool(
                    "skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", "-q", "--dest-creds",
                    "tester:secret",
                    "oci:\(host.path("layout")):v1", "docker://\(name)")
                let refused = try host.apus("pull", "-q", "--tls-verify=false", name)
                #expect(refused.exit != 0)
                #expect(
                    ["unauthorized", "authentication", "401", "log in"].contains {
                        refused.errorText.lowercased().contains($0)
                    }, "\(refused)")
                // tester:secret
                try host.write(
                    #"{"auths":{"\#(registry.address)":{"auth":"dGVzdGVyOnNlY3JldA=="}}}"#,
                    to: "home/auth.json")
                try host.ok("pull", "-q", "--tls-verify=false", name)
                #expect(try Self.marker(host, name) == "auth")
            }
        }

        @Test(.needs("docker-registry", "skopeo"))
        func followsRegistriesConf() throws {
            try Host.with { host in
                let registry = try Registry(host)
                try Self.marked("short").writeLayout(to: host.path("layout"), tag: "v1")
                try registry.push("oci:\(host.path("layout")):v1", as: "library/thing:latest")
                try host.write(
                    """
                    unqualified-search-registries = ["\(registry.address)"]
                    short-name-mode = "permissive"
                    [aliases]
                    "nick" = "\(registry.address)/library/thing"
                    [[registry]]
                    location = "\(registry.address)"
                    insecure = true
                    [[registry]]
                    prefix = "mirrored.example"
                    location = "\(registry.address)"
                    insecure = true
                    [[registry]]
                    location = "blocked.example"
                    blocked = true
                    """, to: "registries.conf")
                try host.ok("pull", "-q", "library/thing")
                try host.ok("pull", "-q", "nick")
                #expect(try Self.marker(host, "\(registry.address)/library/thing") == "short")
                try host.ok("pull", "-q", "mirrored.example/library/thing")
                #expect(try Self.marker(host, "mirrored.example/library/thing") == "short")
                let blocked = try host.apus("pull", "-q", "blocked.example/x")
                #expect(blocked.exit != 0)
                #expect(blocked.errorText.contains("block"))
            }
        }

        @Test func progressIsPlainWithoutATerminal() throws {
            try Host.with { host in
                try Self.marked("x").writeLayout(to: host.path("layout"), tag: "v1")
                let plain = try host.apus("pull", "oci:\(host.path("layout")):v1")
                #expect(plain.exit == 0)
                #expect(!plain.errors.contains(0x1B) && !plain.errors.contains(0x0D))
                #expect(!plain.errorText.isEmpty)
                try host.ok("rmi", plain.lines.last ?? "")
                let screen = try host.terminal("pull", "oci:\(host.path("layout")):v1")
                #expect(try screen.finish() == 0)
                #expect(screen.screen.contains(0x1B) || screen.screen.contains(0x0D))
            }
        }

        @Test func listsInspectsTagsAndRemoves() throws {
            try Host.with { host in
                let image = try host.busybox()
                let id = try host.ok("images", "-q", "--no-trunc", image)
                #expect(id.hasPrefix("sha256:") && id.count == 71)
                try host.ok("tag", image, "example.com/other:2")
                let rows = try host.ok("images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").split(
                    separator: "\n")
                #expect(rows.count == 2)
                #expect(rows.contains { $0.hasPrefix("example.com/other:2 ") })
                let inspected = try JSON(parsing: try host.ok("inspect", image))
                #expect(inspected.array?.first?["Architecture"] == "amd64")
                #expect(inspected.array?.first?["Config"]?["Cmd"] == ["/bin/sh"])
                #expect(
                    try host.ok("image", "inspect", "--format", "{{len .RepoTags}} {{.Os}}", image)
                        == "2 linux")
                try host.ok("rmi", "example.com/other:2")
                #expect(try host.ok("images", "-q").split(separator: "\n").count == 1)
                try host.ok("rmi", image)
                #expect(try host.ok("images", "-q") == "")
                #expect(try host.apus("rmi", image).exit != 0)
            }
        }

        @Test func saysUnderWhichNamesItLoaded() throws {
            try Host.with { host in
                let builder = try Self.marked("named")
                for name in ["b", "a"] {
                    let tag = "example.com/\(name):1"
                    try File.replace(host.path(name), with: builder.dockerArchive(tags: [tag]))
                    #expect(try host.ok("load", "-q", "-i", host.path(name)) == "Loaded image: \(tag)")
                }
            }
        }

        @Test func importsXZ() throws {
            try Host.with { host in
                var tar = TarBuilder()
                tar.add("file", .file, "x", mode: 0o644)
                try File.replace(host.path("root.tar"), with: tar.bytes)
                try ProgramRun.tool("xz", host.path("root.tar"))
                try host.ok("import", host.path("root.tar.xz"), "localhost/imported")
                #expect(try host.ok("images", "-q").split(separator: "\n").count == 1)
            }
        }

        @Test func filters() throws {
            try Host.with { host in
                var ids: [String] = []
                for name in ["a", "b", "c"] {
                    var tar = TarBuilder()
                    tar.add(name, .file, name, mode: 0o644)
                    try File.replace(host.path(name), with: tar.bytes)
                    try host.ok("import", "-c", "LABEL is=\(name)", host.path(name), "localhost/\(name):1")
                    ids.append(try host.ok("images", "-q", "localhost/\(name):1"))
                    usleep(1_100_000)
                }
                try host.ok("tag", "localhost/c:1", "localhost/d:1")
                func found(_ filter: String) throws -> [String] {
                    try host.ok("images", "-q", "--filter", filter).split(separator: "\n").map(String.init)
                        .sorted()
                }
                #expect(try found("label=is=b") == [ids[1]])
                #expect(try found("label=is") == ids.sorted())
                #expect(try found("before=localhost/b:1") == [ids[0]])
                #expect(try found("since=localhost/b:1") == [ids[2]])
                #expect(try found("until=1h") == [])
                #expect(try found("reference=localhost/d:*") == [ids[2]])
                #expect(try host.apus("images", "--filter", "bogus=1").exit == 125)
            }
        }

        @Test func pullPolicies() throws {
            try Host.with { host in
                let image = try host.busybox()
                func run(_ policy: String, _ image: String) throws -> Int32 {
                    try host.apus("run", "--rm", "--network", "none", "--pull", policy, image, "true").exit
                }
                for policy in ["missing", "never", "newer"] { #expect(try run(policy, image) == 0) }
                // It is from nowhere, and nobody listens there.
                try host.ok("tag", image, "localhost:1/x:1")
                #expect(try run("always", "localhost:1/x:1") == 125)
                #expect(try run("newer", "localhost:1/x:1") == 0)
                #expect(try run("never", "localhost:1/y:1") == 125)
                #expect(try run("sometimes", image) == 125)
            }
        }

        @Test func refusesToRemoveAnImageInUse() throws {
            try Host.with { host in
                let image = try host.busybox()
                let id = try host.ok("create", "--name", "\(host.prefix)-user", image)
                let refused = try host.apus("rmi", image)
                #expect(refused.exit != 0)
                #expect(
                    refused.errorText.contains(String(id.prefix(12)))
                        || refused.errorText.contains("\(host.prefix)-user"))
                #expect(try host.ok("images", "-q") != "")
                try host.ok("rm", id)
                try host.ok("rmi", image)
            }
        }

        @Test func savesWhatItLoaded() throws {
            try Host.with { host in
                try host.ok(
                    "load", input: .bytes(try Self.marked("kept").dockerArchive(tags: ["example.com/kept:1"]))
                )
                let id = try host.ok("images", "-q", "--no-trunc")
                for format in ["docker-archive", "oci-archive"] {
                    let file = host.path("\(format).tar")
                    try host.ok("save", "--format", format, "-o", file, "example.com/kept:1")
                    try host.ok("rmi", "example.com/kept:1")
                    try host.ok("load", "-i", file)
                    let same = try host.ok("images", "-q", "--no-trunc") == id
                    // podman writes another configuration into an oci-archive.
                    #expect(same || Programs.peer != nil, "\(format)")
                    #expect(try Self.marker(host, "example.com/kept:1") == "kept")
                }
                let stream = try host.apus("save", "example.com/kept:1")
                #expect(stream.exit == 0)
                try host.ok("rmi", "example.com/kept:1")
                try host.ok("load", input: .bytes(stream.output))
                #expect(try Self.marker(host, "example.com/kept:1") == "kept")
            }
        }

        @Test func layersApplyWithWhiteoutsAndMetadata() throws {
            try Host.with { host in
                var first = TarBuilder()
                first.add("d/", .directory)
                first.add("d/gone", .file, "x")
                first.add("d/kept", .file, "kept", mode: 0o4755, owner: (1000, 1001))
                first.add("opaque/", .directory)
                first.add("opaque/old", .file, "x")
                first.add("link", .symbolicLink, link: "d/kept")
                first.add("hard", .hardLink, link: "d/kept", mode: 0o4755, owner: (1000, 1001))
                var second = TarBuilder()
                second.add("d/.wh.gone", .file)
                second.add("opaque/.wh..wh..opq", .file)
                second.add("opaque/new", .file, "n")
                second.add(".wh.nothing", .file)
                var image = try ImageBuilder.busybox(adding: first)
                image.layers.append(.init(tar: second.archive))
                try image.writeLayout(to: host.path("layout"), tag: "v1")
                let id = try host.ok("pull", "-q", "oci:\(host.path("layout")):v1")
                let listing = try host.ok(
                    "run", "--rm", "--network", "none", id, "sh", "-c",
                    "ls /d /opaque; stat -c '%a %u %g %h' /d/kept; readlink /link; cat /hard; ls /nothing /.wh.nothing 2>&1 | wc -l"
                )
                #expect(listing == "/d:\nkept\n\n/opaque:\nnew\n4755 1000 1001 2\nd/kept\nkept2")
            }
        }
    }
}
