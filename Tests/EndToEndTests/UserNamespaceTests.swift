import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// `--userns`. The IDs set apart for containers are the test's own, in a
    /// mount namespace of its own.
    @Suite(.ours) struct UserNamespaceTests {
        private static func shell(_ host: Host, _ script: String) throws -> Finished {
            try host.write("other:1:5\ncontainers:300000:5000\n", to: "subuid")
            try host.write("containers:400000:5000\n", to: "subgid")
            let command = host.command.map { "'\($0)'" }.joined(separator: " ")
            return try ProgramRun.run(
                [
                    "unshare", "--mount", "--propagation", "slave", "sh", "-ec",
                    """
                    mount --bind \(host.path("subuid")) /etc/subuid; mount --bind \(host.path("subgid")) /etc/subgid
                    apus() { \(command) "$@"; }
                    \(script)
                    """,
                ], environment: host.environment)
        }

        @Test func autoTakesWhatNobodyHas() throws {
            try Host.with { host in
                let image = try host.busybox()
                let maps = "cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '"
                let ran = try Self.shell(
                    host,
                    """
                    apus create -q --name \(host.prefix)one --userns auto \(image) true >/dev/null
                    apus run --rm --userns auto:size=2000 --network none \(image) sh -c "\(maps); stat -c %u:%g /bin/busybox"
                    apus run --rm --userns auto -u 1500 --network none \(image) sh -c "\(maps)"
                    apus run --rm --userns auto:size=10,uidmapping=5:7:1 --network none \(image) sh -c "\(maps)"
                    apus create -q --name \(host.prefix)two --userns auto:size=3900 \(image) true >/dev/null
                    apus create --userns auto \(image) true 2>&1 || true
                    apus rm \(host.prefix)one >/dev/null
                    apus run --rm --userns auto --network none \(image) sh -c "\(maps)"
                    apus inspect -f '{{.HostConfig.UsernsMode}}' \(host.prefix)two
                    """)
                #expect(
                    ran.lines.map { $0.hasPrefix(" ") ? String($0.dropFirst()) : $0 } == [
                        "0 301024 2000", "0 401024 2000", "0:0",
                        "0 301024 1501", "0 401024 1501",
                        "0 301024 5", "5 7 1", "6 301029 4", "0 401024 10",
                        ran.lines.first {
                            $0.contains("76 user IDs of containers are free, and 1024 are wanted")
                        }
                            ?? "the refusal",
                        "0 300000 1024", "0 400000 1024", "private",
                    ], "\(ran)")
            }
        }

        @Test func manyAtOnceHaveDifferentOnes() throws {
            try Host.with { host in
                let image = try host.busybox()
                let ran = try Self.shell(
                    host,
                    """
                    for i in 1 2 3 4; do apus create -q --userns auto:size=1000 \(image) true >/dev/null & done; wait
                    for id in $(apus ps -aq); do apus start -a $id; done
                    apus ps -aq | wc -l
                    """)
                #expect(ran.lines == ["4"], "\(ran)")
                let used = try host.ok("ps", "-aq", "--no-trunc").split(separator: "\n").count
                #expect(used == 4)
                let fifth = try Self.shell(host, "apus create --userns auto:size=1001 \(image) true")
                #expect(fifth.exit == 125 && fifth.errorText.contains("1000 user IDs"), "\(fifth)")
            }
        }

        /// One line of an image's passwd file must not take the IDs of all other containers.
        @Test func anImageDoesNotTakeThemAll() throws {
            try Host.with { host in
                for (user, isTaken) in [("root", true), ("2147483646", false), ("high", false)] {
                    var tar = TarBuilder()
                    tar.add("etc/passwd", .file, "root:x:0:0::/:\nhigh:x:2147483646:2000000000::/:\n")
                    var builder = try ImageBuilder.busybox(adding: tar)
                    builder.config["User"] = .string(user)
                    try host.ok(
                        "load", "-q", input: .bytes(try builder.dockerArchive(tags: ["localhost/h:1"])))
                    let ran = try Self.shell(
                        host,
                        "apus run --rm --userns auto --network none localhost/h:1 cat /proc/self/uid_map")
                    if isTaken {
                        #expect(ran.text.hasSuffix(" 1024"), "\(ran)")
                    } else {
                        #expect(ran.exit == 125 && ran.errorText.contains("size=2147483647"), "\(ran)")
                    }
                }
            }
        }

        @Test func whatIsMissingIsSaid() throws {
            try Host.with { host in
                let image = try host.busybox()
                for (mode, text) in [
                    ("keep-id", "only supported in rootless mode"),
                    ("nomap", "only supported in rootless mode"),
                    ("private", "--uidmap"), ("bogus", "invalid --userns"),
                    ("container:nosuch", "nosuch"), ("ns:/nosuch", "/nosuch"),
                    ("ns:/proc/self/ns/net", "/proc/self/ns/net"),
                    ("ns:/proc/self/ns/user", "/proc/self/ns/user"),
                ] {
                    let refused = try host.apus("create", "--userns", mode, image)
                    #expect(refused.exit == 125 && refused.errorText.contains(text), "\(refused)")
                }
                #expect(try host.ok("ps", "-aq") == "")
                try host.ok("run", "--rm", "--userns", "host", "--network", "none", image, "true")
            }
        }

        @Test func anothersNamespace() throws {
            try Host.with { host in
                let image = try host.busybox()
                let first = try host.detached(
                    "--uidmap", "0:200000:65536", "--name", "\(host.prefix)first", image, "sleep", "100")
                let pid = try host.ok("inspect", "-f", "{{.State.Pid}}", first)
                let own = try File.readLink("/proc/\(pid)/ns/user")
                let script =
                    "readlink /proc/self/ns/user; stat -c %u /bin/busybox /etc/hosts; touch /f; ping -c 1 127.0.0.1 >/dev/null && echo pings"
                for mode in ["container:\(host.prefix)first", "ns:/proc/\(pid)/ns/user"] {
                    for network in ["bridge", "none"] {
                        let ran = try host.apus(
                            "run", "--rm", "--userns", mode, "--network", network, image, "sh", "-c", script)
                        #expect(ran.lines == [own, "0", "0", "pings"], "\(mode) \(ran)")
                    }
                }
                let waiting = try host.ok(
                    "create", "--userns", "container:\(host.prefix)first", image, "true")
                #expect(
                    try host.ok("inspect", "-f", "{{.HostConfig.UsernsMode}}", waiting)
                        == "container:\(first)")
                try host.ok("rm", "-f", "-t", "0", first)
                let refused = try host.apus("start", "-a", waiting)
                #expect(refused.exit == 125 && refused.errorText.contains("not running"), "\(refused)")
                // One that has the host's.
                let plain = try host.detached("--name", "\(host.prefix)plain", image, "sleep", "100")
                #expect(
                    try host.ok(
                        "run", "--rm", "--userns", "container:\(plain)", "--network", "none", image,
                        "readlink",
                        "/proc/self/ns/user") == File.readLink("/proc/self/ns/user"))
            }
        }
    }
}
