import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// One clear error, a non-zero exit, nothing changed.
    @Suite struct BadInputTests {
        /// A refusal: an exit code that is not 0, one line, no trace of a crash, no image.
        static func expectRefusal(_ host: Host, _ finished: Finished, mentions words: String...) throws {
            #expect(finished.exit != 0 && finished.exit < 128, "\(finished)")
            #expect(
                words.isEmpty || words.contains { finished.errorText.lowercased().contains($0.lowercased()) },
                "\(finished)")
            if Programs.peer == nil {
                #expect(finished.errorText.split(separator: "\n").count == 1, "\(finished)")
                #expect(
                    finished.errorText.hasPrefix("apus: ") || finished.errorText.hasPrefix("Error: "),
                    "\(finished)")
            }
            #expect(try host.ok("images", "-q") == "")
        }

        static func pull(_ host: Host, _ image: ImageBuilder) throws -> Finished {
            try? File.removeTree(host.path("layout"))
            try image.writeLayout(to: host.path("layout"), tag: "v1")
            return try host.apus("pull", "-q", "oci:\(host.path("layout")):v1")
        }

        static func small() -> ImageBuilder {
            var tar = TarBuilder()
            tar.add("file", .file, String(repeating: "content ", count: 2000))
            return ImageBuilder(tar.archive)
        }

        @Test func damagedLayers() throws {
            try Host.with { host in
                var flipped = Self.small()
                flipped.damageLayer = { $0[$0.count / 2] ^= 0x10 }
                try Self.expectRefusal(
                    host, try Self.pull(host, flipped), mentions: "digest", "checksum", "corrupt", "sha256",
                    "flate", "gzip")
                var truncated = Self.small()
                truncated.damageLayer = { $0.removeLast(20) }
                try Self.expectRefusal(host, try Self.pull(host, truncated))
                var longer = Self.small()
                longer.damageLayer = { $0 += [0, 0, 0, 0] }
                try Self.expectRefusal(host, try Self.pull(host, longer))
                var empty = Self.small()
                empty.damageLayer = { $0 = [] }
                try Self.expectRefusal(host, try Self.pull(host, empty))
            }
        }

        @Test(.ours) func aWrongDiffID() throws {
            try Host.with { host in
                var image = Self.small()
                image.editConfig = {
                    $0["rootfs"] = [
                        "type": "layers",
                        "diff_ids": [.string("sha256:" + String(repeating: "1", count: 64))],
                    ]
                }
                try Self.expectRefusal(
                    host, try Self.pull(host, image), mentions: "diff", "digest", "sha256", "layer")
                image.editConfig = { $0["rootfs"] = ["type": "layers", "diff_ids": []] }
                try Self.expectRefusal(host, try Self.pull(host, image))
            }
        }

        @Test func manifestsOfTheWrongShape() throws {
            try Host.with { host in
                let edits: [(inout JSONObject) -> Void] = [
                    { $0["layers"] = "none" }, { $0["config"] = 5 }, { $0["config"] = nil },
                    { $0["schemaVersion"] = 1 }, { $0["layers"] = [["digest": "sha256:zz", "size": 1]] },
                    {
                        $0["layers"] = [
                            [
                                "digest": "../../etc/passwd", "size": 1,
                                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                            ]
                        ]
                    },
                    {
                        var layer = $0["layers"]?.array?.first?.object ?? [:]
                        layer["size"] = -5
                        $0["layers"] = [.object(layer)]
                    },
                    {
                        var layer = $0["layers"]?.array?.first?.object ?? [:]
                        layer["size"] = "many"
                        $0["layers"] = [.object(layer)]
                    },
                ]
                for (number, edit) in edits.enumerated() {
                    // podman takes an image of schema 1 and a negative size.
                    if Programs.peer != nil, number == 3 || number == 6 { continue }
                    var image = Self.small()
                    image.editManifest = edit
                    let finished = try Self.pull(host, image)
                    #expect(finished.exit != 0, "edit \(number)")
                    try Self.expectRefusal(host, finished)
                }
            }
        }

        @Test(.ours) func aHugeManifest() throws {
            try Host.with { host in
                var image = Self.small()
                image.editManifest = {
                    $0["annotations"] = ["a": .string(String(repeating: "x", count: 64 << 20))]
                }
                try Self.expectRefusal(host, try Self.pull(host, image), mentions: "more than")
            }
        }

        @Test func noJSONAtAll() throws {
            try Host.with { host in
                try Self.small().writeLayout(to: host.path("layout"), tag: "v1")
                for text in ["", "{", "[]", "null", String(repeating: "[", count: 100_000), "\u{0}"] {
                    try host.write(text, to: "layout/index.json")
                    try Self.expectRefusal(host, try host.apus("pull", "-q", "oci:\(host.path("layout")):v1"))
                }
                try Self.expectRefusal(host, try host.apus("pull", "-q", "oci:\(host.path("nothing")):v1"))
                try Self.small().writeLayout(to: host.path("layout"), tag: "v1")
                try Self.expectRefusal(
                    host, try host.apus("pull", "-q", "oci:\(host.path("layout")):other"), mentions: "other")
            }
        }

        @Test func archivesThatAreNone() throws {
            try Host.with { host in
                try Self.expectRefusal(host, try host.apus("load", input: .text("this is no archive")))
                try Self.expectRefusal(host, try host.apus("load", input: .text("")))
                try Self.expectRefusal(
                    host, try host.apus("load", "-i", "/no/such/file"), mentions: "/no/such/file")
                let whole = try Self.small().dockerArchive(tags: ["a:b"])
                for cut in [100, 512, 1500, whole.count / 2, whole.count - 1600] {
                    try Self.expectRefusal(host, try host.apus("load", input: .bytes(Array(whole[..<cut]))))
                }
                if Programs.peer == nil {
                    try Self.expectRefusal(
                        host, try host.apus("import", "-", "localhost/x", input: .text("no tar")))
                    try Self.expectRefusal(
                        host, try host.apus("import", host.path("."), "localhost/x"), mentions: "directory")
                    try Self.expectRefusal(
                        host, try host.apus("import", "http://localhost:1/x.tar", "localhost/x"),
                        mentions: "connect")
                }
            }
        }

        @Test func hostileTarEntriesStayInside() throws {
            try Host.with { host in
                let bait = host.path("bait")
                try File.makeDirectories(bait)
                let up = String(repeating: "../", count: 20)
                let attacks: [(name: String, make: (inout TarBuilder) -> Void)] = [
                    ("dots", { $0.add("\(up)\(bait.dropFirst())/dots", .file, "out") }),
                    ("dots within", { $0.add("a/../\(up)\(bait.dropFirst())/within", .file, "out") }),
                    ("absolute", { $0.add("\(bait)/absolute", .file, "out") }),
                    (
                        "symlink",
                        {
                            $0.add("way", .symbolicLink, link: bait)
                            $0.add("way/through", .file, "out")
                        }
                    ),
                    (
                        "relative symlink",
                        {
                            $0.add("way", .symbolicLink, link: "\(up)\(bait.dropFirst())")
                            $0.add("way/relative", .file, "out")
                        }
                    ),
                    (
                        "hard link",
                        {
                            $0.add("stolen", .hardLink, link: "\(up)etc/shadow")
                            $0.add("stolen", .file, "out")
                        }
                    ),
                    ("absolute hard link", { $0.add("stolen", .hardLink, link: "/etc/hostname") }),
                    ("whiteout of the parent", { $0.add(".wh...", .file) }),
                    ("whiteout of dots", { $0.add("a/.wh..", .file) }),
                    (
                        "whiteout through a link",
                        {
                            $0.add("way", .symbolicLink, link: bait)
                            $0.add("way/.wh.kept", .file)
                        }
                    ),
                    (
                        "opaque through a link",
                        {
                            $0.add("way", .symbolicLink, link: bait)
                            $0.add("way/.wh..wh..opq", .file)
                        }
                    ),
                    ("the root as a file", { $0.add(".", .file, "x") }),
                    ("the root as a link", { $0.add("./", .symbolicLink, link: bait) }),
                ]
                try File.replace("\(bait)/kept", with: Array("kept".utf8))
                for attack in attacks {
                    var tar = TarBuilder()
                    tar.add("harmless", .file, "x")
                    attack.make(&tar)
                    var image = try ImageBuilder.busybox()
                    image.layers.append(.init(tar: tar.archive))
                    let finished = try Self.pull(host, image)
                    // Refused, or kept within; never outside.
                    #expect(try File.names(in: bait) == ["kept"], "\(attack.name): \(finished)")
                    #expect(finished.exit < 128, "\(attack.name): \(finished)")
                    if finished.exit == 0 {
                        let stolen = try host.apus(
                            "run", "--rm", "--network", "none", finished.text, "cat", "/stolen")
                        #expect(!stolen.text.contains("root:"), "\(attack.name)")
                        try host.ok("rmi", "-f", finished.text)
                    }
                }
                try Self.expectRefusal(
                    host,
                    try { () -> Finished in
                        var tar = TarBuilder()
                        tar.add("short", .file, bytes: Array("abc".utf8), claimedSize: 1 << 40)
                        return try Self.pull(host, ImageBuilder(tar.archive))
                    }())
            }
        }

        @Test func deviceNodesArePartOfAnImageAndCannotBeUsed() throws {
            try Host.with { host in
                var tar = TarBuilder()
                tar.add("disk", .characterDevice, mode: 0o666, device: (1, 1))
                tar.add("pipe", .fifo, mode: 0o600)
                let pulled = try Self.pull(host, try .busybox(adding: tar))
                #expect(pulled.exit == 0, "\(pulled)")
                let read = try host.apus(
                    "run", "--rm", "--network", "none", pulled.text, "sh", "-c",
                    "ls -l /disk /pipe | cut -c1; head -c1 /disk")
                #expect(read.text.hasPrefix("c\np"))
                #expect(read.exit != 0)
            }
        }

        @Test func namesAndFlags() throws {
            try Host.with { host in
                let image = try host.busybox()
                let name = "\(host.prefix)-n"
                let id = try host.ok("create", "--name", name, image)
                let taken = try host.apus("create", "--name", name, image)
                #expect(taken.exit == 125)
                #expect(taken.errorText.contains("in use") && taken.errorText.contains(String(id.prefix(12))))
                #expect(try host.ok("ps", "-aq").split(separator: "\n").count == 1)
                #expect(try host.apus("create", "--name", "not/a name", image).exit == 125)
                for arguments in [
                    ["-v", "relative:/x:bad"], ["-p", "99999:80"], ["-p", "a:b"], ["--memory", "lots"],
                    ["--restart", "sometimes"], ["-e", "=x"], ["--log-driver", "nosuch"],
                    ["--security-opt", ""], ["--security-opt", "="], ["--ulimit", "nofile=:"],
                    ["--runtime", "/etc"],
                ] {
                    let finished = try host.apus(list: ["run", "--rm"] + arguments + [image, "true"])
                    #expect(finished.exit == 125, "\(arguments): \(finished)")
                    #expect(!finished.errorText.isEmpty)
                }
                #expect(try host.apus("ps", "-a", "--filter", "label==").exit != 132)
                // More than there can be is no limit, and no crash.
                let huge = ["--memory", "9223372036854775807", "--stop-timeout", "9223372036854775807"]
                if Programs.peer == nil {
                    let endless = try host.apus(
                        list: ["run", "-d", "--network", "none"] + huge + [image, "sleep", "0.5"])
                    #expect(endless.exit == 0, "\(endless)")
                    try host.ok("stop", endless.text)
                    try host.ok("inspect", endless.text)
                }
                let typo = try host.apus("run", "--detahc", image)
                #expect(typo.exit == 125)
                #expect(typo.errorText.contains("unknown flag: --detahc"))
                #expect(typo.errorText.contains("--detach") || Programs.peer != nil)
                let command = try host.apus("rnu")
                #expect(command.exit != 0)
                #expect(command.errorText.contains("rnu"))
                for arguments in [
                    ["inspect", "nothing-here"], ["logs", "nothing-here"], ["rm", "nothing-here"],
                    ["start", "nothing-here"], ["run", "not A name"], ["run"], ["logs"],
                    ["exec", name, "true"],
                ] {
                    let finished = try host.apus(list: arguments)
                    #expect(finished.exit != 0 && finished.exit != 139, "\(arguments): \(finished)")
                    #expect(!finished.errorText.isEmpty)
                }
            }
        }

        @Test func aNameOfNowhere() throws {
            try Host.with { host in
                let port = try Ports.free()
                let finished = try host.apus(
                    "pull", "-q", "--tls-verify=false", "127.0.0.1:\(port)/a/b:c", timeout: .seconds(120))
                try Self.expectRefusal(host, finished, mentions: "127.0.0.1:\(port)")
            }
        }

        @Test func theStoreIsAFile() throws {
            try Host.with { host in
                try host.write("x", to: "file")
                let finished = try ProgramRun.run(
                    host.command.map { $0 == host.root ? host.path("file") : $0 } + ["images"],
                    environment: host.environment)
                #expect(finished.exit != 0 && finished.exit < 128)
                #expect(finished.errorText.contains(host.path("file")))
            }
        }
    }
}
