import JSONText
import LinuxSystem
import Testing

extension EndToEnd {
    /// The default bridge, published ports, host and none.
    @Suite struct NetworkTests {
        static func get(_ url: String) -> String? {
            guard
                let finished = try? ProgramRun.run([
                    "curl", "-sS", "--max-time", "5", "--retry", "10", "--retry-connrefused", "--retry-delay",
                    "0", "--retry-max-time", "5", url,
                ]),
                finished.exit == 0
            else { return nil }
            return finished.text
        }

        static func address(_ host: Host, _ id: String) throws -> String {
            let own = try host.ok("inspect", "--format", "{{.NetworkSettings.IPAddress}}", id)
            return own
        }

        /// Asks for the page from inside (a static busybox's wget crashes where it looks up a service's name).
        static func request(_ address: String, _ port: UInt16) -> String {
            "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 \(address) \(port)"
        }

        static let server = "mkdir -p /www && echo page > /www/index.html && exec httpd -f -p 80 -h /www"

        @Test func addressRouteAndFiles() throws {
            try Host.with { host in
                let image = try host.busybox()
                let id = try host.detached("--hostname", "box", image, "sleep", "1000")
                let address = try Self.address(host, id)
                #expect(address.split(separator: ".").count == 4)
                let shown = try host.ok(
                    "exec", id, "sh", "-c",
                    "ip -4 -o addr show eth0; ip route; cat /etc/hosts; cat /etc/hostname; echo; cat /etc/resolv.conf; ip link show lo"
                )
                #expect(shown.contains("inet \(address)/"))
                #expect(shown.contains("default via "))
                #expect(shown.split(separator: "\n").contains { $0.hasPrefix(address) && $0.contains("box") })
                #expect(shown.contains("127.0.0.1") && shown.contains("localhost"))
                #expect(shown.contains("\nbox\n"))
                #expect(shown.contains("LOOPBACK,UP"))
                // To the host and back, and from container to container.
                if let ping = Programs.find("ping") {
                    #expect(try ProgramRun.run([ping, "-c", "1", "-W", "2", address]).exit == 0)
                }
                let second = try host.apus("run", "--rm", image, "ping", "-c", "1", "-W", "2", address)
                #expect(second.exit == 0, "\(second)")
            }
        }

        @Test(.needs("curl")) func publishedTCPPorts() throws {
            try Host.with { host in
                let image = try host.busybox()
                let port = try Ports.free()
                let id = try host.detached("-p", "\(port):80", image, "sh", "-c", Self.server)
                #expect(Self.get("http://127.0.0.1:\(port)/") == "page")
                // From another container, by the host's own address on the bridge.
                let gateway = try host.ok(
                    "exec", id, "sh", "-c", "ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p'")
                let other = try host.apus("run", "--rm", image, "sh", "-c", Self.request(gateway, port))
                #expect(other.text.hasSuffix("page"), "\(other)")
                if Programs.peer == nil {
                    // The container itself by its published port.
                    let itself = try host.apus("exec", id, "sh", "-c", Self.request(gateway, port))
                    #expect(itself.text.hasSuffix("page"), "\(itself)")
                }
                #expect(try host.ok("ps", "--format", "{{.Ports}}").contains("\(port)->80/tcp"))
                try host.ok("rm", "-f", "-t", "0", id)
                #expect(!Ports.isOpen(port))
            }
        }

        @Test(.needs("curl")) func oneAddressAndAChosenPort() throws {
            try Host.with { host in
                let image = try host.busybox()
                let port = try Ports.free()
                _ = try host.detached("-p", "127.0.0.1:\(port):80/tcp", image, "sh", "-c", Self.server)
                #expect(Self.get("http://127.0.0.1:\(port)/") == "page")
                let chosen = try host.detached("-p", "80", image, "sh", "-c", Self.server)
                let bindings = try JSON(
                    parsing: try host.ok("inspect", "--format", "{{json .NetworkSettings.Ports}}", chosen))
                let number = try #require(bindings["80/tcp"]?.array?.first?["HostPort"]?.string)
                #expect(Self.get("http://127.0.0.1:\(number)/") == "page")
            }
        }

