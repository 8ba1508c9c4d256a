import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// `apus-runtime` as a user who has logged in where systemd is: with a session, a run directory, a
    /// `systemd --user`, and the groups that it was given.
    @Suite(
        .ours,
        .enabled(
            if: RootlessUser.login != nil && File.exists("/sys/fs/cgroup/cgroup.controllers"),
            "APUS_LOGIN names nobody who can log in, or there is cgroup v1 (make test-vm)"))
    struct RootlessLoginTests {
        private static let sleeping = ["sleep", "1000"]
        private static let systemd = ["--systemd-cgroup"]

        private static var manager: String {
            "/user.slice/user-\(RootlessUser.id).slice/user@\(RootlessUser.id).service"
        }

        private static func group(_ pid: JSON?) throws -> String {
            try File.readText("/proc/\(try #require(pid?.int))/cgroup").trimmed
        }

        private static func limit(_ user: RootlessUser, _ path: String? = nil) throws {
            try user.editLinux { linux in
                linux["resources"] = ["pids": ["limit": 40], "memory": ["limit": 67_108_864]]
                linux["cgroupsPath"] = path.map { .string($0) }
            }
        }

        @Test func aCommandIsALogin() throws {
            try Host.with { host in
                let user = try RootlessUser(host, arguments: Self.sleeping)
                let session = try user.run(["list"], wrapper: ["/bin/sh", "-c", "cat /proc/self/cgroup"])
                #expect(session.text.hasPrefix("0::/user.slice/user-\(RootlessUser.id).slice/session-"))
                #expect(session.text.hasSuffix(".scope"))
                // Whose container stays in it: the user has no right to make groups there.
                try user.started("plain")
                let group = try Self.group(try user.status("plain")["pid"])
                #expect(group.hasPrefix("0::/user.slice/user-\(RootlessUser.id).slice/session-"), "\(group)")
                // Another login finds it.
                #expect(try user.run("exec", "plain", "id", "-u").text == "0")
                #expect(try user.run("list", "-q").text == "plain")
                #expect(try user.run("delete", "--force", "plain").exit == 0)
            }
        }

        /// runc's way for users: `systemd --user` makes the scope, and moves into it what it may not.
        @Test(arguments: [false, true]) func aScopeOfTheUsersManager(ranges: Bool) throws {
            try Host.with { host in
                let user = try RootlessUser(host, arguments: Self.sleeping, ranges: ranges)
                if ranges {
                    try user.editLinux { linux in
                        for (key, first) in [
                            ("uidMappings", RootlessUser.firstSubordinateUser),
                            ("gidMappings", RootlessUser.firstSubordinateGroup),
                        ] {
                            linux[key] = [
                                ["containerID": 0, "hostID": .integer(Int64(RootlessUser.id)), "size": 1],
                                ["containerID": 1, "hostID": .integer(Int64(first)), "size": 65535],
                            ]
                        }
                    }
                }
                let name = "\(host.prefix)-c"
                try Self.limit(user, "user.slice:apus:\(name)")
                try user.started("c", globals: Self.systemd)
                let place = "\(Self.manager)/user.slice/apus-\(name).scope"
                #expect(try Self.group(try user.status("c")["pid"]) == "0::\(place)")
                func file(_ name: String) throws -> String {
                    try File.readText("/sys/fs/cgroup\(place)/\(name)").trimmed
                }
                #expect(try file("pids.max") == "40")
                #expect(try file("memory.max") == "67108864")
                let entered = try user.run("exec", "c", "sh", "-c", "cat /proc/self/cgroup; id -u")
                #expect(entered.text == "0::/\n0", "\(entered)")
                #expect(try user.run("update", "--pids-limit", "30", "c").exit == 0)
                #expect(try file("pids.max") == "30")
                #expect(try user.run("pause", "c").exit == 0)
                #expect(try user.status("c")["status"] == "paused")
                #expect(try user.run("resume", "c").exit == 0)
                #expect(try user.run("ps", "--format", "json", "c").text.hasPrefix("["))
                let stats = try JSON(parsing: try user.run("events", "--stats", "c").text)
                #expect(stats["data"]?["pids"]?["limit"]?.int == 30)
                #expect(try user.run("delete", "--force", "c").exit == 0)
                #expect(!File.exists("/sys/fs/cgroup\(place)"))
                #expect(try File.names(in: user.state) == [])
            }
        }

        /// Without `--systemd-cgroup`, in a scope that was delegated to the user's command, which goes
        /// out of the way of the scope's own limits (cgroup-v2.rst, "No Internal Process Constraint").
        @Test func groupsInADelegatedScope() throws {
            try Host.with { host in
                let user = try RootlessUser(host, arguments: Self.sleeping)
                try Self.limit(user, host.prefix)
                let scope = [
                    "/usr/bin/systemd-run", "--user", "--scope", "--quiet", "--slice", "aputest.slice",
                ]
                let unit = "apus-\(host.prefix).scope"
                let aside = """
                    read -r line < /proc/self/cgroup && group=/sys/fs/cgroup${line#0::} &&
                    /bin/mkdir $group/aside && echo $$ > $group/aside/cgroup.procs && exec "$@"
                    """
                try user.started(
                    "d",
                    wrapper: scope + ["-p", "Delegate=yes", "--unit", unit, "/bin/sh", "-c", aside, "sh"])
                let place = "\(Self.manager)/aputest.slice/\(unit)/\(host.prefix)"
                #expect(try Self.group(try user.status("d")["pid"]) == "0::\(place)")
                #expect(try File.readText("/sys/fs/cgroup\(place)/pids.max").trimmed == "40")
                #expect(try user.run(["exec", "d", "true"], wrapper: scope).exit == 0)
                #expect(try user.run("pause", "d").exit == 0)
                #expect(try user.status("d")["status"] == "paused")
                #expect(try user.run("delete", "--force", "d").exit == 0)
                #expect(!File.exists("/sys/fs/cgroup\(place)"))
            }
        }
    }
}
