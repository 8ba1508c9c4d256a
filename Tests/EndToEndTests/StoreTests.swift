import LayerArchive
import LinuxSystem
import Testing

extension EndToEnd {
    /// Storage drivers, mounts of images, and the commands of `apus system`.
    @Suite(.ours) struct StoreTests {
        private func layout(_ host: Host, _ name: String, _ image: ImageBuilder) throws -> String {
            try image.writeLayout(to: host.path(name))
            return "oci:\(host.path(name)):latest"
        }

        private func pull(_ host: Host, _ name: String, adding extra: TarBuilder) throws -> String {
            try host.ok("pull", "-q", layout(host, name, .busybox(adding: extra)))
        }

        static func canUse(_ driver: String, _ host: Host) throws -> Bool {
            let tried = try host.apus(list: ["--storage-driver", driver, "info"])
            if tried.exit != 0 { print("not tested with \(driver): \(tried.errorText)") }
            return tried.exit == 0
        }

        @Test func containersOnSharedFiles() throws {
            try Host.with(globals: ["--storage-driver", "erofs"]) { host in
                guard try Self.canUse("erofs", host) else { return }
                var extra = TarBuilder()
                extra.add("extra/file", bytes: Array("below".utf8))
                let image = try pull(host, "one", adding: extra)
                #expect(
                    try host.ok("run", "--rm", "--network", "none", image, "cat", "/extra/file") == "below")
                let id = try host.detached(
                    "--network", "none", image, "sh", "-c",
                    "echo changed >/extra/file; rm /bin/ash; touch /ready; exec sleep 100")
                try host.eventually("the container is ready") {
                    try host.apus("exec", id, "test", "-e", "/ready").exit == 0
                }
                #expect(try host.ok("exec", id, "cat", "/extra/file") == "changed")
                try host.ok("restart", "-t", "0", id)
                #expect(try host.ok("exec", id, "cat", "/extra/file") == "changed")
                #expect(try host.apus("exec", id, "test", "-e", "/bin/ash").exit == 1)
                #expect(
                    try host.ok("run", "--rm", "--network", "none", image, "cat", "/extra/file") == "below")
                #expect(try host.ok("system", "check") == "")
            }
        }

        /// A sweep in the background may have been started by a thread with mounts of its own, and a
        /// service may have its own: what does not see this one would end it everywhere by removing
        /// its place.
        @Test func mountsOutliveSweepsThatCannotSeeThem() throws {
            try Host.with { host in
                try host.ok("import", "-q", try Fixtures.busyboxTar(), "localhost/busybox")
                let path = try host.ok("image", "mount", "localhost/busybox")
                for flags in [[], ["--mount-namespace", "3"]] {
                    let sweep = (host.command + ["system", "sweep"] + flags).joined(separator: " ")
                    try ProgramRun.tool(
                        "sh", "-c",
                        "exec 3</proc/self/ns/mnt; unshare --mount --propagation private sh -c 'umount \(path) && \(sweep)'"
                    )
                    #expect(try File.names(in: path).contains("bin"))
                }
                try host.ok("image", "unmount", "localhost/busybox")
                #expect(!File.exists(path))
            }
        }

        @Test func imageMountsStartNothing() throws {
            try Host.with { host in
                let image = try host.busybox()
                try host.ok("system", "sweep")
                try host.eventually("the layer is written out") {
                    Kernel.processes(mentioning: host.scratch).isEmpty
                }
                let path = try host.ok("image", "mount", image)
                #expect(try host.ok("image", "mount", image) == path)
                #expect(File.exists(path + "/bin/busybox"))
                #expect(throws: SystemError.self) { try File.replace(path + "/new", with: []) }
                #expect(Kernel.processes(mentioning: host.scratch).isEmpty)
                #expect(try host.ok("image", "mount") == "localhost/busybox:latest  \(path)")
                #expect(
                    try host.ok("image", "mount", "--format", "json").contains("\"mountpoint\": \"\(path)\""))
                let refused = try host.apus("rmi", image)
                #expect(refused.exit != 0 && refused.errorText.contains("is mounted"))
                try host.ok("image", "unmount", image)
                #expect(File.exists(path + "/bin/busybox"))
                try host.ok("image", "unmount", image)
                #expect(!File.exists(path))
                _ = try host.ok("image", "mount", "--all")
                try host.ok("image", "unmount", "--all", "--force")
                #expect(try host.ok("image", "mount") == "")
                #expect(try host.apus("image", "mount", "nosuch").exit == 125)
                _ = try host.ok("image", "mount", image)
                try host.ok("rmi", "-f", image)
                #expect(!File.exists(path))
            }
        }

        @Test func aTreeTellsWhatIsShared() throws {
            try Host.with { host in
                var extra = TarBuilder()
                extra.add("a", bytes: [1])
                let one = try pull(host, "one", adding: extra)
                let two = try host.busybox()
                try host.ok("tag", one, "localhost/one:1")
                let lines = try host.ok("image", "tree", one).split(separator: "\n")
                #expect(lines[0] == "Image ID: \(one.prefix(12))")
                #expect(lines[1].contains("localhost/one:1"))
                #expect(lines.count == 6 && lines[3] == "Image Layers")
                #expect(lines[4].hasPrefix("├── ID: ") && lines[4].contains("Top Layer of: [\(two)]"))
                #expect(lines[4].hasSuffix("Shared with 1 other image"))
                #expect(lines[5].hasPrefix("└── ID: ") && lines[5].contains("Size:     1B Top Layer of:"))
                #expect(try host.ok("image", "tree", "--whatrequires", two).contains(one.prefix(12)))
            }
        }

        @Test func diskUsageAndPrune() throws {
            try Host.with { host in
                let image = try host.busybox()
                var extra = TarBuilder()
                extra.add("large", bytes: [UInt8](repeating: 7, count: 1 << 20))
                let dangling = try pull(host, "one", adding: extra)
                for name in try host.ok("image", "inspect", "-f", "{{join .RepoTags \" \"}}", dangling).split(
                    separator: " ")
                {
                    try host.ok("tag", image, String(name))
                }
                let keeper = try host.detached("-v", "kept:/v", "--network", "none", image, "sleep", "100")
                try host.ok(
                    "run", "--network", "none", "--name", "ended", image, "sh", "-c",
                    "head -c 5000 /dev/zero >/f")
                try host.ok("volume", "create", "unused")
                let rows = try host.ok(
                    "system", "df", "--format",
                    "{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}|{{.Reclaimable}}"
                )
                .split(separator: "\n").map { $0.split(separator: "|").map(String.init) }
                #expect(
                    rows.map { $0.prefix(3).joined(separator: " ") } == [
                        "Images 2 1", "Containers 2 1", "Local Volumes 2 1",
                    ])
                #expect(rows[1][3] == "5kB" && rows[1][4] == "5kB (100%)")
                #expect(rows[0][4].hasPrefix("2."))
                let each = try host.ok("system", "df", "-v")
                for title in [
                    "Images space usage:", "UNIQUE SIZE", "Containers space usage:",
                    "Local Volumes space usage:",
                ] {
                    #expect(each.contains(title))
                }
                #expect(
                    try host.ok("system", "prune", "-f", "--filter", "label=nosuch")
                        == "Total reclaimed space: 0B")
                #expect(try host.apus("system", "prune", "-f", "--filter", "size=1").exit == 125)
                let pruned = try host.ok("system", "prune", "-f")
                #expect(
                    pruned.contains("Deleted Containers\n") && pruned.contains("Deleted: sha256:\(dangling)"))
                #expect(pruned.contains("Total reclaimed space: 2."))
                #expect(try host.ok("images", "-q").split(separator: "\n").count == 1)
                #expect(try host.ok("volume", "ls", "-q").split(separator: "\n").count == 2)
                #expect(
                    try host.ok("system", "prune", "-af", "--volumes").contains("Deleted Volumes\nunused"))
                #expect(try host.ok("volume", "ls", "-q") == "kept")
                #expect(try host.ok("ps", "-q", "--no-trunc") == keeper)
                #expect(try host.ok("system", "prune", "-f") == "Total reclaimed space: 0B")
            }
        }

        @Test func damageIsFoundAndRepaired() throws {
            try Host.with { host in
                let image = try host.busybox()
                #expect(try host.ok("system", "check") == "")
                let layer = try File.names(in: "\(host.root)/overlay/layers")[0]
                try File.replace("\(host.root)/overlay/layers/\(layer)/diff/bin/busybox", with: [1, 2, 3])
                let found = try host.apus("system", "check")
                #expect(found.exit == 1 && found.text.contains("/bin/busybox has changed"))
                #expect(try host.ok("system", "check", "--quick") == "")
                #expect(try host.ok("system", "check", "--repair").contains("unpacked anew"))
                #expect(try host.ok("run", "--rm", "--network", "none", image, "echo", "works") == "works")
            }
        }

        @Test func migrationKeepsContainers() throws {
            try Host.with { host in
                guard try Self.canUse("erofs", host) else { return }
                let image = try host.busybox()
                try host.ok(
                    "run", "--name", "c", "--network", "none", image, "sh", "-c",
                    "echo mine >/file; rm -f /bin/ash")
                let runs = try host.detached("--network", "none", image, "sleep", "100")
                let refused = try host.apus("system", "migrate", "erofs")
                #expect(refused.exit == 125 && refused.errorText.contains("is running"))
                try host.ok("rm", "-f", "-t", "0", runs)
                for driver in ["erofs", "vfs", "overlay"] {
                    try host.ok("system", "migrate", driver)
                    #expect(try host.ok("info", "-f", "{{.Driver}}") == driver)
                    #expect(try host.ok("system", "check") == "")
                    try host.ok("start", "c")
                    #expect(try host.ok("wait", "c") == "0")
                    #expect(
                        try host.ok("run", "--rm", "--network", "none", image, "ls", "/bin/ash") == "/bin/ash"
                    )
                }
                let layers = try ["erofs", "vfs"].flatMap { try File.names(in: "\(host.root)/\($0)/layers") }
                #expect(layers == [])
                #expect(try host.apus("system", "migrate", "nosuch").exit == 125)
            }
        }

        @Test func usersOfAUserNamespace() throws {
            for driver in ["overlay", "vfs", "erofs"] {
                try Host.with(globals: ["--storage-driver", driver]) { host in
                    guard try Self.canUse(driver, host) else { return }
                    let image = try host.busybox()
                    let maps = ["--uidmap", "0:200000:65536"]
                    let run = { (arguments: [String]) in
                        try host.apus(list: ["run", "--rm"] + maps + arguments)
                    }
                    let ids = try run([
                        image, "sh", "-c",
                        "cat /proc/self/uid_map | tr -s ' '; stat -c %u /bin/busybox /etc/hosts; id -u; touch /f; rm /bin/ash; chmod 700 /bin; nc -l -p 80 -e true & ping -c 1 127.0.0.1 >/dev/null && echo pings",
                    ])
                    #expect(ids.exit == 0, "\(ids)")
                    #expect(
                        ids.lines.map { $0.trimmed } == ["0 200000 65536", "0", "0", "0", "pings"], "\(ids)")
                    let other = try run([
                        "-u", "1000", "-w", "/new/place", image, "sh", "-c", "id -u; stat -c %u:%g .",
                    ])
                    #expect(other.text == "1000\n1000:0" || other.text == "1000\n1000:1001", "\(other)")
                    let volume = ["-v", "data:/data"]
                    let showsVolumes = Programs.environment("APUS_FALLBACK") == nil
                    if !showsVolumes {
                        let refused = try run(volume + [image, "true"])
                        #expect(refused.exit == 125)
                        #expect(
                            refused.errorText.contains("mount /data: idmap needs Linux 5.12"), "\(refused)")
                    }
                    let id = try host.detached(
                        list: maps + (showsVolumes ? volume : []) + [
                            image, "sh", "-c", "mkdir -p /data; touch /data/x /mine; exec sleep 100",
                        ])
                    let pid = try host.ok("inspect", "-f", "{{.State.Pid}}", id)
                    #expect(try File.status("/proc/\(pid)").st_uid == 200_000)
                    try host.eventually("it has written") {
                        try host.apus("exec", id, "test", "-e", "/mine").exit == 0
                    }
                    #expect(try host.ok("exec", id, "stat", "-c", "%u", "/data/x", "/mine") == "0\n0")
                    if showsVolumes {
                        #expect(try File.status("\(host.root)/volumes/data/_data/x").st_uid == 0)
                    }
                    try host.ok("restart", "-t", "0", id)
                    #expect(try host.ok("exec", id, "stat", "-c", "%u", "/mine") == "0")
                    for arguments in [
                        ["--uidmap", "x"], ["--uidmap", "1:200000:5"], ["--uidmap", "0:1:0"],
                        ["--userns", "keep-id"], ["--userns", "auto", "--uidmap", "0:1:5"],
                    ] {
                        #expect(
                            try host.apus(list: ["create"] + arguments + [image]).exit != 0, "\(arguments)")
                    }
                }
            }
        }

        /// `rmi` takes the image away at once; its files go in the background.
        @Test func nobodyWaitsForALargeRemoval() throws {
            try Host.with { host in
                var extra = TarBuilder()
                for number in 0..<10_000 { extra.add("many/\(number % 100)/\(number)", bytes: []) }
                let image = try pull(host, "large", adding: extra)
                let removal = try host.apus("rmi", image)
                #expect(removal.exit == 0)
                #expect(removal.duration < .milliseconds(400), "\(removal.duration)")
                #expect(try host.ok("images", "-q") == "")
                try host.eventually("the files are gone") {
                    try File.names(in: "\(host.root)/trash").isEmpty
                        && Kernel.processes(mentioning: host.scratch).isEmpty
                }
                // Killed on the way, it is resumed.
                _ = try pull(host, "again", adding: extra)
                let start = try host.start("system", "sweep")
                try host.ok("rmi", image)
                for process in Kernel.processes(mentioning: host.scratch) {
                    if let pid = Int32(process.prefix { $0 != " " }) { kill(pid, SIGKILL) }
                }
                _ = try? start.finish()
                try host.ok("system", "sweep")
                #expect(try File.names(in: "\(host.root)/trash").isEmpty)
            }
        }

        @Test func thirtyTwoCommandsAtOnce() throws {
            try Host.with { host in
                let image = try host.busybox()
                var sources: [String] = []
                for number in 0..<8 {
                    var extra = TarBuilder()
                    for file in 0..<100 {
                        extra.add("d\(number % 3)/\(file)", bytes: Array("\(number % 3)".utf8))
                    }
                    extra.add("own", bytes: [UInt8(number)])
                    sources.append(try layout(host, "source\(number)", .busybox(adding: extra)))
                }
                var commands: [ProgramRun] = []
                for number in 0..<8 {
                    commands.append(try host.start("pull", "-q", sources[number]))
                    commands.append(
                        try host.start("run", "--rm", "--network", "none", image, "echo", "\(number)"))
                    commands.append(try host.start("images"))
                    let last =
                        number % 2 == 0 ? ["system", "check", "-q"] : ["rmi", "-i", "localhost/latest"]
                    commands.append(try host.start(list: last))
                }
                for command in commands {
                    let finished = try command.finish(timeout: .seconds(120))
                    #expect(finished.exit == 0, "\(finished)")
                }
                try host.ok("system", "sweep")
                #expect(try host.ok("system", "check") == "")
            }
        }
    }
}

extension String {
    fileprivate var trimmed: String {
        split(separator: " ").joined(separator: " ")
    }
}
