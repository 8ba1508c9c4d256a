import LinuxSystem
import Testing

@testable import ContainerNetwork

@Suite struct HostFilesTests {
    @Test func hosts() throws {
        let text = HostFiles.hosts(
            address: IPv4Address("10.89.0.2"), gateway: IPv4Address("10.89.0.1"),
            names: ["web", "web", "box"],
            extra: [
                try HostFiles.Entry(parsing: "db:192.0.2.7"), try HostFiles.Entry(parsing: "up=host-gateway"),
                try HostFiles.Entry(parsing: "six:[2001:db8::1]"),
            ])
        let lines = text.split(separator: "\n").map(String.init)
        #expect(lines.starts(with: ["192.0.2.7\tdb", "10.89.0.1\tup", "2001:db8::1\tsix"]))
        #expect(lines.contains("127.0.0.1\tlocalhost"))
        #expect(lines.contains("10.89.0.2\tweb box"))
        #expect(lines.contains("10.89.0.1\thost.containers.internal host.docker.internal"))
        #expect(text.hasSuffix("\n"))
    }

    @Test func hostsWithoutNetwork() {
        let text = HostFiles.hosts(address: nil, gateway: nil, names: ["box"])
        #expect(text.contains("127.0.1.1\tbox\n"))
        #expect(!text.contains("internal"))
    }

    @Test func hostsOfHost() throws {
        let entry = try HostFiles.Entry(parsing: "a:1.2.3.4")
        #expect(
            HostFiles.hosts(host: "127.0.0.1 localhost", extra: [entry])
                == "1.2.3.4\ta\n127.0.0.1 localhost\n")
    }

    @Test(arguments: [
        "", "a", "a:", ":1.2.3.4", "a b:1.2.3.4", "a:1.2.3", "a\nb:1.2.3.4", "a:1.2.3.4\n", "a:::::",
    ])
    func refusesEntry(_ text: String) {
        #expect(throws: NetworkError.self) { try HostFiles.Entry(parsing: text) }
    }

    @Test func resolver() {
        let host = ResolverConfiguration(
            parsing:
                "# x\ndomain old\nsearch a.example b.example ; note\nnameserver 127.0.0.53\nnameserver 192.0.2.53\noptions ndots:2\n"
        )
        #expect(host.nameservers == ["127.0.0.53", "192.0.2.53"])
        let none = ResolverConfiguration()
        #expect(
            ResolverConfiguration.forContainer(host: host, sharesHostNetwork: false, requested: none).text
                == "search a.example b.example\nnameserver 192.0.2.53\noptions ndots:2\n")
        #expect(
            ResolverConfiguration.forContainer(host: host, sharesHostNetwork: true, requested: none) == host)
        let local = ResolverConfiguration(nameservers: ["127.0.0.1", "::1"])
        #expect(
            ResolverConfiguration.forContainer(host: local, sharesHostNetwork: false, requested: none)
                .nameservers
                == ["8.8.8.8", "8.8.4.4"])
        let asked = ResolverConfiguration(nameservers: ["192.0.2.1"], search: ["."], options: ["ndots:1"])
        #expect(
            ResolverConfiguration.forContainer(host: host, sharesHostNetwork: false, requested: asked).text
                == "nameserver 192.0.2.1\noptions ndots:1\n")
    }

    @Test func resolverRefuses() {
        for bad in [
            ResolverConfiguration(nameservers: ["x"]),
            ResolverConfiguration(search: ["a\nnameserver 1.2.3.4"]),
            ResolverConfiguration(options: [""]),
        ] {
            #expect(throws: NetworkError.self) { try bad.validate() }
        }
    }

    @Test func subnetChoice() {
        let taken = { (texts: [String]) in
            SubnetChoice.free(among: texts.map { IPv4Subnet($0)! })?.description
        }
        #expect(taken([]) == "10.89.0.0/16")
        #expect(taken(["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1"]) == "10.89.0.0/16")
        #expect(taken(["10.89.3.0/24", "10.90.0.0/15"]) == "10.92.0.0/16")
        #expect(taken(["10.0.0.0/8"]) == "172.18.0.0/16")
        #expect(taken(["10.0.0.0/8", "172.16.0.0/12"]) == "192.168.100.0/24")
        // Everything private lies in a VPN: a part of it is taken all the same.
        #expect(taken(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]) == "10.89.0.0/16")
        #expect(taken(["10.0.0.0/8", "10.89.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]) == "10.90.0.0/16")
        #expect(
            taken(["10.0.0.0/9", "10.128.0.0/9"] + (16...31).map { "172.\($0).0.0/16" } + ["192.168.0.0/16"])
                == "10.89.0.0/16")
    }
}
