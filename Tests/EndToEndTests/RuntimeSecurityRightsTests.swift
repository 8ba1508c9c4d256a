import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// Published flaws by the rights and limits that a container's processes got.
    @Suite struct RuntimeSecurityRightsTests {
        typealias Bundle = RuntimeCommandTests.Bundle

        private static let report = "grep -E '^Cap(Inh|Prm|Eff|Amb):' /proc/self/status | tr -d '\\t'"

        private static func set(_ name: String, in finished: Finished) -> UInt64? {
            finished.lines.first { $0.hasPrefix(name + ":") }.flatMap {
                UInt64($0.dropFirst(name.count + 1), radix: 16)
            }
        }

        /// The default configuration made capabilities inheritable: a program with inheritable file
        /// capabilities then gave them to users of the container.
        @Test func CVE_2022_24769() throws {
            try Host.with { host in
                let bundle = try Bundle(host)
                let capabilities = bundle.config["process"]?["capabilities"]
                #expect(capabilities?["inheritable"]?.array?.isEmpty ?? true)
                #expect(capabilities?["ambient"]?.array?.isEmpty ?? true)
                for uid in [0, 1000] {
                    try bundle.process { $0["user"] = ["uid": .integer(Int64(uid)), "gid": 0] }
                    try bundle.script(Self.report)
                    let finished = try bundle.attack()
                    #expect(Self.set("CapInh", in: finished) == 0, "\(finished)")
                    #expect(Self.set("CapAmb", in: finished) == 0, "\(finished)")
                }
            }
        }

        /// containerd: the ID that means "as it is" to the kernel left the process root.
        @Test func CVE_2024_40635() throws {
            try Host.with { host in
                let bundle = try Bundle(host)
                for name in ["uid", "gid"] {
                    try bundle.process {
                        var user: JSONObject = ["uid": 1, "gid": 1]
                        user[name] = 4_294_967_295
                        $0["user"] = .object(user)
                    }
                    let refused = try bundle.attack()
                    #expect(
                        refused.exit != 0 && refused.errorText.contains("process.user.\(name)"), "\(refused)")
                }
            }
        }

        /// `exec --cap` made the added capabilities inheritable.
        @Test func CVE_2022_29162() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["sleep", "100"])
                try bundle.create("a")
                #expect(try bundle.run("start", "a").exit == 0)
                for options in [
                    ["--cap", "CAP_NET_RAW"], ["--cap", "CAP_NET_RAW", "--cap", "CAP_SYS_CHROOT"],
                ] {
                    let finished = try ProgramRun.run(
                        bundle.runtime + ["exec"] + options + ["a", "sh", "-c", Self.report])
                    #expect(Self.set("CapInh", in: finished) == 0, "\(finished)")
                    #expect(
                        Self.set("CapEff", in: finished).map { $0 & 1 << 13 != 0 } ?? false, "\(finished)")
                }
            }
        }

        /// The same in crun: `exec` of a user with inheritable capabilities, which then are its own.
        @Test func CVE_2022_27650() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["sleep", "100"])
                try bundle.create("a")
                #expect(try bundle.run("start", "a").exit == 0)
                let plain = try bundle.run("exec", "--user", "1000:1000", "a", "sh", "-c", Self.report)
                for name in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
                    #expect(Self.set(name, in: plain) == 0, "\(plain)")
                }
            }
        }

        /// Without a cgroup namespace of its own a user namespace got the host's /sys/fs/cgroup, which a
        /// read-only /sys above it left writable.
        @Test func CVE_2023_25809() throws {
            try Host.with { host in
                let bundle = try Bundle(host)
                try bundle.removeMounts("/sys")
                try bundle.mounts {
                    $0.insert(
                        [
                            "destination": "/sys", "type": "none", "source": "/sys",
                            "options": ["rbind", "nosuid", "noexec", "nodev", "ro"],
                        ], at: 1)
                }
                try bundle.linux {
                    let namespaces = ($0["namespaces"]?.array ?? []).filter { $0["type"] != "network" }
                    $0["namespaces"] = .array(namespaces + [["type": "user"]])
                    let map: JSON = [["containerID": 0, "hostID": 0, "size": 65536]]
                    $0["uidMappings"] = map
                    $0["gidMappings"] = map
                }
                try bundle.script(
                    """
                    test -d /sys/fs/cgroup || exit 3
                    for directory in $(find /sys/fs/cgroup -type d); do
                      mkdir $directory/apus-escape 2> /dev/null && echo "made in $directory" && rmdir $directory/apus-escape
                      echo $$ 2> /dev/null > $directory/cgroup.procs && echo "written in $directory"
                    done; echo looked
                    """)
                let finished = try bundle.attack()
                #expect(finished.text == "looked", "\(finished)")
            }
        }

        /// crun's handler for virtual machines wrote `.krun_config.json` into the root file system, where
        /// it was a link. We write no file of our own there, and take no handler from an annotation.
        @Test func CVE_2025_24965() throws {
            try Host.with { host in
                let bundle = try Bundle(host)
                let bait = try Bait(host)
                for name in [
                    ".krun_config.json", ".krun_vm.json", "krun-sev.json", ".apus", "run", "etc/mtab",
                ] {
                    try bundle.plant("\(bait.path)/sub", at: name)
                }
                try bundle.edit {
                    $0["annotations"] = [
                        "run.oci.handler": "krun", "krun.use_passt": "1", "run.oci.keep_original_groups": "1",
                    ]
                }
                let before = try ProgramRun.tool("find", bundle.rootfs, "-mindepth", "1")
                let finished = try bundle.attack()
                #expect(finished.exit == 0, "\(finished)")
                #expect(bait.damage.isEmpty, "\(bait.damage)")
                #expect(try ProgramRun.tool("find", bundle.rootfs, "-mindepth", "1") == before)
            }
        }

        /// `crun exec --user 1` ran as user 0 and group 0.
        @Test func CVE_2026_30892() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["sleep", "100"])
                try bundle.create("a")
                #expect(try bundle.run("start", "a").exit == 0)
                for (user, ids) in [
                    ("1", "1 0"), ("0", "0 0"), ("1000", "1000 0"), ("1:2", "1 2"), ("01", "1 0"),
                    ("0:1", "0 1"),
                ] {
                    let finished = try bundle.run(
                        "exec", "--user", user, "a", "sh", "-c", "echo $(id -u) $(id -g)")
                    #expect(finished.text == ids, "\(user): \(finished)")
                }
                for user in [
                    "-1", "1x", "x", "1:", ":1", ":", "1:x", "1:2:3", "4294967296", "1 ", " 1", "0x1", "1.0",
                    "1:-1",
                    "99999999999999999999",
                ] {
                    let finished = try bundle.run("exec", "--user", user, "a", "id")
                    #expect(finished.exit != 0 && finished.text.isEmpty, "\(user): \(finished)")
                }
            }
        }

        /// A message of more than 64 KiB to runc's first stage overflowed its length, and what followed was
        /// taken as the attacker wrote it: namespaces could be left out.
        @Test func CVE_2021_43784() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["echo", "it ran"])
                let config = bundle.config
                for size in [4096, 65_530, 65_536, 70_000, 200_000] {
                    let long = "/" + String(repeating: "a", count: size)
                    try bundle.edit { $0 = config.object ?? [:] }
                    try bundle.linux { linux in
                        let namespaces = (linux["namespaces"]?.array ?? []).filter { $0["type"] != "network" }
                        linux["namespaces"] = .array(
                            namespaces + [["type": "network", "path": .string(long)]])
                    }
                    let path = try bundle.attack()
                    #expect(path.exit != 0 && path.text.isEmpty, "\(path)")

                    try bundle.edit { $0 = config.object ?? [:] }
                    try bundle.linux { linux in
                        linux["namespaces"] = .array((linux["namespaces"]?.array ?? []) + [["type": "user"]])
                        let map: JSON = .array(
                            (0..<(size / 16)).map {
                                [
                                    "containerID": .integer(Int64($0)), "hostID": .integer(Int64($0)),
                                    "size": 1,
                                ]
                            })
                        linux["uidMappings"] = map
                        linux["gidMappings"] = map
                    }
                    // The kernel takes 340 lines.
                    let maps = try bundle.attack()
                    #expect(size < 5440 || maps.exit != 0 && maps.text.isEmpty, "\(maps)")
                }
            }
        }

        /// `exec --cgroup` led out of the container's own group, and with it out of its limits (crun 1.29).
        @Test func cgroupsBelowStayBelow() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["sleep", "100"])
                try bundle.create("a")
                #expect(try bundle.run("start", "a").exit == 0)
                for path in [
                    "..", "../..", "/..", "a/../..", "./..", "../\u{301}", "/../../../..", "a/../../b",
                ] {
                    let finished = try bundle.run("exec", "--cgroup", path, "a", "echo", "it ran")
                    #expect(finished.exit != 0 && finished.text.isEmpty, "\(path): \(finished)")
                }
            }
        }
    }
}
