import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// `image unpack` and `image repack`, beside umoci's.
    @Suite(.ours) struct BundleTests {
        /// All that a layer can say of each file.
        private static func listing(_ directory: String) throws -> [String] {
            let text = try ProgramRun.tool(
                "sh", "-c",
                """
                cd \(directory); find . -printf '%p %y %m %U %G %s %n %T@ %l\\n' | sed 's|\\(^[^ ]* d [0-9]* [0-9]* [0-9]*\\) [0-9]* [0-9]*|\\1|' | sort
                find . -type f -exec sha256sum {} + | sort -k2; getfattr -dhR -m - . 2>/dev/null | sed '/^$/d'
                """)
            return text.split(separator: "\n").map(String.init)
        }

        /// Layers with what is not simple: links, removals, attributes, directories without entries.
        private static func image(_ host: Host, _ name: String = "localhost/bundle:1") throws {
            var second = TarBuilder()
            second.add("etc/", .directory)
            second.add("bin/.wh.ash")
            second.add("deep/below/file", .file, "deep", mode: 0o4755)
            second.add("links/one", .file, "linked")
            second.add("links/two", .hardLink, link: "links/one")
            second.add("soft", .symbolicLink, link: "/etc/passwd")
            var third = TarBuilder()
            third.add("links/.wh.two")
            third.add("deep/below/more", .file, "more", mode: 0o644)
            var builder = try ImageBuilder.busybox(adding: second)
            builder.layers.append(ImageBuilder.Layer(tar: third.archive))
            builder.config = [
                "Entrypoint": ["/bin/sh", "-c"], "Cmd": ["id -u; cat /deep/below/more"],
                "Env": ["PATH=/bin", "A=b"], "WorkingDir": "/tmp", "User": "bob", "Volumes": ["/data": [:]],
                "Labels": ["who": "me"], "ExposedPorts": ["80/tcp": [:]], "StopSignal": "SIGQUIT",
            ]
            try host.ok("load", input: .bytes(try builder.dockerArchive(tags: [name])))
        }

        /// A change of each kind.
        private static let changes = """
            echo new > new; ln new twin; ln -s /etc/passwd link; mkdir -p d/e; echo x > d/e/x; echo more >> etc/passwd
            rm etc/group; rm -r deep; mkdir deep; echo again > deep/again; chmod 700 tmp; mkfifo pipe
            ln links/one links/three; chown 7:8 soft -h; mkdir -p data; echo masked > data/x
            """

        @Test(.needs("umoci", "skopeo")) func treesAndLayersAreUmocis() throws {
            for driver in ["overlay", "vfs", "erofs"] {
                try Host.with(globals: ["--storage-driver", driver]) { host in
                    guard try StoreTests.canUse(driver, host) else { return }
                    try Self.image(host)
                    let layout = host.path("layout")
                    try host.ok("push", "-q", "localhost/bundle:1", "oci:\(layout):1")
                    let (ours, theirs) = (host.path("ours"), host.path("theirs"))
                    try host.ok("image", "unpack", "localhost/bundle:1", ours)
                    try ProgramRun.tool("umoci", "unpack", "--image", "\(layout):1", theirs)
                    func withoutTimes(_ lines: [String]) -> [String] {
                        // No layer says when these were made.
                        lines.map { line in
                            guard line.contains(" d ") else { return line }
                            return line.split(separator: " ").dropLast().joined(separator: " ")
                        }
                    }
                    #expect(
                        try withoutTimes(Self.listing("\(ours)/rootfs"))
                            == withoutTimes(Self.listing("\(theirs)/rootfs")), "\(driver)")

                    for bundle in [ours, theirs] {
                        try ProgramRun.tool("sh", "-ec", "cd \(bundle)/rootfs; \(Self.changes)")
                    }
                    try host.ok("image", "repack", "localhost/bundle:2", ours)
                    try ProgramRun.tool("umoci", "repack", "--image", "\(layout):2", theirs)
                    try host.ok("push", "-q", "localhost/bundle:2", "oci:\(host.path("made")):2")
                    let mine = try Self.layer("\(host.path("made")):2", host)
                    let peers = try Self.layer("\(layout):2", host)
                    // umoci leaves out the directories above what has changed.
                    #expect(
                        mine.filter { !$0.hasSuffix("/") } == peers.filter { !$0.hasSuffix("/") }, "\(driver)"
                    )
                    #expect(Set(mine).isSuperset(of: peers))
                    #expect(!mine.contains { $0.contains("data/x") })

                    // And the image is the bundle.
                    let again = host.path("again")
                    try host.ok("image", "unpack", "localhost/bundle:2", again)
                    try ProgramRun.tool("rm", "\(ours)/rootfs/data/x")
                    #expect(
                        try withoutTimes(Self.listing("\(again)/rootfs")).filter { !$0.hasPrefix("./data ") }
                            == withoutTimes(Self.listing("\(ours)/rootfs")).filter {
                                !$0.hasPrefix("./data ")
                            }, "\(driver)"
                    )
                }
            }
        }

        /// The names in an image's topmost layer, with what they are.
        private static func layer(_ image: String, _ host: Host) throws -> [String] {
            let place = host.path("layer")
            try ProgramRun.tool("rm", "-rf", place)
            try ProgramRun.tool("skopeo", "copy", "-q", "--insecure-policy", "oci:\(image)", "dir:\(place)")
            let manifest = try JSON(parsing: File.read("\(place)/manifest.json"))
            let digest = try #require(manifest["layers"]?.array?.last?["digest"]?.string)
            let text = try ProgramRun.tool("tar", "-tf", "\(place)/\(digest.dropFirst(7))")
            return text.split(separator: "\n").map {
                $0.hasPrefix("./") ? String($0.dropFirst(2)) : String($0)
            }
            .filter { $0 != "." && !$0.isEmpty }.sorted()
        }

        @Test(.needs("runc")) func bundlesRun() throws {
            try Host.with { host in
                try Self.image(host)
                let bundle = host.path("bundle")
                try host.ok("image", "unpack", "localhost/bundle:1", bundle)
                #expect(try File.status(bundle).st_mode & 0o777 == 0o700)
                var config = try JSON(parsing: File.read("\(bundle)/config.json")).object!
                #expect(config["process"]?["cwd"]?.string == "/tmp")
                #expect(config["process"]?["env"]?.array?.compactMap(\.string).contains("A=b") == true)
                #expect(config["process"]?["user"]?["uid"]?.int == 1000)
                #expect(config["annotations"]?["who"]?.string == "me")
                #expect(config["annotations"]?["org.opencontainers.image.exposedPorts"]?.string == "80/tcp")
                #expect(config["annotations"]?["org.opencontainers.image.stopSignal"]?.string == "SIGQUIT")
                #expect(
                    config["mounts"]?.array?.contains {
                        $0["destination"]?.string == "/data" && $0["type"]?.string == "tmpfs"
                    } == true)
                // There is no terminal here.
                var process = config["process"]!.object!
                process["terminal"] = false
                process["args"] = ["/bin/sh", "-c", "id -u; cat /deep/below/file"]
                config["process"] = .object(process)
                try host.write(JSON.object(config).text(), to: "bundle/config.json")
                for runtime in [Programs.runtime, "runc"] {
                    let ran = try ProgramRun.run(
                        [
                            runtime, "--root", host.path("state"), "run", "--bundle", bundle,
                            "\(host.prefix)b",
                        ],
                        environment: host.environment)
                    #expect(ran.text == "1000\ndeep", "\(ran)")
                }
            }
        }

        @Test func reproducibleWithHistoryAndMasks() throws {
            try Host.with { host in
                try Self.image(host)
                let bundle = host.path("bundle")
                try host.ok("image", "unpack", "localhost/bundle:1", bundle)
                func repack(_ name: String, _ flags: String...) throws -> String {
                    let finished = try ProgramRun.run(
                        host.command + ["image", "repack"] + flags + [name, bundle],
                        environment: host.environment + ["SOURCE_DATE_EPOCH=1000000000"])
                    guard finished.exit == 0 else { throw Unexpected("\(finished)") }
                    return finished.text
                }
                func layers(_ name: String) throws -> String {
                    try host.ok("image", "inspect", "-f", "{{len .RootFS.Layers}}", name)
                }
                _ = try repack("localhost/same:1")
                #expect(try layers("localhost/same:1") == "3")
                try ProgramRun.tool("sh", "-ec", "cd \(bundle)/rootfs; \(Self.changes)")
                let first = try repack("localhost/made:1")
                try ProgramRun.tool("touch", "\(bundle)/rootfs/new")
                #expect(try repack("localhost/made:2") == first)
                #expect(
                    try host.ok("image", "inspect", "-f", "{{.Created}}", first) == "2001-09-09T01:46:40Z")

                _ = try repack(
                    "localhost/told:1", "--history.author", "me", "--history.comment", "why",
                    "--history.created_by", "make", "--history.created", "2020-01-02T03:04:05Z")
                #expect(
                    try host.ok("history", "--format", "{{.CreatedBy}}|{{.Comment}}", "localhost/told:1")
                        .split(separator: "\n").first == "make|why")
                _ = try repack("localhost/silent:1", "--no-history")
                #expect(
                    try host.ok("image", "inspect", "-f", "{{len .History}}", "localhost/silent:1")
                        == host.ok("image", "inspect", "-f", "{{len .History}}", "localhost/bundle:1"))

                _ = try repack("localhost/masked:1", "--mask-path", "/deep", "--mask-path", "d/e")
                let files = "find / -xdev -path '*deep*' -o -path '/d*' -prune"
                let listed = try host.ok(
                    "run", "--rm", "-u", "0", "--network", "none", "--entrypoint", "", "localhost/masked:1",
                    "sh", "-c",
                    files)
                #expect(listed.contains("/deep/below/more") && !listed.contains("/d/e"), "\(listed)")
                _ = try repack("localhost/volumes:1", "--no-mask-volumes")
                try host.ok("image", "unpack", "localhost/volumes:1", host.path("volumes"))
                #expect(File.exists(host.path("volumes/rootfs/data/x")))

                // From here on nothing has changed.
                _ = try repack("localhost/fresh:1", "--refresh-bundle", "--no-mask-volumes")
                _ = try repack("localhost/fresh:2", "--no-mask-volumes")
                #expect(try layers("localhost/fresh:1") == "4" && layers("localhost/fresh:2") == "4")
            }
        }

        @Test func whatIsThereStays() throws {
            try Host.with { host in
                try Self.image(host)
                try host.write("mine", to: "taken/file")
                try File.makeDirectories(host.path("empty"))
                try File.makeSymbolicLink(to: host.path("empty"), host.path("link"))
                for place in ["taken", "taken/file", "link", "none/below"] {
                    let refused = try host.apus("image", "unpack", "localhost/bundle:1", host.path(place))
                    #expect(refused.exit != 0 && refused.errorText.contains(place), "\(refused)")
                }
                #expect(try File.readText(host.path("taken/file")) == "mine")
                #expect(try host.apus("image", "unpack", "nosuch", host.path("new")).exit != 0)
                #expect(!File.exists(host.path("new")))
                try host.ok("image", "unpack", "localhost/bundle:1", host.path("empty"))
                #expect(File.exists(host.path("empty/rootfs/deep/below/file")))

                for (name, text) in [("none", nil), ("bad", "{"), ("newer", #"{"version":3,"image":"x"}"#)] {
                    try File.makeDirectories(host.path("\(name)/rootfs"))
                    if let text { try host.write(text, to: "\(name)/apus.json") }
                    let refused = try host.apus("image", "repack", "localhost/x:1", host.path(name))
                    #expect(refused.exit != 0 && refused.errorText.contains("apus.json"), "\(refused)")
                }
                for flags in [
                    ["--no-history", "--history.author", "x"], ["--history.created", "x"],
                    ["--mask-path", "/"],
                ] {
                    #expect(
                        try host.apus(
                            list: ["image", "repack"] + flags + ["localhost/x:1", host.path("empty")]
                        ).exit != 0)
                }
                try host.ok("rmi", "localhost/bundle:1")
                let refused = try host.apus("image", "repack", "localhost/x:1", host.path("empty"))
                #expect(refused.errorText.contains("pull or load it again"), "\(refused)")
            }
        }

        /// A killed unpack leaves nothing that looks whole, and the next one does not mind it.
        @Test func killed() throws {
            try Host.with { host in
                var extra = TarBuilder()
                for number in 0..<3000 { extra.add("many/\(number)", bytes: []) }
                try host.ok(
                    "load",
                    input: .bytes(
                        try ImageBuilder.busybox(adding: extra).dockerArchive(tags: ["localhost/many:1"])))
                let bundle = host.path("place/bundle")
                try File.makeDirectories(host.path("place"))
                var cut = 0
                for delay in 0..<5 {
                    let unpack = try host.start("image", "unpack", "localhost/many:1", bundle)
                    try host.eventually("it has begun") {
                        try unpack.hasEnded || !File.names(in: host.path("place")).isEmpty
                    }
                    usleep(useconds_t(delay * 10_000))
                    unpack.send(SIGKILL)
                    _ = try unpack.finish()
                    if File.exists(bundle) {
                        #expect(try File.names(in: "\(bundle)/rootfs/many").count == 3000)
                        #expect(File.exists("\(bundle)/apus.json"))
                        try ProgramRun.tool("rm", "-rf", bundle)
                    } else if try !File.names(in: host.path("place")).isEmpty {
                        cut += 1
                    }
                }
                #expect(cut > 0)
                try host.ok("image", "unpack", "localhost/many:1", bundle)
                #expect(try File.names(in: host.path("place")) == ["bundle"])
            }
        }
    }
}