        @Test(.needs("socat")) func publishedUDPPorts() throws {
            try Host.with { host in
                let port = try Ports.free()
                // Busybox serves no UDP: the host's socat does, with the host's libraries.
                let id = try host.detached(
                    "-p", "\(port):5353/udp", "-v", "/usr:/usr:ro", try host.busybox(), "sh", "-c",
                    "ln -s usr/lib /lib; ln -s usr/lib64 /lib64; echo up; exec /usr/bin/socat UDP-LISTEN:5353,fork EXEC:/bin/cat"
                )
                try host.eventually("the server is up") { try host.ok("logs", id) == "up" }
                try host.eventually("an answer by UDP") {
                    try ProgramRun.run(["bash", "-c", "echo ping | socat -t 1 - UDP:127.0.0.1:\(port)"]).text
                        == "ping"
                }
            }
        }

        @Test func aPortInUseIsRefused() throws {
            try Host.with { host in
                let image = try host.busybox()
                let port = try Ports.free()
                _ = try host.detached("-p", "\(port):80", image, "sh", "-c", Self.server)
                let second = try host.apus(
                    "run", "-d", "--name", "\(host.prefix)-second", "-p", "\(port):80", image, "sleep", "1000"
                )
                #expect((125...126).contains(second.exit))
                #expect(second.errorText.contains("\(port)") && second.errorText.contains("in use"))
                #expect(try host.ok("ps", "-q").split(separator: "\n").count == 1)
                // A listener of the host's own counts too.
                let own = try Ports.free()
                let listener = try ProgramRun(["socat", "TCP-LISTEN:\(own),fork,bind=127.0.0.1", "/dev/null"])
                defer { listener.send(SIGKILL) }
                try host.eventually("the listener is up") { Ports.isOpen(own) }
                let third = try host.apus("run", "-d", "-p", "\(own):80", image, "sleep", "1000")
                #expect((125...126).contains(third.exit), "\(third)")
                #expect(third.errorText.contains("\(own)"))
            }
        }

        @Test func noneAndHost() throws {
            try Host.with { host in
                let image = try host.busybox()
                #expect(
                    try host.ok("run", "--rm", "--network", "none", image, "sh", "-c", "ls /sys/class/net")
                        .fields.filter { $0 == "lo" || $0 == "eth0" } == ["lo"])
                let inside = try host.ok(
                    "run", "--rm", "--network", "host", image, "readlink", "/proc/self/ns/net")
                #expect(inside == (try File.readLink("/proc/self/ns/net")))
                #expect(
                    try host.apus("run", "--rm", "--network", "no-such-network", image, "true").exit == 125)
            }
        }

        @Test func portsThatANetworkModeDiscards() throws {
            try Host.with { host in
                let image = try host.busybox()
                for mode in ["none", "host"] {
                    let run = try host.apus(
                        "run", "--rm", "--network", mode, "-p", "\(try Ports.free()):80", image, "true")
                    #expect(run.exit == 0, "\(run)")
                    #expect(run.errorText.lowercased().contains("discarded"), "\(run)")
                }
            }
        }

        @Test(.ours) func everythingGoesWithTheContainer() throws {
            try Host.with { host in
                let before = Kernel.census()
                let rules = try ProgramRun.tool("nft", "list", "ruleset")
                let port = try Ports.free()
                let id = try host.detached("-p", "\(port):80", try host.busybox(), "sleep", "1000")
                #expect(!Kernel.census().newer(than: before).isEmpty)
                try host.ok("stop", "-t", "0", id)
                try host.eventually("the network goes with the process") {
                    Kernel.census().links == before.links
                }
                try host.ok("start", id)
                try host.ok("rm", "-f", "-t", "0", id)
                try host.eventually("nothing is left") { Kernel.census().newer(than: before).isEmpty }
                let after = try ProgramRun.tool("nft", "list", "ruleset")
                #expect(!after.contains("\(port)"))
                // The table of the default bridge may have come into being; nothing of the container is in it.
                #expect(after.count <= rules.count + 4000)
            }
        }

        @Test func containersHaveAddressesOfTheirOwn() throws {
            try Host.with { host in
                let image = try host.busybox()
                var addresses: Set<String> = []
                for _ in 0..<5 {
                    addresses.insert(try Self.address(host, try host.detached(image, "sleep", "1000")))
                }
                #expect(addresses.count == 5)
            }
        }
    }
}
