import ContainerNetwork
import LinuxSystem
import Testing

@Suite(.serialized) struct BridgeNetworkTests {
    @Test func connectsAndDisconnects() throws {
        let test = TestNetwork(subnet: "10.201.1.0/24")
        var container: TestContainer? = try TestContainer()
        let attachment = try container!.attach("one", to: test)
        #expect(attachment.address.description == "10.201.1.2")
        #expect(attachment.gateway.description == "10.201.1.1")
        #expect(shell("ip -o link show \(attachment.hostInterface)").contains("master \(test.bridge)"))

        let inside = container!.run("ip -o addr; ip route; ip link")
        #expect(inside.contains("inet 10.201.1.2/24 brd 10.201.1.255"))
        #expect(inside.contains("inet 127.0.0.1/8"))
        #expect(inside.contains("default via 10.201.1.1 dev eth0"))
        #expect(inside.contains(attachment.hardwareAddress.description))
        #expect(container!.run("busybox ping -c1 -W2 10.201.1.1").contains(" 0% packet loss"))

        try test.network.tearDown(containerID: "one")
        try test.network.tearDown(containerID: "one")
        #expect(try test.network.leases().isEmpty)
        container = nil
        #expect(eventually { !shell("ip -o link").contains(attachment.hostInterface) })
    }

    @Test func reachesContainersAndPorts() throws {
        let test = TestNetwork(subnet: "10.201.2.0/24")
        let one = try TestContainer()
        let two = try TestContainer()
        _ = try one.attach("one", to: test, "18080:80", "18053:53/udp")
        let second = try two.attach("two", to: test, "127.0.0.1:18081:80")
        let web = one.serve("TCP", port: 80, answer: "web-one")
        let dns = one.serve("UDP", port: 53, answer: "dns-one")
        let other = two.serve("TCP", port: 80, answer: "web-two")
        let own = "192.0.2.2"
        let host = shell("ip -4 -o addr show scope global").contains(own) ? own : "10.201.2.1"

        #expect(tcp("127.0.0.1", 18080) == "web-one\n")
        #expect(tcp("127.0.0.2", 18080) == "web-one\n")
        #expect(tcp(host, 18080) == "web-one\n")
        #expect(udp("127.0.0.1", 18053) == "dns-one\n")
        #expect(udp(host, 18053) == "dns-one\n")
        #expect(tcp("127.0.0.1", 18081) == "web-two\n")
        #expect(tcp(host, 18081, patience: 1) == "")
        // From container to container: directly, and by the host's addresses.
        #expect(tcp(second.address.description, 80, in: one) == "web-two\n")
        #expect(tcp(host, 18080, in: two) == "web-one\n")
        #expect(tcp("10.201.2.1", 18080, in: two) == "web-one\n")
        #expect(udp(host, 18053, in: two) == "dns-one\n")
        // To itself by the host's address.
        #expect(tcp(host, 18080, in: one) == "web-one\n")
        // The host's loopback stays out of reach.
        #expect(tcp(host, 18081, in: one, patience: 1) == "")
        let secret = Server(
            "exec socat -t5 TCP-LISTEN:18082,bind=127.0.0.1,fork,reuseaddr SYSTEM:'read line; echo secret'",
            ready: { shell("ss -lnt").contains(":18082 ") })
        #expect(tcp("127.0.0.1", 18082) == "secret\n")
        _ = two.run(
            "ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.1 via 10.201.2.1; sysctl -qw net.ipv4.conf.all.route_localnet=1"
        )
        #expect(tcp("127.0.0.1", 18082, in: two, patience: 1) == "")

        try test.network.tearDown(containerID: "one")
        #expect(tcp("127.0.0.1", 18081) == "web-two\n")
        #expect(!test.ruleset.contains("18080"))
        withExtendedLifetime((web, dns, other, secret)) {}
    }

    /// With bridge-nf-call-iptables=1, as here perhaps, a bridge passes answers through the
    /// firewall; without it they come back only because the sender seems to be the host.
    @Test(arguments: [0, 1]) func reachesByHostWhateverTheBridgeFilters(_ filter: Int) throws {
        let host = try TestContainer()
        _ = host.run("ip link set lo up; sysctl -qw net.bridge.bridge-nf-call-iptables=\(filter)")
        let test = TestNetwork(subnet: "10.201.14.0/24", inside: host)
        let one = try TestContainer()
        let two = try TestContainer()
        _ = try one.attach("one", to: test, "18085:80")
        _ = try two.attach("two", to: test)
        let server = one.serve("TCP", port: 80, answer: "one")
        #expect(tcp("127.0.0.1", 18085, in: host) == "one\n")
        #expect(tcp("10.201.14.1", 18085, in: two) == "one\n")
        #expect(tcp("10.201.14.1", 18085, in: one) == "one\n")
        withExtendedLifetime(server) {}
    }

