import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// Images from place to place, and looked at where they are.
    @Suite(.ours) struct CopyTests {
        private static func layout(_ host: Host, _ name: String = "layout") throws -> String {
            try ImagesTests.marked(name).writeLayout(to: host.path(name), tag: "v1")
            return "oci:\(host.path(name)):v1"
        }

        /// An image `noise:1` of what does not compress.
        private static func importNoise(_ host: Host, megabytes: Int) throws {
            try File.makeDirectories(host.path("rootfs"))
            try ProgramRun.tool(
                "sh", "-c", "head -c \(megabytes)M /dev/urandom > \(host.path("rootfs/noise"))")
            try ProgramRun.tool("tar", "-C", host.path("rootfs"), "-cf", host.path("noise.tar"), ".")
            try host.ok("import", "-q", host.path("noise.tar"), "noise:1", timeout: .seconds(120))
        }

        /// Secured at both ends, each with credentials of its own.
        @Test(.needs("docker-registry", "skopeo", "htpasswd", "openssl")) func betweenRegistries() throws {
            try Host.with { host in
                let secured = try Registry(host, https: true, password: "s3cret:x")
                let name = "docker://\(secured.address)/a/b:1"
                let access = ["--dest-creds", "tester:s3cret:x", "--dest-cert-dir", host.path("certs")]
                let layout = try Self.layout(host)
                let pushed = try host.apus(
                    list: ["copy", "--digestfile", host.path("digest")] + access + [layout, name])
                #expect(
                    pushed.exit == 0 && pushed.text.contains("Writing manifest to image destination"),
                    "\(pushed)")
                let digest = try File.readText(host.path("digest"))

                let look = ["--creds", "tester:s3cret:x", "--cert-dir", host.path("certs")]
                let ours = try host.apus(list: ["inspect"] + look + [name])
                let theirs = try ProgramRun.tool(
                    "skopeo", "inspect", "--creds", "tester:s3cret:x", "--cert-dir", host.path("certs"), name)
                var seen = try #require(try JSON(parsing: ours.text).object)
                seen.remove("LayersData")
                #expect(try JSON.object(seen) == JSON(parsing: theirs), "\(ours)")
                #expect(seen["Digest"]?.string == digest)
                let config = try host.apus(list: ["inspect", "--config"] + look + [name])
                #expect(
                    try JSON(parsing: config.text)
                        == JSON(
                            parsing: ProgramRun.tool(
                                "skopeo", "inspect", "--config", "--creds", "tester:s3cret:x", "--cert-dir",
                                host.path("certs"), name)))
                let raw = try host.apus(
                    list: ["image", "inspect", "--remote", "--raw"] + look + [String(name.dropFirst(9))])
                #expect(try JSON(parsing: raw.text)["layers"] != nil)
                let tags = try host.apus(list: ["list-tags"] + look + ["docker://\(secured.address)/a/b"])
                #expect(try JSON(parsing: tags.text)["Tags"]?.array?.compactMap(\.string) == ["1"], "\(tags)")

                let refused = try host.apus("copy", name, "dir:\(host.path("none"))")
                #expect(
                    refused.exit == 1 && refused.errorText.split(separator: "\n").count == 1, "\(refused)")
                #expect(!File.exists(host.path("none")))
                let deleted = try host.apus(list: ["delete"] + look + [name])
                #expect(deleted.exit == 0, "\(deleted)")
                let gone = try host.apus(list: ["inspect"] + look + [name])
                #expect(gone.exit == 2 && gone.errorText.contains("manifest unknown"), "\(gone)")
            }
        }

        @Test func flagsThatContradict() throws {
            try Host.with { host in
                let layout = try Self.layout(host)
                for (flags, text) in [
                    (["--all", "--multi-arch", "system"], "contradict"),
                    (["--src-no-creds", "--src-creds", "a:b"], "contradict"),
                    (["--dest-username", "a"], "--dest-password"),
                    (["--dest-compress-format", "lz4"], "lz4"),
                    (["--dest-compress-level", "10"], "--dest-compress-level"),
                    (["--format", "v2s2"], "v2s2"),
                    (["--sign-by", "x"], "it holds none"), (["--multi-arch", "index-only"], "no index"),
                    (["--dest-compress-format", "zstd", "--preserve-digests"], "--preserve-digests"),
                ] {
                    let answer = try host.apus(list: ["copy"] + flags + [layout, "oci:\(host.path("x")):y"])
                    #expect(answer.exit != 0 && answer.errorText.contains(text), "\(flags): \(answer)")
                    #expect(!File.exists(host.path("x")))
                }
                let bare = try host.apus("copy", "debian:12", "oci:\(host.path("x")):y")
                #expect(bare.exit == 1 && bare.errorText.contains("transport"), "\(bare)")
                // Nothing of this touches a store.
                try host.ok("copy", "-q", layout, "oci:\(host.path("x")):y")
                #expect(!File.exists(host.root))
            }
        }

        /// Whoever has no store needs no rights.
        @Test(.needs("docker-registry", "setpriv")) func withoutRoot() throws {
            try Host.with { host in
                let registry = try Registry(host)
                let name = "docker://\(registry.address)/a:1"
                try host.ok("copy", "-q", try Self.layout(host), name)
                // Where it was built others may see nothing, as in root's home.
                let (program, home) = (host.path("apus"), host.path("nobody"))
                try ProgramRun.tool("cp", Programs.apus, program)
                try File.makeDirectories(home)
                chown(home, UInt32(RootlessUser.id), UInt32(RootlessUser.id))
                func run(_ arguments: String...) throws -> Finished {
                    try ProgramRun.run(
                        [
                            Programs.find("setpriv")!, "--reuid", "\(RootlessUser.id)", "--regid",
                            "\(RootlessUser.id)", "--clear-groups", program,
                        ] + arguments, environment: ["PATH=\(Programs.searchPath)", "HOME=\(home)"])
                }
                let copied = try run("copy", "-q", name, "oci:\(home)/out:1")
                #expect(copied.exit == 0, "\(copied)")
                #expect(try run("inspect", "oci:\(home)/out:1").exit == 0)
                let store = try run("copy", "-q", "apus:x", "oci:\(home)/out:2")
                #expect(store.exit == 1 && store.errorText.contains("needs root"), "\(store)")
            }
        }

        /// Killed at any moment, what was there stays whole, and the next one tidies up.
        @Test(.needs("skopeo")) func killedInTheMiddle() throws {
            try Host.with { host in
                let small = try Self.layout(host)
                try Self.importNoise(host, megabytes: 12)
                let places = [
                    "oci:\(host.path("out"))", "dir:\(host.path("dir"))", "oci-archive:\(host.path("o.tar"))",
                ]
                for place in places {
                    try host.ok("copy", "-q", small, place.hasPrefix("dir") ? place : "\(place):old")
                }
                for round in 0..<12 {
                    let place = places[round % 3] + (round % 3 == 1 ? "" : ":new")
                    let run = try host.start("copy", "-q", "apus:noise:1", place)
                    usleep(UInt32(round) * 8_000)
                    run.send(SIGKILL)
                    _ = try run.finish()
                    // The archive and the directory hold the one or the other.
                    try ProgramRun.tool(
                        "skopeo", "inspect",
                        place == places[1] ? place : places[round % 3] + (round % 3 == 0 ? ":old" : ""))
                }
                for place in places {
                    try host.ok("copy", "-q", small, place.hasPrefix("dir") ? place : "\(place):old")
                }
                #expect(
                    try File.names(in: host.path("out")).sorted() == ["blobs", "index.json", "oci-layout"])
                #expect(try File.names(in: host.path("dir")).filter { $0.hasPrefix(".") }.isEmpty)
                #expect(try File.names(in: host.scratch).filter { $0.hasSuffix(".tmp") }.isEmpty)
            }
        }

        /// Memory does not depend on the size of a layer.
        @Test(.needs("docker-registry", "python3")) func largeLayers() throws {
            try Host.with { host in
                let registry = try Registry(host)
                try Self.importNoise(host, megabytes: 64)
                let name = "docker://\(registry.address)/noise:1"
                for (source, destination) in [
                    ("apus:noise:1", name), (name, "oci:\(host.path("out")):1"),
                    (name, "docker-archive:\(host.path("d.tar"))"),
                ] {
                    let peak = try ProgramRun.peakMemory(
                        host.command + ["copy", "-q", source, destination], environment: host.environment)
                    #expect(peak < 45 << 20, "\(source) to \(destination): \(peak) bytes")
                }
            }
        }

        @Test func simultaneousPushes() throws {
            try Host.with { host in
                let name = try host.busybox()
                let out = host.path("out")
                let runs = try (0..<6).map { try host.start("push", "-q", name, "oci:\(out):v\($0)") }
                for run in runs { #expect(try run.finish().exit == 0) }
                let index = try JSON(parsing: File.readText("\(out)/index.json"))
                let names = index["manifests"]?.array?.compactMap {
                    $0["annotations"]?["org.opencontainers.image.ref.name"]?.string
                }
                #expect(names?.sorted() == (0..<6).map { "v\($0)" })
            }
        }

        @Test(.needs("docker-registry", "skopeo")) func listsAndOtherStores() throws {
            try Host.with { host in
                let registry = try Registry(host)
                let name = try host.busybox()
                let other = "apus:[\(host.path("other"))]"
                try host.ok("copy", "-q", "apus:\(name)", "\(other)localhost/theirs:1")
                try host.ok("rmi", name)
                try host.ok("pull", "-q", "\(other)theirs:1")
                #expect(try host.ok("images", "--format", "{{.Repository}}:{{.Tag}}") == "localhost/theirs:1")
                let missing = try host.apus("copy", "apus:nothing", "dir:\(host.path("x"))")
                #expect(missing.exit == 2 && missing.errorText.contains("no such image"), "\(missing)")

                let id = try host.ok("manifest", "create", "list:1")
                #expect(try host.ok("manifest", "add", "list:1", "theirs:1") == id)
                #expect(
                    try host.ok("manifest", "add", "--arch", "riscv64", "list:1", "\(other)theirs:1") == id)
                try host.ok("manifest", "annotate", "--variant", "v9", "list:1", "theirs:1")
                let target = "docker://\(registry.address)/list:1"
                try host.ok("manifest", "push", "-q", "list:1", target)
                let raw = try JSON(
                    parsing: ProgramRun.tool("skopeo", "inspect", "--raw", "--tls-verify=false", target))
                #expect(raw["manifests"]?.array?.count == 1)
                #expect(raw["manifests"]?.array?.first?["platform"]?["variant"]?.string == "v9")
                #expect(try host.apus("manifest", "exists", "list:1").exit == 0)
                try host.ok("manifest", "rm", "list:1")
                #expect(try host.apus("manifest", "exists", "list:1").exit == 1)
                let twice = try host.apus("manifest", "rm", "list:1")
                #expect(twice.exit == 1 && twice.errorText.contains("no such list"), "\(twice)")
                #expect(try host.ok("image", "tree", "theirs:1").contains("└── ID: "))
            }
        }

        @Test(.needs("docker-registry", "skopeo")) func synchronises() throws {
            try Host.with { host in
                let registry = try Registry(host)
                for (name, tag) in [("a/one", "1.0"), ("a/one", "1.1"), ("a/one", "2.0"), ("two", "x")] {
                    try host.ok(
                        "copy", "-q", try Self.layout(host, "\(name.replacingSlashes)-\(tag)"),
                        "docker://\(registry.address)/\(name):\(tag)")
                }
                let from = "\(registry.address)/a/one"
                let dry = try host.apus(
                    "sync", "--dry-run", "--src", "docker", "--dest", "dir", "--scoped", from,
                    host.path("media"))
                #expect(
                    dry.exit == 0 && dry.errorText.contains("Would have synced 3 images from 1 sources"),
                    "\(dry)")
                #expect(!File.exists(host.path("media")))
                try host.ok("sync", "--src", "docker", "--dest", "dir", "--scoped", from, host.path("media"))
                #expect(
                    try File.names(in: host.path("media/\(registry.address)/a")).sorted() == [
                        "one:1.0", "one:1.1", "one:2.0",
                    ])
                try ProgramRun.tool(
                    "skopeo", "inspect", "dir:\(host.path("media/\(registry.address)/a/one:1.1"))")
                let again = try host.apus(
                    "sync", "--src", "docker", "--dest", "dir", "--scoped", from, host.path("media"))
                #expect(again.exit == 1 && again.errorText.contains("refusing to overwrite"), "\(again)")

                try host.write(
                    "\(registry.address):\n  tls-verify: false\n  images:\n    two: []\n    missing: [latest]\n"
                        + "  images-by-semver:\n    a/one: ^1.0\n  images-by-tag-regex:\n    a/one: ^2\n",
                    to: "sync.yml")
                let kept = try host.apus(
                    "sync", "--keep-going", "--src", "yaml", "--dest", "docker", host.path("sync.yml"),
                    "\(registry.address)/mirror", timeout: .seconds(120))
                #expect(kept.exit == 1 && kept.errorText.contains("Synced 4 images"), "\(kept)")
                let tags = try host.ok("list-tags", "docker://\(registry.address)/mirror/one")
                #expect(try JSON(parsing: tags)["Tags"]?.array?.count == 3)
                #expect(try host.ok("search", "\(registry.address)/mirr").contains("mirror/one"))
            }
        }
    }
}

extension String {
    fileprivate var replacingSlashes: String { String(map { $0 == "/" ? "-" : $0 }) }
}

extension ProgramRun {
    /// Runs a program that must succeed.
    /// - Returns: its largest resident set, in bytes. A child's begins with that of who started it
    ///   (getrusage(2)), so somebody small starts it.
    static func peakMemory(_ command: [String], environment: [String]) throws -> Int {
        let program =
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
            + "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        let finished = try run(
            ["/usr/bin/python3", "-c", program] + command, environment: environment, timeout: .seconds(120))
        guard finished.exit == 0, let kilobytes = finished.lines.last.flatMap({ Int($0) }) else {
            throw Unexpected("\(finished)")
        }
        return kilobytes << 10
    }
}
