import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// `apus-runtime --systemd-cgroup` where systemd is not: one clear error, and nothing left.
    @Suite(.ours, .enabled(if: access("/run/systemd/system", F_OK) != 0, "systemd is process 1"))
    struct SystemdManagerMissingTests {
        @Test func theManagerIsRefused() throws {
            try Host.with { host in
                let bundle = try RuntimeCommandTests.Bundle(host)
                let finished = try ProgramRun.run(
                    bundle.runtime + ["--systemd-cgroup", "run", "--bundle", bundle.path, "a"])
                #expect(finished.exit != 0)
                #expect(finished.errorText.contains("systemd not running on this host"), "\(finished)")
                #expect(try bundle.run("list", "-q").text == "")
            }
        }
    }

    /// `apus-runtime --systemd-cgroup`: containers as scopes of systemd's manager.
    @Suite(.ours, .enabled(if: access("/run/systemd/system", F_OK) == 0, "systemd is not process 1"))
    struct SystemdManagerTests {
        /// A bundle whose containers are scopes.
        private struct Scopes {
            let host: Host
            let bundle: RuntimeCommandTests.Bundle
            /// Begins the units' names.
            let prefix: String

            init(_ host: Host, _ arguments: [String] = ["sleep", "1000"]) throws {
                self.host = host
                // After the containers, which the bundle takes away.
                host.later { _ = try? ProgramRun.run(["systemctl", "stop", "aputest.slice"]) }
                let bundle = try RuntimeCommandTests.Bundle(host, arguments: arguments)
                self.bundle = bundle
                prefix = "apus-\(host.prefix)"
                try bundle.edit {
                    $0["linux"]?.set("cgroupsPath", .string("aputest-sub.slice:apus-\(host.prefix):c"))
                }
            }

            /// Has containers made from now on run another command.
            func command(_ arguments: String...) throws {
                try bundle.edit { config in
                    config["process"]?.set("args", .array(arguments.map { .string($0) }))
                }
            }

            var unit: String { "\(prefix)-c.scope" }
            static let isUnified = File.exists("/sys/fs/cgroup/cgroup.controllers")
            var group: String { group(Self.isUnified ? "" : "/pids") }
            func group(_ hierarchy: String) -> String {
                "/sys/fs/cgroup\(hierarchy)/aputest.slice/aputest-sub.slice/\(unit)"
            }

            func limit(_ resources: JSON) throws {
                try bundle.edit { config in
                    var merged = config["linux"]?["resources"]?.object ?? [:]
                    for (key, value) in resources.object?.members ?? [] { merged[key] = value }
                    config["linux"]?.set("resources", .object(merged))
                }
            }

            func create(_ id: String) throws -> Finished {
                let line = (bundle.runtime + ["--systemd-cgroup", "create", "--bundle", bundle.path, id])
                    .joined(separator: " ")
                return try ProgramRun.run([
                    "sh", "-c", "\(line) < /dev/null 2> \(host.path("err")) >&2; echo $?",
                ])
            }

            func start(_ id: String = "c") throws {
                let created = try create(id)
                guard created.text == "0" else { throw Unexpected(try File.readText(host.path("err"))) }
                let started = try bundle.run("start", id)
                guard started.exit == 0 else { throw Unexpected("\(started)") }
            }

            func property(_ name: String, of unit: String? = nil) throws -> String {
                try ProgramRun.tool("systemctl", "show", "--value", "-p", name, unit ?? self.unit)
            }

            func file(_ name: String) throws -> String { try File.readText("\(group)/\(name)").trimmed }

            /// The units of this test that systemd knows in whatever state.
            var units: String {
                get throws {
                    try ProgramRun.tool(
                        "systemctl", "list-units", "--all", "--no-legend", "--plain", "\(prefix)*")
                }
            }

            func expectGone() throws {
                #expect(try units == "")
                #expect(!File.exists(group))
                #expect(try bundle.run("list", "-q").text == "")
            }
        }

        private static let limits: JSON = [
            "memory": ["limit": 67_108_864, "reservation": 33_554_432],
            "cpu": ["shares": 2048, "quota": 50000, "period": 100_000, "cpus": "0"], "pids": ["limit": 50],
            "unified": ["memory.high": "60000000"],
        ]

        private static func expectLimits(_ scopes: Scopes) throws {
            for (name, value) in [
                ("MemoryMax", "67108864"), ("MemoryLow", "33554432"), ("CPUQuotaPerSecUSec", "500ms"),
                ("CPUQuotaPeriodUSec", "100ms"), ("TasksMax", "50"), ("AllowedCPUs", "0"),
                ("MemoryHigh", "60000000"), ("CPUWeight", "174"),
            ] {
                #expect(try scopes.property(name) == value, "\(name)")
            }
            for (name, value) in [
                ("memory.max", "67108864"), ("memory.low", "33554432"), ("cpu.max", "50000 100000"),
                ("pids.max", "50"), ("cpuset.cpus", "0"), ("cpu.weight", "174"), ("memory.high", "59998208"),
            ] {
                #expect(try scopes.file(name) == value, "\(name)")
            }
        }

        @Test(.enabled(if: Scopes.isUnified, "cgroup v1")) func aContainerIsAScopeWithItsLimits() throws {
            try Host.with { host in
                let scopes = try Scopes(host)
                try scopes.limit(Self.limits)
                try scopes.start()
                #expect(try scopes.property("ActiveState") == "active")
                #expect(try scopes.property("Slice") == "aputest-sub.slice")
                #expect(try scopes.property("Delegate") == "yes")
                #expect(try scopes.property("TasksAccounting") == "yes")
                #expect(try scopes.property("DefaultDependencies") == "no")
                #expect(try scopes.property("Transient") == "yes")
                let pid = try #require(try scopes.bundle.state("c")["pid"]?.int)
                #expect(
                    try File.readText("/proc/\(pid)/cgroup").trimmed
                        == "0::/aputest.slice/aputest-sub.slice/\(scopes.unit)")
                try Self.expectLimits(scopes)
                // In its own view it is at the root.
                #expect(try scopes.bundle.run("exec", "c", "cat", "/proc/self/cgroup").text == "0::/")
                #expect(try scopes.bundle.run("exec", "c", "cat", "/sys/fs/cgroup/pids.max").text == "50")
                #expect(try scopes.bundle.run("delete", "--force", "c").exit == 0)
                try scopes.expectGone()
            }
        }

        @Test(.enabled(if: !Scopes.isUnified, "cgroup v2"))
        func aScopeOfV1HasItsLimitsInEveryHierarchy() throws {
            try Host.with { host in
                let scopes = try Scopes(host)
                try scopes.limit([
                    "memory": ["limit": 67_108_864], "pids": ["limit": 50],
                    "cpu": ["shares": 512, "quota": 20001, "period": 100_000, "cpus": "0"],
                ])
                try scopes.start()
                func expect(_ properties: [String: String], _ files: [String: String]) throws {
                    for (name, value) in properties { #expect(try scopes.property(name) == value, "\(name)") }
                    for (path, value) in files {
                        let parts = path.split(separator: "/")
                        let file = "\(scopes.group("/\(parts[0])"))/\(parts[1])"
                        #expect(try File.readText(file).trimmed == value, "\(path)")
                    }
                }
                let files = [
                    "memory/memory.limit_in_bytes": "67108864", "pids/pids.max": "50",
                    "cpu/cpu.cfs_quota_us": "21000", "cpu/cpu.shares": "512", "cpuset/cpuset.cpus": "0",
                    "freezer/freezer.state": "THAWED",
                ]
                try expect(
                    [
                        "MemoryLimit": "67108864", "TasksMax": "50", "CPUShares": "512",
                        "CPUQuotaPerSecUSec": "210ms", "DevicePolicy": "strict",
                    ], files)
                let pid = try #require(try scopes.bundle.state("c")["pid"]?.int)
                for line in try File.readText("/proc/\(pid)/cgroup").split(separator: "\n") {
                    #expect(line.hasSuffix("/aputest.slice/aputest-sub.slice/\(scopes.unit)"), "\(line)")
                }
                for verb in ["daemon-reload", "daemon-reexec"] {
                    try ProgramRun.tool("systemctl", verb)
                    try expect([:], files)
                    #expect(
                        try scopes.bundle.run("exec", "c", "head", "-c", "1", "/dev/zero").output == [0])
                }
                #expect(try scopes.bundle.run("update", "--pids-limit", "30", "c").exit == 0)
                try expect(["TasksMax": "30"], ["pids/pids.max": "30"])
                #expect(try scopes.bundle.run("pause", "c").exit == 0)
                #expect(try scopes.bundle.state("c")["status"] == "paused")
                #expect(try scopes.bundle.run("delete", "--force", "c").exit == 0)
                try scopes.expectGone()
                for file in files.keys {
                    #expect(!File.exists(scopes.group("/" + (file.split(separator: "/").first ?? ""))))
                }
            }
        }

        /// systemd goes over all groups again, and must find nothing to put right.
        @Test(.enabled(if: Scopes.isUnified, "cgroup v1")) func limitsAndDevicesStayWhenSystemdReloads()
            throws
        {
            try Host.with { host in
                let scopes = try Scopes(host)
                try scopes.limit(Self.limits)
                try scopes.limit([
                    "devices": [
                        ["allow": false, "access": "rwm"],
                        ["allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"],
                    ]
                ])
                try scopes.start()
                for (node, minor) in [("allowed", "229"), ("denied", "183")] {
                    try ProgramRun.tool("mknod", "\(scopes.bundle.path)/rootfs/tmp/\(node)", "c", "10", minor)
                }
                #expect(try scopes.property("DevicePolicy") == "strict")
                let allowed = try scopes.property("DeviceAllow")
                #expect(allowed.contains("/dev/char/10:229 rw"), "\(allowed)")
                for verb in ["daemon-reload", "daemon-reexec"] {
                    try ProgramRun.tool("systemctl", verb)
                    try Self.expectLimits(scopes)
                    let used = try scopes.bundle.run(
                        "exec", "c", "sh", "-c", "echo > /dev/null && head -c 1 /dev/zero | wc -c")
                    #expect(used.text == "1", "\(used)")
                    func open(_ node: String) throws -> String {
                        try scopes.bundle.run("exec", "c", "sh", "-c", "exec 3< /tmp/\(node)").errorText
                    }
                    #expect(try open("denied").contains("not permitted"))
                    #expect(try !open("allowed").contains("not permitted"))
                }
                #expect(try scopes.bundle.run("delete", "--force", "c").exit == 0)
                try scopes.expectGone()
            }
        }

        @Test(.enabled(if: Scopes.isUnified, "cgroup v1")) func updateChangesPropertiesAndFiles() throws {
            try Host.with { host in
                let scopes = try Scopes(host)
                try scopes.limit(Self.limits)
                try scopes.start()
                let updated = try scopes.bundle.run(
                    "update", "--memory", "50331648", "--pids-limit", "30", "--cpu-quota", "20001",
                    "--cpu-share",
                    "1024", "c")
                #expect(updated.exit == 0, "\(updated)")
                try ProgramRun.tool("systemctl", "daemon-reload")
                for (name, value) in [
                    ("MemoryMax", "50331648"), ("TasksMax", "30"), ("CPUQuotaPerSecUSec", "210ms"),
                    ("CPUWeight", "100"), ("MemoryLow", "33554432"),
                ] {
                    #expect(try scopes.property(name) == value, "\(name)")
                }
                for (name, value) in [
                    ("memory.max", "50331648"), ("pids.max", "30"), ("cpu.max", "21000 100000"),
                    ("cpu.weight", "100"), ("memory.low", "33554432"),
                ] {
                    #expect(try scopes.file(name) == value, "\(name)")
                }
                // The period alone, and no limits any more.
                #expect(try scopes.bundle.run("update", "--cpu-period", "50000", "c").exit == 0)
                #expect(try scopes.file("cpu.max") == "21000 50000")
                #expect(try scopes.property("CPUQuotaPerSecUSec") == "420ms")
                #expect(
                    try scopes.bundle.run("update", "--cpu-quota=-1", "--pids-limit=-1", "--memory=-1", "c")
                        .exit
                        == 0)
                #expect(try scopes.property("TasksMax") == "infinity")
                #expect(try scopes.property("MemoryMax") == "infinity")
                #expect(try scopes.file("cpu.max") == "max 50000")
                let json = try ProgramRun.run(
                    scopes.bundle.runtime + ["update", "-r", "-", "c"],
                    input: .text(#"{"unified":{"memory.max":"40000000","cpu.idle":"1"}}"#))
                #expect(json.exit == 0, "\(json)")
                #expect(try scopes.property("MemoryMax") == "40000000")
                #expect(try scopes.file("cpu.idle") == "1")
                #expect(try scopes.bundle.run("delete", "--force", "c").exit == 0)
                try scopes.expectGone()
            }
        }

        @Test func annotationsAreProperties() throws {
            try Host.with { host in
                let scopes = try Scopes(host)
                try scopes.bundle.edit {
                    $0["annotations"] = [
                        "org.systemd.property.TimeoutStopSec": "uint32 7",
                        "org.systemd.property.Description": "'told by an annotation'",
                        "org.systemd.property.CollectMode": "'inactive'",
                        "org.systemd.property.Before": "['multi-user.target']",
                    ]
                }
                try scopes.start()
                #expect(try scopes.property("TimeoutStopUSec") == "7s")
                #expect(try scopes.property("Description") == "told by an annotation")
                #expect(try scopes.property("CollectMode") == "inactive")
                #expect(try scopes.property("Before").contains("multi-user.target"))
                #expect(try scopes.bundle.run("delete", "--force", "c").exit == 0)
                try scopes.expectGone()

                // One that systemd does not know, one that is no name, one without a value.
                for (name, value, said) in [
                    ("NoSuchProperty", "true", "NoSuchProperty"), ("a.b", "true", "org.systemd.property.a.b"),
                    ("TasksMax", "uint64", "org.systemd.property.TasksMax"),
                ] {
                    try scopes.bundle.edit {
                        $0["annotations"] = .object(["org.systemd.property.\(name)": .string(value)])
                    }
                    #expect(try scopes.create("c").text != "0")
                    let error = try File.readText(host.path("err"))
                    #expect(error.contains(said), "\(error)")
                    try scopes.expectGone()
                }
            }
        }

        @Test(.enabled(if: Scopes.isUnified, "cgroup v1")) func pauseAndResume() throws {
            try Host.with { host in
                let scopes = try Scopes(host)
                try scopes.start()
                #expect(try scopes.bundle.run("pause", "c").exit == 0)
                #expect(try scopes.bundle.state("c")["status"] == "paused")
                #expect(try scopes.file("cgroup.freeze") == "1")
                #expect(try scopes.bundle.run("update", "--pids-limit", "9", "c").exit == 0)
                #expect(try scopes.property("TasksMax") == "9")
                #expect(try scopes.bundle.state("c")["status"] == "paused")
                #expect(try scopes.bundle.run("resume", "c").exit == 0)
                #expect(try scopes.bundle.state("c")["status"] == "running")
                #expect(try scopes.bundle.run("pause", "c").exit == 0)
                #expect(try scopes.bundle.run("delete", "--force", "c").exit == 0)
                try scopes.expectGone()
            }
        }

        /// Whatever way it ends, and also when systemd calls the unit failed.
        @Test func deleteLeavesNoUnit() throws {
            try Host.with { host in
                let scopes = try Scopes(host, ["true"])
                let ran = try ProgramRun.run(
                    scopes.bundle.runtime + ["--systemd-cgroup", "run", "--bundle", scopes.bundle.path, "c"])
                #expect(ran.exit == 0, "\(ran)")
                try scopes.expectGone()

                try scopes.command("no-such-command")
                #expect(try scopes.create("c").text != "0")
                try scopes.expectGone()

                try scopes.command("sh", "-c", "exec tail /dev/zero")
                try scopes.limit(["memory": ["limit": 33_554_432, "swap": 33_554_432]])
                try scopes.start()
                try host.eventually("it runs out of memory", within: .seconds(120)) {
                    try scopes.bundle.state("c")["status"] == "stopped"
                }
                #expect(try scopes.bundle.run("delete", "c").exit == 0)
                try scopes.expectGone()

                // The operator stops the unit itself.
                try scopes.command(
                    "sh", "-c", "trap 'exit 0' TERM; touch /tmp/up; while :; do sleep 0.1; done")
                try scopes.start()
                try host.eventually("it runs") { File.exists("\(scopes.bundle.path)/rootfs/tmp/up") }
                try ProgramRun.tool("systemctl", "stop", scopes.unit)
                #expect(try scopes.bundle.state("c")["status"] == "stopped")
                #expect(try scopes.bundle.run("delete", "c").exit == 0)
                try scopes.expectGone()
            }
        }

        @Test func aUnitOfAnotherIsLeftAlone() throws {
            try Host.with { host in
                let scopes = try Scopes(host)
                try scopes.start()
                #expect(try scopes.create("second").text != "0")
                #expect(try scopes.bundle.run("delete", "--force", "second").exit == 0)
                #expect(try scopes.bundle.state("c")["status"] == "running")
                #expect(try scopes.property("ActiveState") == "active")
                #expect(try scopes.bundle.run("delete", "--force", "c").exit == 0)
                try scopes.expectGone()
            }
        }

        @Test func defaultsAndBadPaths() throws {
            try Host.with { host in
                let scopes = try Scopes(host)
                try scopes.bundle.edit { $0["linux"]?.set("cgroupsPath", nil) }
                try scopes.start("\(host.prefix)-d")
                let unit = "apus-\(host.prefix)-d.scope"
                #expect(try scopes.property("Slice", of: unit) == "system.slice")
                #expect(
                    File.exists(
                        "/sys/fs/cgroup\(Scopes.isUnified ? "" : "/pids")/system.slice/\(unit)/cgroup.procs"))
                #expect(try scopes.bundle.run("delete", "--force", "\(host.prefix)-d").exit == 0)
                #expect(try scopes.units == "")
                for path in ["/a/b", "a.slice:b", "a--b.slice:c:d", "a.slice:b:c/../d"] {
                    try scopes.bundle.edit { $0["linux"]?.set("cgroupsPath", .string(path)) }
                    #expect(try scopes.create("c").text != "0")
                    let error = try File.readText(host.path("err"))
                    #expect(error.contains("slice") || error.contains("unit name"), "\(path): \(error)")
                    #expect(try scopes.bundle.run("list", "-q").text == "")
                }
            }
        }

        /// Also when the bus, or systemd's own socket, is not there.
        @Test func eitherWayToTheManagerWillDo() throws {
            try Host.with { host in
                let scopes = try Scopes(host, ["true"])
                let (bus, direct) = ("/run/dbus/system_bus_socket", "/run/systemd/private")
                func run(without sockets: String...) throws -> Finished {
                    let hide = sockets.map { "mount --bind /dev/null \($0) && " }.joined()
                    return try ProgramRun.run(
                        ["unshare", "-m", "sh", "-c", "\(hide) exec \"$@\"", "sh"] + scopes.bundle.runtime
                            + ["--systemd-cgroup", "run", "--bundle", scopes.bundle.path, "c"])
                }
                for hidden in [bus, direct] {
                    let finished = try run(without: hidden)
                    #expect(finished.exit == 0, "\(finished)")
                    try scopes.expectGone()
                }
                let lost = try run(without: bus, direct)
                #expect(lost.exit != 0)
                #expect(lost.errorText.contains("connect to systemd"), "\(lost)")
                try scopes.expectGone()
            }
        }

        /// `systemd --user`, here root's own.
        @Test(.enabled(if: Scopes.isUnified, "cgroup v1")) func aUsersManagerHasScopesToo() throws {
            try Host.with { host in
                let scopes = try Scopes(host)
                let service = "apus-\(host.prefix)-user.service"
                let runtimeDirectory = host.path("user")
                try File.makeDirectories(runtimeDirectory)
                try ProgramRun.tool(
                    "systemd-run", "--quiet", "--collect", "--unit", service, "-p", "Delegate=yes",
                    "--setenv",
                    "XDG_RUNTIME_DIR=\(runtimeDirectory)", "/lib/systemd/systemd", "--user")
                host.later { _ = try? ProgramRun.run(["systemctl", "stop", service]) }
                try host.eventually("the manager listens", within: .seconds(60)) {
                    File.exists("\(runtimeDirectory)/systemd/private")
                }
                try scopes.limit(["pids": ["limit": 40], "memory": ["limit": 67_108_864]])
                func user(_ arguments: String...) throws -> Int32 {
                    try ProgramRun.run(
                        ["sh", "-c", "\"$@\" < /dev/null 2> \(host.path("err")) >&2", "sh"]
                            + scopes.bundle.runtime + ["--systemd-cgroup", "--rootless", "true"] + arguments,
                        environment: ["PATH=\(Programs.searchPath)", "XDG_RUNTIME_DIR=\(runtimeDirectory)"]
                    ).exit
                }
                let created = try user("create", "--bundle", scopes.bundle.path, "c")
                #expect(created == 0, "\((try? File.readText(host.path("err"))) ?? "")")
                let group = "/system.slice/\(service)/aputest.slice/aputest-sub.slice/\(scopes.unit)"
                func pidsLimit() throws -> String {
                    try File.readText("/sys/fs/cgroup\(group)/pids.max").trimmed
                }
                let pid = try #require(try scopes.bundle.state("c")["pid"]?.int)
                #expect(try File.readText("/proc/\(pid)/cgroup").trimmed == "0::\(group)")
                #expect(try pidsLimit() == "40")
                #expect(try user("start", "c") == 0)
                #expect(try user("exec", "c", "true") == 0)
                #expect(try user("update", "--pids-limit", "30", "c") == 0)
                #expect(try pidsLimit() == "30")
                #expect(try user("delete", "--force", "c") == 0)
                #expect(!File.exists("/sys/fs/cgroup\(group)"))
                // Without the way to it.
                let lost = try ProgramRun.run(
                    scopes.bundle.runtime + [
                        "--systemd-cgroup", "--rootless", "true", "run", "--bundle", scopes.bundle.path, "c",
                    ], environment: ["PATH=\(Programs.searchPath)"])
                #expect(lost.exit != 0)
                #expect(lost.errorText.contains("DBUS_SESSION_BUS_ADDRESS"), "\(lost)")
            }
        }

        @Test(.enabled(if: Scopes.isUnified, "cgroup v1")) func theEngineHasScopesToo() throws {
            try Host.with(globals: ["--cgroup-manager", "systemd"]) { host in
                let image = try host.busybox()
                let id = try host.detached(
                    "--network", "none", "--memory", "64m", "--pids-limit", "40", image, "sleep", "1000")
                let full = try host.ok("inspect", "--format", "{{.Id}}", id)
                let unit = "apus-\(full).scope"
                func property(_ name: String) throws -> String {
                    try ProgramRun.tool("systemctl", "show", "--value", "-p", name, unit)
                }
                #expect(try property("Slice") == "machine.slice")
                #expect(try property("MemoryMax") == "67108864")
                #expect(try property("TasksMax") == "40")
                #expect(try host.ok("exec", id, "cat", "/sys/fs/cgroup/memory.max") == "67108864")
                #expect(try host.ok("info", "--format", "{{.CgroupDriver}}") == "systemd")
                // A restarted container is a new scope of the same name.
                try host.ok("restart", "-t", "0", id)
                #expect(try property("ActiveState") == "active")
                try host.ok("rm", "-f", "-t", "0", id)
                #expect(try property("LoadState") == "not-found")
                let parent = try host.detached(
                    "--network", "none", "--cgroup-parent", "apus-tests.slice", image, "sleep", "1000")
                let child = try host.ok("inspect", "--format", "{{.Id}}", parent)
                #expect(File.exists("/sys/fs/cgroup/apus.slice/apus-tests.slice/apus-\(child).scope"))
                try host.ok("rm", "-f", "-t", "0", parent)
                let refused = try host.apus(
                    "run", "--rm", "--network", "none", "--cgroup-parent", "/a/b", image, "true")
                #expect(refused.exit == 125)
                #expect(refused.errorText.contains("slice"), "\(refused)")
            }
        }

        /// SIGKILL of the runtime at any moment: `delete --force` takes away what is left.
        @Test func killedCreates() throws {
            try Host.with { host in
                let scopes = try Scopes(host)
                let begin = ContinuousClock.now
                #expect(try scopes.create("c").text == "0")
                let takes = ContinuousClock.now - begin
                #expect(try scopes.bundle.run("delete", "--force", "c").exit == 0)
                let moments = 12
                for moment in 0..<moments {
                    let run = try ProgramRun(
                        scopes.bundle.runtime
                            + ["--systemd-cgroup", "create", "--bundle", scopes.bundle.path, "c"])
                    let wait = takes * moment / moments
                    usleep(
                        useconds_t(
                            wait.components.seconds * 1_000_000
                                + wait.components.attoseconds / 1_000_000_000_000))
                    run.send(SIGKILL)
                    #expect(try scopes.bundle.run("delete", "--force", "c").exit == 0)
                    _ = try run.finish(timeout: .seconds(20))
                    try host.eventually("the unit of moment \(moment) is gone") { try scopes.units == "" }
                    try scopes.expectGone()
                }
                try scopes.start()
                #expect(try scopes.bundle.run("delete", "--force", "c").exit == 0)
                try scopes.expectGone()
            }
        }
    }
}

extension JSON {
    /// Sets a member of an object.
    fileprivate mutating func set(_ key: String, _ value: JSON?) {
        guard var object else { return }
        object[key] = value
        self = .object(object)
    }
}