    @Test func reachesFromAnotherHost() throws {
        let test = TestNetwork(subnet: "10.201.3.0/24")
        let container = try TestContainer()
        let attachment = try container.attach("one", to: test, "18090:80", "127.0.0.1:18091:80")
        let server = container.serve("TCP", port: 80, answer: "hello")
        let neighbour = try TestContainer()
        let far = "apn\(test.tag)"
        shell("ip link add \(far) type veth peer name eth9 netns /proc/\(getpid())/fd/\(neighbour.namespace)")
        shell("ip addr add 198.51.100.1/24 dev \(far); ip link set \(far) up")
        defer { shell("ip link del \(far)") }
        _ = neighbour.run("ip addr add 198.51.100.2/24 dev eth9; ip link set eth9 up; ip link set lo up")
        #expect(tcp("198.51.100.1", 18090, in: neighbour) == "hello\n")
        #expect(tcp("198.51.100.1", 18091, in: neighbour, patience: 1) == "")
        // Neither by a route to the containers, nor by a forged loopback address.
        _ = neighbour.run("ip route add 10.201.3.0/24 via 198.51.100.1")
        #expect(tcp(attachment.address.description, 80, in: neighbour, patience: 1) == "")
        _ = neighbour.run(
            "ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.1 via 198.51.100.1; sysctl -qw net.ipv4.conf.all.route_localnet=1"
        )
        #expect(tcp("127.0.0.1", 18091, in: neighbour, patience: 1) == "")

        // Outward, with the host's address.
        let outside = Server(
            "exec nsenter --net=/proc/\(getpid())/fd/\(neighbour.namespace) socat -t5 "
                + "TCP-LISTEN:7000,fork,reuseaddr SYSTEM:'read line; echo $SOCAT_PEERADDR'",
            ready: { neighbour.run("ss -lnt").contains(":7000 ") })
        #expect(tcp("198.51.100.2", 7000, in: container) == "198.51.100.1\n")
        withExtendedLifetime((server, outside)) {}
    }

    @Test func refusesPortInUse() throws {
        let test = TestNetwork(subnet: "10.201.4.0/24")
        let one = try TestContainer()
        let two = try TestContainer()
        let first = try one.attach("one", to: test, "18100-18102:80-82")
        do {
            _ = try two.attach("two", to: test, "18099:99", "18101:81")
            Issue.record("a port in use was published")
        } catch let error as NetworkError {
            #expect(error.code == .portInUse)
            #expect(error.description == "host port 0.0.0.0:18101/tcp is in use already")
        }
        #expect(try test.network.leases().map(\.containerID) == ["one"])
        #expect(!two.run("ip link").contains("eth0"))
        #expect(!test.ruleset.contains("18099"))
        // The same number for another protocol is free, and so is the port after the first has gone.
        _ = try two.attach("two", to: test, "18101:81/udp")
        try test.network.tearDown(containerID: "two")
        withExtendedLifetime(first) {}
    }

    @Test func choosesPorts() throws {
        let test = TestNetwork(subnet: "10.201.5.0/24")
        let container = try TestContainer()
        let attachment = try container.attach("one", to: test, "80", "18110-18112:90", "127.0.0.1::53/udp")
        #expect(attachment.ports.count == 3)
        #expect(attachment.ports[0].hostPort! >= 1024)
        #expect(attachment.ports[1].hostPort == 18110)
        #expect(attachment.ports[2].hostPort! >= 1024)
        let two = try TestContainer()
        let second = try two.attach("two", to: test, "18110-18112:90")
        #expect(second.ports[0].hostPort == 18111)
    }

    /// A container that died without tearDown must not keep its port, nor hand it on.
    @Test func recoversFromCrashes() throws {
        let test = TestNetwork(subnet: "10.201.6.0/29")
        var dead: TestContainer? = try TestContainer()
        var attachment: NetworkAttachment? = try dead!.attach("dead", to: test, "18120:80", "18121:81/udp")
        let interface = attachment!.hostInterface
        dead = nil
        attachment = nil
        #expect(eventually { !shell("ip -o link").contains(interface) })
        #expect(test.ruleset.contains("18120"))
        let next = try TestContainer()
        let again = try next.attach("next", to: test, "18120:80")
        #expect(try test.network.leases().map(\.containerID) == ["next"])
        let server = next.serve("TCP", port: 80, answer: "next")
        #expect(tcp("127.0.0.1", 18120) == "next\n")
        #expect(!test.ruleset.contains("18121"))
        // A late tearDown of the dead one does not touch its heir.
        try test.network.tearDown(containerID: "dead")
        #expect(test.ruleset.contains("18120"))
        withExtendedLifetime((again, server)) {}
    }

