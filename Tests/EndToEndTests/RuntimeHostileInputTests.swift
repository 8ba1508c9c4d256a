import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// Configurations, root file systems and names that no one should have to trust.
    @Suite struct RuntimeHostileInputTests {
        typealias Bundle = RuntimeCommandTests.Bundle

        /// Refused with one line, by an error and not by a crash, and nothing is left.
        private func expectRefusal(_ finished: Finished, _ bundle: Bundle, _ what: String) throws {
            #expect(finished.exit > 0 && finished.exit < 128, "\(what.prefix(200)): \(finished)")
            #expect(finished.text.isEmpty, "\(what.prefix(200)): \(finished)")
            #expect(finished.errorText.split(separator: "\n").count == 1, "\(what.prefix(200)): \(finished)")
            #expect(try bundle.run("list", "-q").text == "", "\(what.prefix(200))")
        }

        @Test(.ours) func configurationsThatAreNone() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["echo", "it ran"])
                let good = bundle.config.text()
                let half = String(good.prefix(good.count / 2))
                var texts: [[UInt8]] = [
                    "", " ", "{", "}", "[]", "{}", "null", "true", "0", "\"\"", "{{}}", half, good + good,
                    good + "x",
                    good + "\u{0}", "\u{feff}" + good, String(repeating: "[", count: 1_000_000),
                    String(repeating: "{\"a\":", count: 100_000), "{\"ociVersion\":\"1.0.0\"}",
                    "{\"ociVersion\":\"1.0.0\",\"process\":{},\"root\":{\"path\":\"rootfs\"}}",
                ].map { Array($0.utf8) }
                texts += [[0], [0xff, 0xfe], [0x7b, 0xff, 0x7d], Array(good.utf8).flatMap { [$0, 0] }]
                for text in texts {
                    try File.replace("\(bundle.path)/config.json", with: text, durable: false)
                    try expectRefusal(
                        try bundle.attack(), bundle, String(decoding: text.prefix(200), as: UTF8.self))
                }
                // 100 MiB of white space, which costs the disk nothing.
                let file = try File.open("\(bundle.path)/config.json", O_WRONLY | O_TRUNC)
                #expect(ftruncate(file.raw, 100 << 20) == 0)
                try expectRefusal(try bundle.attack(), bundle, "100 MiB")
            }
        }

        @Test(.ours) func membersOfTheWrongKind() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["echo", "it ran"])
                let config = bundle.config
                let values: [JSON] = [
                    5, -1, true, "text", ["a"], ["a": 1], .number("1e999"),
                    .number("99999999999999999999999"), [[]], [nil],
                    .string(String(repeating: "x", count: 100_000)),
                ]
                func refuse(_ path: [String], _ accepted: [String] = []) throws {
                    for value in values where !accepted.contains(value.kind) {
                        var document = config
                        Self.set(&document, path, value)
                        try bundle.edit { $0 = document.object ?? [:] }
                        try expectRefusal(try bundle.attack(), bundle, "\(path): \(value.text().prefix(60))")
                    }
                }
                for path in [
                    ["ociVersion"], ["process"], ["process", "args"], ["process", "user"],
                    ["process", "user", "uid"],
                    ["process", "cwd"], ["root"], ["mounts"], ["linux"], ["linux", "namespaces"],
                    ["linux", "resources"], ["linux", "devices"], ["linux", "seccomp"], ["hooks"],
                    ["linux", "resources", "memory"],
                ] {
                    // These are right for it, and harmless or refused for another reason.
                    let accepted: [String: [String]] = [
                        "args": ["an array"], "user": ["an object"], "uid": ["a number"], "cwd": ["a string"],
                        "hooks": ["an object"],
                        "memory": ["an object"], "resources": ["an object"],
                    ]
                    try refuse(path, accepted[path.last ?? ""] ?? [])
                }
                // For the kernel a string ends at a NUL.
                for path in [["process", "cwd"], ["root", "path"], ["hostname"], ["linux", "cgroupsPath"]] {
                    var document = config
                    Self.set(&document, path, "/tmp\u{0}x")
                    try bundle.edit { $0 = document.object ?? [:] }
                    try expectRefusal(try bundle.attack(), bundle, "NUL in \(path)")
                }
                for destination in ["/proc\u{0}", "/proc\u{0}/x", "\u{0}"] {
                    try bundle.edit { $0 = config.object ?? [:] }
                    try bundle.bind("/tmp", on: destination)
                    try expectRefusal(try bundle.attack(), bundle, "NUL in a mount")
                }
            }
        }

        private static func set(_ document: inout JSON, _ path: [String], _ value: JSON) {
            guard let name = path.first else {
                document = value
                return
            }
            var object = document.object ?? [:]
            var member = object[name] ?? [:]
            set(&member, Array(path.dropFirst()), value)
            object[name] = member
            document = .object(object)
        }

        /// The last of two members of one name counts, for the checks as for the container.
        @Test func aMemberThatStandsTwice() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["echo", "it ran"])
                let text = bundle.config.text()
                try File.replace(
                    "\(bundle.path)/config.json",
                    with: Array((text.dropLast() + ",\"ociVersion\":\"9.0\"}").utf8), durable: false)
                #expect(try bundle.attack().exit != 0)
            }
        }

        @Test func linksAtEveryPlaceThatIsMountedOn() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["true"])
                let bait = try Bait(host)
                let source = try host.write("mounted", to: "source/file")
                try bundle.giveRights()
                for name in ["hostname", "hosts", "resolv.conf"] {
                    try bundle.bind(source, on: "/etc/\(name)")
                }
                try bundle.bind(host.path("source"), on: "/data/deep")
                try bundle.linux {
                    $0["devices"] = [["type": "c", "path": "/data/zero", "major": 1, "minor": 5]]
                    $0["maskedPaths"] = .array(($0["maskedPaths"]?.array ?? []) + ["/mask", "/data/mask"])
                    $0["readonlyPaths"] = .array(($0["readonlyPaths"]?.array ?? []) + ["/fixed"])
                }
                try bundle.process { $0["cwd"] = "/work/here" }
                let config = bundle.config
                let up = String(repeating: "../", count: 30)
                for target in [
                    bait.path, "\(up)\(bait.path.dropFirst())", "/proc/self/root", "/proc/self/fd/5",
                    "/nothing/at/all",
                    "loop", "/", "/proc/1/cwd/..",
                ] {
                    for name in [
                        "proc", "sys", "dev", "etc", "etc/hosts", "data", "data/deep", "mask", "fixed",
                        "work", "work/here",
                        "data/zero", "bin/true",
                    ] {
                        try? File.removeTree("\(bundle.rootfs)/etc")
                        for place in ["proc", "sys", "dev", "data", "mask", "fixed", "work"] {
                            try? File.removeTree("\(bundle.rootfs)/\(place)")
                            try File.makeDirectories("\(bundle.rootfs)/\(place)")
                        }
                        try File.makeDirectories("\(bundle.rootfs)/etc")
                        try? File.unlink("\(bundle.rootfs)/bin/true")
                        try File.makeSymbolicLink(to: "busybox", "\(bundle.rootfs)/bin/true")
                        try bundle.plant(target == "loop" ? "/\(name)" : target, at: name)
                        let finished = try bundle.attack()
                        #expect(
                            finished.exit >= 0 && finished.exit < 128, "\(name) -> \(target): \(finished)")
                        #expect(bait.damage.isEmpty, "\(name) -> \(target): \(bait.damage) \(finished)")
                    }
                }
                // Mounts that cover each other on the mount points themselves.
                try bundle.edit { $0 = config.object ?? [:] }
                for place in ["/dev/pts", "/dev/shm", "/dev/mqueue", "/sys/fs/cgroup"] {
                    try bundle.bind(bait.path, on: place, "ro")
                }
                _ = try bundle.attack()
                #expect(bait.damage.isEmpty, "\(bait.damage)")
            }
        }

        @Test func idsThatAreNoNames() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["true"])
                try host.write("x", to: "victim/state.json")
                for id in [
                    "", ".", "..", "../victim", "a/b", "/a", "a/", "a b", "a\nb", "é", "\u{301}",
                    "a\u{202e}b", "*", "~", "$(id)",
                    "a\\b", String(repeating: "x", count: 256), String(repeating: "x", count: 5000), "a%2fb",
                    ";", "#",
                ] {
                    for command in [
                        ["run", "--bundle", bundle.path], ["create", "--bundle", bundle.path], ["start"],
                        ["state"],
                        ["delete", "--force"], ["kill"], ["pause"], ["ps"],
                    ] {
                        let finished = try ProgramRun.run(bundle.runtime + command + ["--", id])
                        #expect(finished.exit > 0 && finished.exit < 128, "\(finished)")
                        #expect(!finished.errorText.isEmpty, "\(finished)")
                    }
                }
                #expect(try File.readText(host.path("victim/state.json")) == "x")
                #expect(((try? File.names(in: bundle.state)) ?? []).isEmpty)
            }
        }

        /// The bundle is read once: what happens to it later changes no container.
        @Test func aBundleThatChanges() throws {
            try Host.with { host in
                let bundle = try Bundle(host, arguments: ["sleep", "100"])
                try bundle.create("a")
                try bundle.edit { $0["process"] = "gone" }
                #expect(try bundle.run("start", "a").exit == 0)
                #expect(try bundle.run("exec", "a", "echo", "in").text == "in")
                try File.unlink("\(bundle.path)/config.json")
                #expect(try bundle.run("exec", "a", "echo", "in").text == "in")
                try File.rename(bundle.rootfs, to: "\(bundle.path)/moved")
                #expect(try bundle.run("exec", "a", "echo", "in").text == "in")
                try File.rename(bundle.path, to: host.path("away"))
                #expect(try bundle.run("state", "a").exit == 0)
                #expect(try bundle.run("delete", "--force", "a").exit == 0)
            }
        }
    }
}
