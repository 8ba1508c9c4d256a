import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// What an image can say of the container that is made of it, against published attacks on peers.
    /// (RuntimeSecurity… have those on runtimes, CopySecurityTests those on `cp`.)
    @Suite(.ours) struct ImageSecurityTests {
        /// Loads Busybox with a layer and a configuration of the attack's.
        private static func load(
            _ host: Host, _ tar: TarBuilder = TarBuilder(), config: (inout JSONObject) -> Void = { _ in },
            document: @escaping (inout JSONObject) -> Void = { _ in }
        ) throws -> String {
            var builder = try ImageBuilder.busybox(adding: tar)
            config(&builder.config)
            builder.editConfig = document
            try host.ok("load", "-q", input: .bytes(try builder.dockerArchive(tags: ["localhost/attack:1"])))
            return "localhost/attack:1"
        }

        /// docker: an image's configuration brought the options of the host's side with it.
        @Test func CVE_2014_6408() throws {
            try Host.with { host in
                let orders: JSONObject = [
                    "Privileged": true, "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
                    "CapAdd": ["ALL"], "Binds": ["/:/host"], "PidMode": "host",
                ]
                let image = try Self.load(
                    host, config: { for member in orders.members { $0[member.name] = member.value } },
                    document: {
                        $0["host_config"] = .object(orders)
                        $0["HostConfig"] = .object(orders)
                    })
                let id = try host.ok("create", "--network", "none", image)
                let made = try JSON(parsing: Array(try host.ok("inspect", id).utf8)).array?.first
                let plain = try host.ok("create", "--network", "none", try host.busybox())
                let other = try JSON(parsing: Array(try host.ok("inspect", plain).utf8)).array?.first
                for name in ["Privileged", "SecurityOpt", "CapAdd", "Binds", "PidMode"] {
                    #expect(
                        made?["HostConfig"]?[name]?.text() == other?["HostConfig"]?[name]?.text(), "\(name)")
                }
                let ran = try host.apus("run", "--rm", "--network", "none", image, "ls", "/host")
                #expect(ran.exit != 0)
            }
        }

        /// docker: the layers of an archive were found through links in it.
        @Test func CVE_2014_5282() throws {
            try Host.with { host in
                for target in ["/etc/shadow", "../../../../etc/shadow"] {
                    var archive = TarBuilder()
                    let nothing = ImageBuilder.Blob([])
                    archive.add(
                        "config.json", .file,
                        #"{"os":"linux","rootfs":{"type":"layers","diff_ids":["\#(nothing.digest)"]}}"#)
                    archive.add("layer.tar", .symbolicLink, link: target)
                    archive.add(
                        "manifest.json", .file,
                        #"[{"Config":"config.json","RepoTags":["localhost/x:1"],"Layers":["layer.tar"]}]"#)
                    let refused = try host.apus("load", input: .bytes(archive.archive))
                    #expect(refused.exit != 0 && refused.errorText.contains("layer.tar"), "\(refused)")
                    #expect(try host.ok("images", "-aq") == "")
                }
            }
        }

        /// docker: what follows an archive's end was held in memory, and is as long as one likes.
        @Test func CVE_2017_14992() throws {
            try Host.with { host in
                try host.write("x", to: "tree/x")
                let layer = host.path("layer.tar.gz")
                try ProgramRun.tool(
                    "sh", "-c",
                    "(tar -C \(host.path("tree")) -c .; head -c 1G /dev/zero) | gzip -1 > \(layer)")
                // In KiB: a third of the padding.
                let limited = ["sh", "-c", "ulimit -v 350000; exec \"$@\"", "sh"] + host.command
                for arguments in [
                    ["import", "-q", layer, "localhost/padded"],
                    [
                        "push", "-q", "--compression-format", "zstd", "localhost/padded",
                        "dir:\(host.path("out"))",
                    ],
                ] {
                    try ProgramRun.run(limited + arguments, environment: host.environment).requireSuccess()
                }
            }
        }

        /// docker: a history that does not fit the layers.
        @Test func CVE_2024_36620() throws {
            try Host.with { host in
                let layer: JSON = ["created_by": "x"]
                let none: JSON = ["created_by": "x", "empty_layer": true]
                let fitting: [JSON] = [.null, [], [layer], [none, layer]]
                for history in fitting + [[.null], [none, none], [layer, layer, layer], ["x"]] {
                    var builder = try ImageBuilder.busybox()
                    builder.editConfig = { $0["history"] = history }
                    let archive = try builder.dockerArchive(tags: ["localhost/attack:1"])
                    let loaded = try host.apus("load", "-q", input: .bytes(archive))
                    guard loaded.exit == 0 else {
                        #expect(
                            !fitting.contains(history) && loaded.errorText.contains("history"), "\(loaded)")
                        continue
                    }
                    for command in ["history", "inspect", "rmi"] {
                        try host.ok(command, "localhost/attack:1")
                    }
                }
            }
        }

        /// containerd: what lies below the path of a volume was copied from the host when the path led there.
        @Test func CVE_2022_23648() throws {
            try Host.with { host in
                let bait = try Bait(host)
                var tar = TarBuilder()
                tar.add("v1", .symbolicLink, link: bait.path)
                tar.add("v2", .symbolicLink, link: "../../../../../../../..\(bait.path)")
                tar.add("below/", .directory)
                tar.add("below/v3", .symbolicLink, link: "/proc/self/root\(bait.path)")
                let places = ["/v1", "/v2", "/below/v3", "/../../../..\(bait.path)"]
                let image = try Self.load(host, tar) {
                    var volumes = JSONObject()
                    for place in places { volumes[place] = [:] }
                    $0["Volumes"] = .object(volumes)
                }
                let ran = try host.apus(
                    "run", "--name", "\(host.prefix)c", "--network", "none", image, "sh", "-c",
                    "cat /v1/kept /v2/kept /below/v3/kept \(bait.path)/kept; mount")
                #expect(!ran.text.contains(Bait.secret), "\(ran)")
                for place in places {
                    let copied = try host.apus("cp", "\(host.prefix)c:\(place)/.", "-")
                    #expect(!copied.text.contains(Bait.secret), "\(place)")
                }
                #expect(bait.damage == [])
            }
        }

        /// podman: a working directory whose path leads out of the image was made, and given away, on the host.
        @Test func CVE_2026_55686() throws {
            try Host.with { host in
                let bait = try Bait(host)
                var tar = TarBuilder()
                tar.add("w1", .symbolicLink, link: bait.path)
                tar.add("w2", .symbolicLink, link: "../../../../../../../..\(bait.path)")
                tar.add("w3", .symbolicLink, link: "nowhere")
                for place in [
                    "/w1", "/w1/new/deep", "/w2", "/w2/new", "/w3/x", "/a/../../../..\(bait.path)/new",
                ] {
                    let image = try Self.load(host, tar) {
                        $0["WorkingDir"] = .string(place)
                        $0["User"] = "77:77"
                    }
                    _ = try host.apus("run", "--rm", "--network", "none", image, "pwd")
                    #expect(bait.damage == [], "\(place)")
                }
            }
        }

        /// podman: a variable without a value, and a pattern of names, took the values that the host has.
        @Test func CVE_2026_57231() throws {
            try Host.with { host in
                let image = try Self.load(host) {
                    $0["Env"] = ["PATH=/bin", "APUS_SECRET", "APUS_S*", "*"]
                }
                let command = host.command + ["run", "--rm", "--network", "none", image, "env"]
                let ran = try ProgramRun.run(
                    command, environment: host.environment + ["APUS_SECRET=\(Bait.secret)"])
                #expect(ran.exit == 0 && !ran.text.contains(Bait.secret), "\(ran)")
            }
        }

        /// containerd: labels of an image were orders to who runs it: here systemd, CRIU and runtimes
        /// would do what it says as root on the host (CVE-2024-3154 of CRI-O took them from a pod).
        @Test func CVE_2026_53488() throws {
            try Host.with { host in
                let image = try Self.load(host) {
                    $0["Labels"] = [
                        "org.systemd.property.SuccessAction": "'poweroff'", "org.criu.config": "/tmp/x",
                        "run.oci.handler": "krun", "module.wasm.image/variant": "compat",
                        "io.katacontainers.config.hypervisor.path": "/x", "plain": "1",
                    ]
                }
                try host.ok("image", "unpack", image, host.path("bundle"))
                let bundle = try JSON(parsing: File.read(host.path("bundle/config.json")))
                let names = bundle["annotations"]?.object?.members.map(\.name) ?? []
                #expect(names.filter { !$0.hasPrefix("org.opencontainers.image.") } == ["plain"])
                let id = try host.detached("--network", "none", image, "sleep", "100")
                let made = try ProgramRun.tool(
                    "sh", "-c", "cat $(find \(host.scratch) -name config.json -path '*\(id)*')")
                #expect(!made.contains("poweroff") && !made.contains("krun"))
            }
        }

        /// podman and others: a process that is not root, in none of its groups, had what is denied
        /// to its primary one; and what files could make of inheritable capabilities.
        @Test func CVE_2022_2989_and_CVE_2022_27649() throws {
            try Host.with { host in
                let image = try host.busybox()
                let report = "grep -E '^(Groups|CapInh|CapAmb):' /proc/self/status"
                let id = try host.detached("--network", "none", "-u", "bob", image, "sleep", "100")
                for lines in [
                    try host.apus("run", "--rm", "--network", "none", "-u", "bob", image, "sh", "-c", report),
                    try host.apus("exec", id, "sh", "-c", report),
                ].map(\.lines) {
                    #expect(lines.count == 3)
                    #expect(
                        lines.first?.split(whereSeparator: \.isWhitespace) == ["Groups:", "1001", "1002"])
                    for line in lines.dropFirst() { #expect(line.hasSuffix("\t0000000000000000"), "\(line)") }
                }
                let user = try Self.load(host) { $0["User"] = "bob" }
                try host.ok("image", "unpack", user, host.path("bundle"))
                let process = try JSON(parsing: File.read(host.path("bundle/config.json")))["process"]
                #expect(process?["user"]?["additionalGids"]?.array?.compactMap(\.int) == [1001, 1002])
                for set in ["inheritable", "ambient"] {
                    #expect(process?["capabilities"]?[set]?.array?.isEmpty ?? true)
                }
            }
        }

        /// containerd: an ID that means "as it is" to the kernel left the process root.
        @Test func CVE_2024_40635() throws {
            try Host.with { host in
                var tar = TarBuilder()
                tar.add("etc/passwd", .file, "app:x:4294967295:4294967295::/:\n1000:x:0:0::/:\n")
                for user in ["4294967295", "app", "4294967296", "0:4294967295"] {
                    let image = try Self.load(host, tar) { $0["User"] = .string(user) }
                    let refused = try host.apus("run", "--rm", "--network", "none", image, "id", "-u")
                    #expect(refused.exit != 0 && refused.text == "", "\(refused)")
                }
                let image = try Self.load(host, tar) { $0["User"] = "1000" }
                #expect(try host.ok("run", "--rm", "--network", "none", image, "id", "-u") == "1000")
            }
        }

        /// docker, containerd: the files of a container with a user namespace were open to all of the
        /// host's users, who get the rights of its users by programs that give them.
        @Test func CVE_2021_41103() throws {
            try Host.with { host in
                let image = try host.busybox()
                let id = try host.detached(
                    "--network", "none", "--uidmap", "0:200000:65536", image, "sleep", "100")
                let mounts = try ProgramRun.tool(
                    "sh", "-c", "grep \(id) /proc/self/mountinfo | cut -d' ' -f5")
                let places = mounts.split(separator: "\n").map(String.init)
                #expect(places.contains { $0.hasSuffix("/\(id)/rootfs") })
                for place in places {
                    let seen = try ProgramRun.run(
                        [
                            "setpriv", "--reuid=65533", "--regid=65533", "--clear-groups", "stat",
                            "\(place)/bin",
                        ])
                    #expect(seen.exit != 0, "\(place) \(seen)")
                }
                try host.ok("rm", "-f", "-t", "0", id)
                for place in places { #expect(!File.exists(place)) }
            }
        }
    }
}
