import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// `apus-runtime` as a user with no rights; `APUS_PEER=podman` tries runc itself.
    @Suite struct RootlessTests {
        @Test func aUserRunsAContainerAsItsRoot() throws {
            try Host.with { host in
                let user = try RootlessUser(
                    host,
                    arguments: [
                        "sh", "-c",
                        "id -u; cat /proc/self/uid_map /proc/self/setgroups; echo x > /null; echo x > /dev/null; test -c /dev/zero && hostname; exit 6",
                    ])
                let finished = try user.container("a")
                #expect(finished.exit == 6, "\(finished)")
                #expect(
                    finished.text.fields == [
                        "0", "0", "\(RootlessUser.id)", "1", "deny",
                        Programs.peer == nil ? "apus" : "runc",
                    ])
                #expect(try File.status("\(user.bundle)/rootfs/null").st_uid == UInt32(RootlessUser.id))
                #expect(try File.names(in: user.state) == [])
                // Kept from being cleaned up for its age.
                #expect(try File.status(user.state).st_mode & 0o7777 == 0o1700)
            }
        }

        @Test func aContainerLivesAndIsEntered() throws {
            try Host.with { host in
                let user = try RootlessUser(host, arguments: ["sleep", "1000"])
                try user.edit { $0["hostname"] = "inside" }
                try user.started("life")
                #expect(try user.status("life")["status"] == "running")
                let finished = try user.run(
                    "exec", "--env", "X=y", "life", "sh", "-c", "hostname; id -u; echo $X; ps | wc -l; exit 9"
                )
                #expect(finished.exit == 9, "\(finished)")
                #expect(finished.text.fields.prefix(3) == ["inside", "0", "y"])
                #expect(try user.run("exec", "life", "cat", input: .text("through")).text == "through")
                #expect(try user.run("exec", "life", "no-such-command").exit != 0)
                let terminal = try user.run("exec", "--tty", "life", "tty")
                #expect(terminal.exit == 0 || terminal.errorText.contains("terminal"), "\(terminal)")
                #expect(try user.run("list", "-q").text == "life")
                #expect(try user.run("delete", "life").exit != 0)
                #expect(try user.run("kill", "life", "KILL").exit == 0)
                try host.eventually("it has stopped") { try user.status("life")["status"] == "stopped" }
                #expect(try user.run("delete", "life").exit == 0)
                #expect(try File.names(in: user.state) == [])
            }
        }

        @Test func aCreatedContainerIsEnteredBeforeItStarts() throws {
            try Host.with { host in
                let user = try RootlessUser(host, arguments: ["sh", "-c", "echo started > /started"])
                let line = user.command(["create", "--bundle", user.bundle, "c"]).map { "'\($0)'" }
                    .joined(separator: " ")
                #expect(
                    try ProgramRun.run(["sh", "-c", "\(line) </dev/null >\(host.path("out")) 2>&1"]).exit == 0
                )
                #expect(try user.status("c")["status"] == "created")
                #expect(try user.run("exec", "c", "sh", "-c", "test ! -e /started && id -u").text == "0")
                #expect(try user.run("start", "c").exit == 0)
                try host.eventually("it runs") { File.exists("\(user.bundle)/rootfs/started") }
                #expect(try user.run("delete", "--force", "c").exit == 0)
            }
        }

        /// What enters a container has the host's files open: nothing in there may look at it.
        @Test(.ours) func whatEntersIsNotToBeLookedInto() throws {
            try Host.with { host in
                let user = try RootlessUser(
                    host,
                    arguments: [
                        "sh", "-c",
                        """
                        while :; do for p in /proc/[0-9]*; do
                            [ $p = /proc/1 ] && continue
                            [ $p = /proc/$$ ] && continue
                            case $(readlink $p/exe) in *apus-runtime) echo $p >> /seen;; esac
                        done; done
                        """,
                    ])
                try user.edit { config in
                    var process = config["process"]?.object ?? [:]
                    var capabilities = JSONObject()
                    let all: JSON = ["CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_SETUID"]
                    for set in ["bounding", "effective", "permitted"] { capabilities[set] = all }
                    process["capabilities"] = .object(capabilities)
                    config["process"] = .object(process)
                }
                try user.started("spy")
                for _ in 0..<20 { #expect(try user.run("exec", "spy", "true").exit == 0) }
                #expect(!File.exists("\(user.bundle)/rootfs/seen"))
                #expect(try user.run("delete", "--force", "spy").exit == 0)
            }
        }

        @Test func hooksAndDescriptorsAreTheUsers() throws {
            try Host.with { host in
                let user = try RootlessUser(host, arguments: ["sh", "-c", "cat <&3"])
                let seen = "\(user.bundle)/seen"
                try user.edit { config in
                    config["hooks"] = [
                        "createRuntime": [
                            [
                                "path": "/bin/sh",
                                "args": [
                                    "sh", "-c", .string("cat /proc/self/uid_map > \(seen); exec cat >&2"),
                                ],
                            ]
                        ]
                    ]
                }
                let line = user.command(["run", "--preserve-fds", "1", "--bundle", user.bundle, "h"])
                    .map { "'\($0)'" }.joined(separator: " ")
                let kept = try host.write("kept\n", to: "kept")
                let finished = try ProgramRun.run(["sh", "-c", "\(line) 3<\(kept)"])
                #expect(finished.text == "kept", "\(finished)")
                // In the host's user namespace.
                #expect(try File.readText(seen).fields == ["0", "0", "4294967295"])
                #expect(try File.status(seen).st_uid == UInt32(RootlessUser.id))
            }
        }

        // MARK: What is refused

        @Test func refusalsSayWhatIsWrong() throws {
            try Host.with { host in
                let user = try RootlessUser(host)
                let good = user.config.object ?? [:]
                func refusal(_ change: (inout JSONObject) -> Void) throws -> String {
                    try user.edit {
                        $0 = good
                        change(&$0)
                    }
                    let finished = try user.container("r")
                    #expect(finished.exit == 1, "\(finished)")
                    #expect(try File.names(in: user.state) == [])
                    return finished.errorText
                }
                func process(_ name: String, _ value: JSON) -> (inout JSONObject) -> Void {
                    { config in
                        var process = config["process"]?.object ?? [:]
                        process[name] = value
                        config["process"] = .object(process)
                    }
                }
                func linux(_ change: @escaping (inout JSONObject) -> Void) -> (inout JSONObject) -> Void {
                    { config in
                        var linux = config["linux"]?.object ?? [:]
                        change(&linux)
                        config["linux"] = .object(linux)
                    }
                }
                #expect(
                    try refusal(
                        linux { linux in
                            linux["namespaces"] = [["type": "pid"], ["type": "mount"], ["type": "uts"]]
                            linux["uidMappings"] = nil
                            linux["gidMappings"] = nil
                        }
                    ).contains("rootless container requires user namespaces"))
                #expect(
                    try refusal { config in
                        config["mounts"] = .array(
                            (config["mounts"]?.array ?? []) + [
                                ["destination": "/t", "type": "tmpfs", "source": "t", "options": ["gid=5"]]
                            ])
                    }.contains("cannot specify gid=5 mount option for rootless container"))
                #expect(
                    try refusal(process("user", ["uid": 0, "gid": 0, "additionalGids": [7]]))
                        .contains("cannot set any additional groups in a rootless container"))
                #expect(
                    try refusal(process("user", ["uid": 3, "gid": 0])).contains(
                        "cannot setuid to unmapped uid 3 in user namespace"))
                #expect(
                    try refusal(
                        linux { linux in
                            linux["resources"] = ["pids": ["limit": 10]]
                        }
                    ).contains("cannot set pids limit: container could not join or create cgroup"))
                let path = try refusal(linux { $0["cgroupsPath"] = .string("/\(host.prefix)") })
                #expect(path.contains("unable to apply cgroup configuration"))
                #expect(path.contains("permission denied"))
                // One's own ID is all that can be mapped without help.
                let ids: JSON = [["containerID": 0, "hostID": 1_000_000, "size": 2]]
                let map = try refusal(
                    linux { linux in
                        linux["uidMappings"] = ids
                        linux["gidMappings"] = ids
                    })
                #expect(
                    map.contains(Programs.peer == nil ? "newgidmap" : "mapping tool not present"), "\(map)")
                if Programs.peer == nil {
                    #expect(
                        try user.run(["list"], globals: ["--rootless", "maybe"]).errorText.contains("maybe"))
                }
                try user.edit { $0 = good }
                #expect(
                    try user.container("f", globals: ["--rootless=false"]).errorText.contains(
                        "unable to apply cgroup configuration"))
                #expect(try user.container("t", globals: ["--rootless=true"]).exit == 0)
            }
        }

        @Test func withoutAGroupNothingIsPausedOrLimited() throws {
            try Host.with { host in
                let user = try RootlessUser(host, arguments: ["sleep", "1000"])
                try user.started("bare")
                #expect(
                    try user.run("pause", "bare").errorText.contains(
                        "cannot toggle freezer: cgroups not configured for container"))
                #expect(try user.run("update", "--pids-limit", "9", "bare").exit != 0)
                #expect(try user.run("ps", "bare").exit != 0)
                #expect(try user.run("events", "--stats", "bare").exit == 0)
                #expect(try user.run("delete", "--force", "bare").exit == 0)
            }
        }

        // MARK: More than one ID

        @Test(
            .needs("newuidmap", "newgidmap"),
            .enabled(if: File.exists("/etc/subuid") && File.exists("/etc/subgid"), "no /etc/subuid"))
        func rangesAreMappedByTheirTools() throws {
            try Host.with { host in
                let user = try RootlessUser(
                    host,
                    arguments: [
                        "sh", "-c",
                        "cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; id -u; id -g; echo x > /tmp/mine",
                    ], ranges: true)
                try ProgramRun.tool("chmod", "777", "\(user.bundle)/rootfs/tmp")
                try user.editLinux({ linux in
                    linux["uidMappings"] = [
                        ["containerID": 0, "hostID": .integer(Int64(RootlessUser.id)), "size": 1],
                        [
                            "containerID": 1,
                            "hostID": .integer(Int64(RootlessUser.firstSubordinateUser)), "size": 1000,
                        ],
                    ]
                    linux["gidMappings"] = [
                        ["containerID": 0, "hostID": .integer(Int64(RootlessUser.id)), "size": 1],
                        [
                            "containerID": 1,
                            "hostID": .integer(Int64(RootlessUser.firstSubordinateGroup)), "size": 1000,
                        ],
                    ]
                })
                try user.edit { config in
                    var process = config["process"]?.object ?? [:]
                    process["user"] = ["uid": 100, "gid": 200]
                    config["process"] = .object(process)
                }
                let finished = try user.container("m")
                #expect(finished.exit == 0, "\(finished)")
                #expect(
                    finished.text.fields == [
                        "0", "\(RootlessUser.id)", "1", "1", "\(RootlessUser.firstSubordinateUser)", "1000",
                        "0", "\(RootlessUser.id)", "1", "1", "\(RootlessUser.firstSubordinateGroup)", "1000",
                        "allow", "100", "200",
                    ])
                let mine = try File.status("\(user.bundle)/rootfs/tmp/mine")
                #expect(mine.st_uid == UInt32(RootlessUser.firstSubordinateUser + 99))
                #expect(mine.st_gid == UInt32(RootlessUser.firstSubordinateGroup + 199))
                // Not one's own: the tool says no, and so do we.
                try user.editLinux({ linux in
                    linux["uidMappings"] = [["containerID": 0, "hostID": 5, "size": 3]]
                })
                try user.edit { config in
                    var process = config["process"]?.object ?? [:]
                    process["user"] = ["uid": 0, "gid": 0]
                    config["process"] = .object(process)
                }
                let refused = try user.container("n")
                #expect(refused.exit == 1)
                #expect(refused.errorText.contains("uid"), "\(refused)")
                #expect(try File.names(in: user.state) == [])
            }
        }

        // MARK: Control groups

        @Test func delegatedGroupsLimitAndFreeze() throws {
            try Host.with { host in
                let group = try DelegatedGroup(host)
                let user = try RootlessUser(host, arguments: ["sleep", "1000"])
                try user.editLinux({ linux in
                    linux["cgroupsPath"] = .string("\(group.path)/c")
                    linux["resources"] = ["pids": ["limit": 20]]
                })
                guard group.has("pids") else {
                    print("skipped: no pids controller to delegate")
                    return
                }
                try user.started("g")
                #expect(group.read("pids", "c/pids.max") == "20")
                #expect(try user.run("update", "--pids-limit", "30", "g").exit == 0)
                #expect(group.read("pids", "c/pids.max") == "30")
                #expect(try user.run("pause", "g").exit == 0)
                #expect(try user.status("g")["status"] == "paused")
                #expect(try user.run("resume", "g").exit == 0)
                let pid = try #require(try user.status("g")["pid"]?.int)
                #expect(try user.run("ps", "--format", "json", "g").text == "[\(pid)]")
                let groups = try user.run("exec", "g", "cat", "/proc/self/cgroup").text
                // With v2 alone `spec` asks for a cgroup namespace, whose root it is.
                #expect(groups == "0::/" || groups.contains("\(group.path)/c"))
                let stats = try JSON(parsing: try user.run("events", "--stats", "g").text)
                #expect(stats["data"]?["pids"]?["limit"]?.int == 30)
                #expect(try user.run("delete", "--force", "g").exit == 0)
                #expect(group.below == [])
            }
        }

        // MARK: Root of a user namespace

        @Test func aNamespacesRootNeedsNoOther() throws {
            try Host.with { host in
                let user = try RootlessUser(
                    host,
                    arguments: [
                        "sh", "-c", "id -u; cat /proc/self/uid_map; echo x > /dev/null; mount | grep -c proc",
                    ],
                    namespaceRoot: true)
                let finished = try user.container("n")
                #expect(finished.exit == 0, "\(finished)")
                #expect(finished.text.fields.prefix(4) == ["0", "0", "\(RootlessUser.id)", "1"])
                #expect(try File.names(in: user.state) == [])
                // And may have another all the same.
                try user.editLinux({ linux in
                    linux["namespaces"] = .array((linux["namespaces"]?.array ?? []) + [["type": "user"]])
                    linux["uidMappings"] = [["containerID": 7, "hostID": 0, "size": 1]]
                    linux["gidMappings"] = [["containerID": 7, "hostID": 0, "size": 1]]
                })
                #expect(try user.container("u").exit != 0)
                try user.editLinux({ linux in
                    linux["uidMappings"] = [["containerID": 0, "hostID": 0, "size": 1]]
                    linux["gidMappings"] = [["containerID": 0, "hostID": 0, "size": 1]]
                })
                #expect(try user.container("v").exit == 0)
            }
        }
    }
}
