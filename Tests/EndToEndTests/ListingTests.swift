import Testing

extension EndToEnd {
    /// What scripts read: the filters of `ps`, fields of `inspect` and `version`.
    @Suite struct ListingTests {
        /// The names after the test's prefix that a filter leaves, in order.
        static func names(_ host: Host, _ filter: String) throws -> [String] {
            try host.ok("ps", "-a", "--filter", filter, "--format", "{{.Names}}").split(separator: "\n").map {
                String($0.dropFirst(host.prefix.count + 1))
            }.sorted()
        }

        @Test func namesAreMatchedByRegularExpressions() throws {
            try Host.with { host in
                for name in ["web", "web2", "db"] {
                    try host.ok("create", "--name", "\(host.prefix)-\(name)", try host.busybox())
                }
                #expect(try Self.names(host, "name=^\(host.prefix)-web$") == ["web"])
                #expect(try Self.names(host, "name=^\(host.prefix)-(web|db)$") == ["db", "web"])
                #expect(try Self.names(host, "name=web") == ["web", "web2"])
                #expect(try host.apus("ps", "--filter", "name=[").exit != 0)
                // Docker's names begin with a slash.
                if Programs.peer == nil {
                    #expect(try Self.names(host, "name=^/\(host.prefix)-web$") == ["web"])
                }
            }
        }

        @Test func timesImagesAndStates() throws {
            try Host.with { host in
                let image = try host.busybox()
                for name in ["a", "b", "c"] {
                    try host.ok("create", "--name", "\(host.prefix)-\(name)", image)
                }
                #expect(try Self.names(host, "before=\(host.prefix)-b") == ["a"])
                #expect(try Self.names(host, "since=\(host.prefix)-b") == ["c"])
                #expect(try Self.names(host, "ancestor=localhost/busybox") == ["a", "b", "c"])
                #expect(try Self.names(host, "ancestor=\(image)") == ["a", "b", "c"])
                #expect(try Self.names(host, "ancestor=localhost/busy") == [])
                #expect(try Self.names(host, "status=paused") == [])
                #expect(try host.apus("ps", "--filter", "status=merry").exit != 0)
            }
        }

        @Test(.ours) func portsThatAreExposedAndNotPublished() throws {
            try Host.with { host in
                let port = try Ports.free()
                let id = try host.detached(
                    "--name", "\(host.prefix)-p", "-p", "\(port):80", "--expose", "53/udp",
                    try host.busybox(), "sleep", "1000")
                #expect(try host.ok("ps", "--format", "{{.Ports}}") == "53/udp, 0.0.0.0:\(port)->80/tcp")
                #expect(
                    try host.ok("inspect", "--format", "{{json .NetworkSettings.Ports}}", id)
                        == #"{"53/udp":null,"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"\#(port)"}]}"#)
                #expect(try Self.names(host, "publish=80") == ["p"])
                #expect(try Self.names(host, "publish=53/udp") == [])
                #expect(try Self.names(host, "expose=50-60/udp") == ["p"])
                #expect(try host.ok("port", id) == "80/tcp -> 0.0.0.0:\(port)")
            }
        }