    /// A container whose monitor was killed has lost its sockets, but it runs and has the port.
    @Test func refusesPortOfOrphan() throws {
        let test = TestNetwork(subnet: "10.201.15.0/24")
        let orphan = try TestContainer()
        _ = try orphan.attach("orphan", to: test, "18125:80")
        let other = try TestContainer()
        do {
            _ = try other.attach("other", to: test, "18125:80")
            Issue.record("a port in use was published")
        } catch let error as NetworkError {
            #expect(error.code == .portInUse)
            #expect(
                error.description
                    == "host port 0.0.0.0:18125/tcp is in use already: it leads to container orphan")
        }
        #expect(try test.network.leases().map(\.containerID) == ["orphan"])
        #expect(test.ruleset.contains("18125 : 10.201.15.2 . 80"))
        try test.network.tearDown(containerID: "orphan")
        _ = try other.attach("other", to: test, "18125:80")
    }

    @Test func sweepsPartialRecords() throws {
        let test = TestNetwork(subnet: "10.201.16.0/24")
        let container = try TestContainer()
        _ = try container.attach("one", to: test)
        let partial = "\(test.directory)/test/leases/two.1-1.tmp"
        shell("echo '{' > \(partial)")
        #expect(try test.network.leases().count == 1)
        #expect(try test.network.sweep() == 0)
        #expect(!File.exists(partial))
        #expect(try test.network.leases().count == 1)
    }

    @Test func addressReuseClosesOldPorts() throws {
        let test = TestNetwork(subnet: "10.201.7.0/29")
        var dead: TestContainer? = try TestContainer()
        let address: IPv4Address
        do {
            let attachment = try dead!.attach("dead", to: test, "18130:80")
            address = attachment.address
            dead = nil
            #expect(eventually { !shell("ip -o link").contains(attachment.hostInterface) })
        }
        var living: [TestContainer] = []
        for number in 0..<5 {
            let container = try TestContainer()
            let attachment = try container.attach("c\(number)", to: test)
            living.append(container)
            if attachment.address == address { break }
        }
        #expect(try test.network.leases().contains { $0.address == address })
        #expect(!test.ruleset.contains("18130"))
        #expect(living.count == 5)
        // Five addresses beside the gateway's, and all are taken.
        let sixth = try TestContainer()
        #expect(throws: NetworkError.self) { try sixth.attach("sixth", to: test) }
        #expect(!sixth.run("ip link").contains("eth0"))
    }

    @Test func sweeps() throws {
        let test = TestNetwork(subnet: "10.201.8.0/24")
        let living = try TestContainer()
        let attachment = try living.attach("living", to: test, "18140:80")
        for number in 0..<3 {
            let container = try TestContainer()
            _ = try container.attach("dead\(number)", to: test, "\(18141 + number):80")
        }
        #expect(eventually { !shell("ip -o link").contains("apus0ac90803") })
        #expect(eventually { (try? test.network.sweep()) != nil && (try? test.network.leases().count) == 1 })
        #expect(test.ruleset.contains("18140"))
        for port in 18141...18143 { #expect(!test.ruleset.contains("\(port)")) }
        #expect(try test.network.sweep() == 0)
        withExtendedLifetime(attachment) {}
    }

    /// `ip netns exec … apus`, and services with networks of their own, see none of the host's
    /// interfaces.
    @Test func sweepsOnlyWhatItCouldSee() throws {
        let test = TestNetwork(subnet: "10.201.17.0/24")
        let living = try TestContainer()
        let attachment = try living.attach("living", to: test, "18180:80")
        let elsewhere = try TestContainer()
        try NetworkNamespace.inside(elsewhere.namespace) { () throws(SystemError) in
            #expect((try? test.network.sweep()) == 0)
        }
        #expect(try test.network.leases().map(\.containerID) == ["living"])
        #expect(test.ruleset.contains("18180"))
        withExtendedLifetime(attachment) {}
    }

    /// What other programs do to the host while containers run is put right by the next set-up.
    @Test func repairs() throws {
        let test = TestNetwork(subnet: "10.201.9.0/24")
        let one = try TestContainer()
        let first = try one.attach("one", to: test, "18150:80")
        let server = one.serve("TCP", port: 80, answer: "one")
        shell("nft delete table ip \(test.network.configuration.table)")
        #expect(tcp("127.0.0.1", 18150, patience: 1) == "")
        shell("ip link set \(test.bridge) down")
        let two = try TestContainer()
        let second = try two.attach("two", to: test, "18151:80")
        #expect(tcp("127.0.0.1", 18150) == "one\n")
        #expect(test.ruleset.contains("18151"))
        withExtendedLifetime((first, second, server)) {}
    }

    /// A flow that began before the port was published, or under its last owner, follows the new one.
    @Test func datagramFlowsFollow() throws {
        let test = TestNetwork(subnet: "10.201.13.0/24")
        let neighbour = try TestContainer()
        let far = "apf\(test.tag)"
        shell("ip link add \(far) type veth peer name eth9 netns /proc/\(getpid())/fd/\(neighbour.namespace)")
        shell("ip addr add 198.51.100.1/24 dev \(far); ip link set \(far) up")
        defer { shell("ip link del \(far)") }
        _ = neighbour.run("ip addr add 198.51.100.2/24 dev eth9; ip link set eth9 up")
        // Tracking needs a rule that asks for it: the table of another container.
        let idle = try TestContainer()
        let first = try idle.attach("idle", to: test, "18170:1")
        func send() -> String {
            neighbour.run("echo x | socat -t3 -T3 - UDP:198.51.100.1:18171,sourceport=5000 2>/dev/null")
        }
        #expect(send() == "")
        for round in ["one", "two"] {
            let container = try TestContainer()
            let attachment = try container.attach(round, to: test, "18171:53/udp")
            let server = container.serve("UDP", port: 53, answer: round)
            #expect(send() == "\(round)\n")
            try test.network.tearDown(containerID: round)
            withExtendedLifetime((attachment, server)) {}
        }
        withExtendedLifetime(first) {}
    }

    @Test func refusesBadNames() throws {
        let test = TestNetwork(subnet: "10.201.10.0/24")
        let container = try TestContainer()
        for name in ["", "a/b", "..", ".x", "x.tmp", "a b"] {
            #expect(throws: NetworkError.self) { try container.attach(name, to: test) }
        }
        #expect(!shell("ip -o link").contains(test.bridge))
    }

    @Test func failsCleanlyWhenInterfaceExists() throws {
        let test = TestNetwork(subnet: "10.201.11.0/24")
        let container = try TestContainer()
        _ = try container.attach("one", to: test)
        let before = shell("ip -o link | wc -l")
        #expect(throws: NetworkError.self) { try container.attach("two", to: test, "18160:80") }
        #expect(shell("ip -o link | wc -l") == before)
        #expect(!test.ruleset.contains("18160"))
        #expect(try test.network.leases().map(\.containerID) == ["one"])
    }

    @Test func setsUpManyAtOnce() throws {
        let test = TestNetwork(subnet: "10.201.12.0/24")
        let containers = try (0..<32).map { _ in try TestContainer() }
        let results = Results()
        let threads = containers.enumerated().map { number, container in
            Thread {
                do {
                    results.add(
                        try container.attach("c\(number)", to: test, "\(18200 + number):80", "80/udp"))
                } catch {
                    results.fail("\(error)")
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(results.failures == [])
        #expect(Set(results.attachments.map(\.address)).count == 32)
        #expect(try test.network.leases().count == 32)
        #expect(test.ruleset.split(separator: "10.201.12.").count >= 64)
        let removers = (0..<32).map { number in
            Thread {
                do { try test.network.tearDown(containerID: "c\(number)") } catch { results.fail("\(error)") }
            }
        }
        for thread in removers { thread.join() }
        #expect(results.failures == [])
        #expect(try test.network.leases().isEmpty)
        #expect(!test.ruleset.contains("elements"))
    }
}

func eventually(_ condition: () -> Bool) -> Bool {
    for _ in 0..<500 {
        if condition() { return true }
        usleep(10_000)
    }
    return false
}

/// - Parameter patience: seconds to connect in: few where no answer is expected, and enough for a
///   busy machine where one is.
func tcp(
    _ address: String, _ port: Int, in container: TestContainer? = nil, patience: Int = 10
) -> String {
    let command =
        "(echo x) 2>/dev/null | socat -t10 -T10 - TCP:\(address):\(port),connect-timeout=\(patience) 2>/dev/null"
    return container?.run(command) ?? shell(command)
}

func udp(_ address: String, _ port: Int, in container: TestContainer? = nil) -> String {
    let command = "(echo x) 2>/dev/null | socat -t2 -T2 - UDP:\(address):\(port) 2>/dev/null"
    return container?.run(command) ?? shell(command)
}
