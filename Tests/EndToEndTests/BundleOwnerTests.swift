import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// Bundles whose files belong to the users of a user namespace, beside umoci's.
    @Suite(.ours) struct BundleOwnerTests {
        /// Files of several owners, a device, and a program with capabilities of its own.
        private static func image(_ host: Host) throws {
            try host.ok("import", try Fixtures.busyboxTar(), "localhost/base:1")
            let bundle = host.path("making")
            try host.ok("image", "unpack", "localhost/base:1", bundle)
            try ProgramRun.tool(
                "sh", "-ec",
                """
                cd \(bundle)/rootfs; mkdir -p sub; echo x > sub/own; chown 992:123 sub/own; echo y > group
                chown 0:456 group; echo z > both; chown 98:99 both; chmod 4755 both; chown 7:7 sub; ln -s both soft
                chown -h 5:6 soft; mknod null c 1 3; chown 0:5 null
                setcap cap_net_raw+ep sub/own
                """)
            try host.ok("image", "repack", "localhost/owners:1", bundle)
        }

        /// Owners, modes and kinds; and what notes tell.
        private static func listing(_ bundle: String, notes: Bool = false) throws -> [String] {
            let text = try ProgramRun.tool(
                "sh", "-c",
                "cd \(bundle)/rootfs && find . -printf '%p %y %m %U %G %l\\n' | sort"
                    + (notes
                        ? "; find . ! -type l | sort | xargs -d '\\n' getfattr -h -n user.rootlesscontainers -e hex 2>/dev/null || true"
                        : ""))
            return text.split(separator: "\n").map(String.init)
        }

        private static func layers(_ name: String, _ host: Host) throws -> Int? {
            Int(try host.ok("image", "inspect", "-f", "{{len .RootFS.Layers}}", name))
        }

        private static func config(_ bundle: String) throws -> JSON {
            try JSON(parsing: File.read("\(bundle)/config.json"))
        }

        @Test(.needs("umoci", "setcap")) func mappedAsUmociDoes() throws {
            for driver in ["overlay", "vfs"] {
                try Host.with(globals: ["--storage-driver", driver]) { host in
                    try Self.image(host)
                    let layout = host.path("layout")
                    try host.ok("push", "-q", "localhost/owners:1", "oci:\(layout):1")
                    let maps = ["--uid-map", "0:100000:65536", "--gid-map", "0:200000:65536"]
                    let (ours, theirs) = (host.path("ours"), host.path("theirs"))
                    try host.ok(list: ["image", "unpack"] + maps + ["localhost/owners:1", ours])
                    let umoci = try ProgramRun.run(
                        ["umoci", "unpack", "--image", "\(layout):1"] + maps + [theirs])
                    try umoci.requireSuccess()
                    #expect(try Self.listing(ours) == Self.listing(theirs), "\(driver)")
                    for member in ["uidMappings", "gidMappings"] {
                        #expect(
                            try Self.config(ours)["linux"]?[member] == Self.config(theirs)["linux"]?[member])
                    }
                    #expect(
                        try Self.config(ours)["linux"]?["namespaces"]?.array?.last?["type"]?.string == "user")

                    // Nothing has changed, and then what belongs to others has.
                    let made = try host.ok("image", "repack", "localhost/same:1", ours)
                    #expect(try Self.layers("localhost/same:1", host) == 2, "\(made)")
                    try ProgramRun.tool(
                        "sh", "-ec",
                        "cd \(ours)/rootfs; echo more >> sub/own; setcap cap_net_raw+ep sub/own; echo new > new; chown 100012:200013 new"
                    )
                    try host.ok("image", "repack", "localhost/owners:2", ours)
                    try host.ok("image", "unpack", "localhost/owners:2", host.path("plain"))
                    let plain = try Self.listing(host.path("plain"))
                    #expect(plain.contains("./sub/own f 644 992 123 "), "\(plain)")
                    #expect(plain.contains("./new f 644 12 13 "))
                    #expect(plain.contains("./both f 4755 98 99 ") && plain.contains("./soft l 777 5 6 both"))
                    try ProgramRun.tool("chown", "7:7", "\(ours)/rootfs/new")
                    let refused = try host.apus("image", "repack", "localhost/owners:3", ours)
                    #expect(refused.exit == 125 && refused.errorText.contains("7:7"), "\(refused)")
                }
            }
        }

        @Test(.needs("umoci", "getfattr", "setcap")) func rootlessAsUmociDoes() throws {
            try Host.with { host in
                try Self.image(host)
                let layout = host.path("layout")
                try host.ok("push", "-q", "localhost/owners:1", "oci:\(layout):1")
                let (ours, theirs) = (host.path("ours"), host.path("theirs"))
                let maps = ["--rootless", "--uid-map", "0:1234:1", "--gid-map", "0:1235:1"]
                try host.ok(list: ["image", "unpack"] + maps + ["localhost/owners:1", ours])
                let umoci = try ProgramRun.run(
                    ["umoci", "unpack", "--image", "\(layout):1", "--rootless", theirs])
                try umoci.requireSuccess()
                // Root's rootless umoci gives all files to root, whatever it was told.
                let seen = try Self.listing(ours, notes: true)
                #expect(
                    seen.map {
                        $0.split(separator: " 1234 1235 ", omittingEmptySubsequences: false).joined(
                            separator: " 0 0 ")
                    }
                        == (try Self.listing(theirs, notes: true)))
                #expect(seen.contains("./null f 644 1234 1235 "))

                let made = try host.ok("image", "repack", "localhost/same:1", ours)
                #expect(try Self.layers("localhost/same:1", host) == 2, "\(made)")
                try ProgramRun.tool("sh", "-ec", "cd \(ours)/rootfs; echo new > new; echo more >> group")
                try ProgramRun.tool(
                    "setfattr", "-n", "user.rootlesscontainers", "-v", "0x08fb18108e12",
                    "\(ours)/rootfs/both")
                try host.ok("image", "repack", "localhost/owners:2", ours)
                try host.ok("image", "unpack", "localhost/owners:2", host.path("plain"))
                let plain = try Self.listing(host.path("plain"), notes: true)
                #expect(plain.contains("./both f 4755 3195 2318 "), "\(plain)")
                #expect(plain.contains("./new f 644 0 0 ") && plain.contains("./group f 644 0 456 "))
                #expect(plain.contains("./null c 644 0 5 "))
                #expect(!plain.contains { $0.contains("rootlesscontainers") })
            }
        }

        /// A bundle that root made for a user runs for that user.
        @Test(.needs("setpriv")) func rootlessBundlesRun() throws {
            try Host.with { host in
                try host.ok("import", try Fixtures.busyboxTar(), "localhost/base:1")
                let bundle = host.path("bundle")
                let id = RootlessUser.id
                try host.ok(
                    "image", "unpack", "--rootless", "--uid-map", "0:\(id):1", "--gid-map", "0:\(id):1",
                    "localhost/base:1", bundle)
                var config = try Self.config(bundle).object!
                var process = config["process"]!.object!
                process["terminal"] = false
                process["args"] = ["/bin/busybox", "id", "-u"]
                config["process"] = .object(process)
                try host.write(JSON.object(config).text(), to: "bundle/config.json")
                let runtime = host.path("apus-runtime")
                try ProgramRun.tool(
                    "sh", "-ec",
                    "cp \(Programs.runtime) \(runtime); chown -R \(id):\(id) \(bundle)/config.json \(bundle)/apus.json; chown \(id):\(id) \(bundle); mkdir \(host.path("state")); chown \(id):\(id) \(host.path("state"))"
                )
                let ran = try ProgramRun.run([
                    "setpriv", "--reuid", "\(id)", "--regid", "\(id)", "--clear-groups", runtime, "--root",
                    host.path("state"), "run", "--bundle", bundle, "\(host.prefix)b",
                ])
                #expect(ran.text == "0", "\(ran)")
            }
        }

        @Test func whatCannotBeMappedIsRefused() throws {
            try Host.with { host in
                try Self.image(host)
                let bundle = host.path("bundle")
                for (flags, text) in [
                    (["--uid-map", "0:1000:1"], "image's user "), (["--uid-map", "1:1000:5"], "image's 0"),
                    (["--gid-map", "0:0:10", "--gid-map", "5:50:10"], "overlap"),
                    (["--uid-map", "0:1000:10", "--uid-map", "20:1005:10"], "overlap"),
                    (["--uid-map", "0"], "CONTAINER:HOST[:SIZE]"),
                ] {
                    let refused = try host.apus(
                        list: ["image", "unpack"] + flags + ["localhost/owners:1", bundle])
                    #expect(refused.exit == 125 && refused.errorText.contains(text), "\(refused)")
                    #expect(!File.exists(bundle))
                }
            }
        }
    }
}