        @Test func sizesAndOrder() throws {
            try Host.with { host in
                let image = try host.busybox()
                for (name, bytes) in [("b", 3000), ("c", 1000), ("a", 2000)] {
                    try host.ok(
                        "run", "--name", "\(host.prefix)-\(name)", "--network", "none", image, "sh", "-c",
                        "head -c \(bytes) /dev/zero > /f")
                }
                func names(_ key: String) throws -> String {
                    try host.ok("ps", "-a", "--sort", key, "--format", "{{.Names}}").split(separator: "\n")
                        .map {
                            String($0.last!)
                        }.joined()
                }
                #expect(try names("names") == "abc")
                #expect(try names("created") == "bca")
                #expect(try names("runningfor") == "bca")
                #expect(try host.apus("ps", "--sort", "beauty").exit != 0)
                guard Programs.peer == nil else { return }
                #expect(try names("size") == "cab")
                let below = try #require(Int(host.ok("image", "inspect", "-f", "{{.Size}}", image)))
                #expect(
                    try host.ok("inspect", "--size", "-f", "{{.SizeRw}} {{.SizeRootFs}}", "\(host.prefix)-a")
                        == "2000 \(below + 2000)")
                #expect(
                    try host.ok("container", "inspect", "-s", "-f", "{{.SizeRw}}", "\(host.prefix)-b")
                        == "3000")
                let listed = try host.ok("ps", "-as", "--sort", "names").split(separator: "\n")
                #expect(listed[0].hasSuffix("SIZE") && listed[1].contains("   2kB (virtual "), "\(listed)")
                #expect(
                    try host.ok("ps", "-a", "--format", "{{.Size}}").split(separator: "\n").allSatisfy {
                        $0.contains("kB (virtual ")
                    })
                #expect(try !host.ok("ps", "-a").contains("SIZE"))
            }
        }

        /// A container's own files, by each driver.
        @Test(.ours) func sizesByDrivers() throws {
            for driver in ["vfs", "erofs"] {
                try Host.with(globals: ["--storage-driver", driver]) { host in
                    guard try StoreTests.canUse(driver, host) else { return }
                    try host.ok(
                        "run", "--name", host.prefix, "--network", "none", try host.busybox(), "sh", "-c",
                        "head -c 1234 /dev/zero > /f; ln /f /g; rm /bin/ash")
                    #expect(
                        try host.ok("inspect", "-s", "-f", "{{.SizeRw}}", host.prefix) == "1234", "\(driver)")
                }
            }
        }

        @Test func imagesInOrder() throws {
            try Host.with { host in
                for (name, text) in [("localhost/b:2", "bb"), ("localhost/a:3", "b"), ("localhost/c:1", "")] {
                    var extra = TarBuilder()
                    extra.add("extra", .file, text)
                    try host.ok(
                        "load",
                        input: .bytes(try ImageBuilder.busybox(adding: extra).dockerArchive(tags: [name])))
                }
                func names(_ key: String) throws -> String {
                    try host.ok("images", "--sort", key, "--format", "{{.Repository}}").split(separator: "\n")
                        .filter { $0.hasPrefix("localhost/") }.map { String($0.last!) }.joined()
                }
                #expect(try names("repository") == "abc")
                #expect(try names("tag") == "cba")
                #expect(try names("size") == "cab")
                #expect(try host.apus("images", "--sort", "beauty").exit != 0)
            }
        }

        @Test func oneLabel() throws {
            try Host.with { host in
                try host.ok(
                    "create", "--label", "com.example.team=a,b", "--name", host.prefix, try host.busybox())
                #expect(
                    try host.ok("ps", "-a", "--format", "{{.Names}} {{.Label \"com.example.team\"}}")
                        == "\(host.prefix) a,b")
            }
        }

        @Test(.ours) func fieldsOfInspectAndVersion() throws {
            try Host.with { host in
                let id = try host.ok(
                    "create", "-m", "64m", "--device", "/dev/null:/dev/nil:r", "--tmpfs", "/t:size=1m",
                    "--oom-score-adj", "7", try host.busybox())
                #expect(
                    try host.ok(
                        "inspect", "--format",
                        "{{.HostConfig.MemorySwap}} {{(index .HostConfig.Devices 0).PathInContainer}} {{json .HostConfig.Tmpfs}} {{.HostConfig.OomScoreAdj}}",
                        id) == #"134217728 /dev/nil {"/t":"size=1m"} 7"#)
                #expect(
                    try host.ok("version", "--format", "{{.Server.Version}}")
                        == (try host.ok("version", "--format", "{{.Client.Version}}")))
            }
        }
    }
}
