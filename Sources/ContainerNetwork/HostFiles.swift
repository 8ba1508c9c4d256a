public import LinuxSystem

/// The contents of the files that tell a container its name and others' names.
public enum HostFiles {
    /// A line for /etc/hosts that the user asked for.
    public struct Entry: Sendable, Equatable {
        public enum Address: Sendable, Equatable {
            case literal(String)
            /// The host, as the container sees it.
            case hostGateway
        }
        public var name: String
        public var address: Address

        public init(name: String, address: Address) {
            self.name = name
            self.address = address
        }

        /// The value of `--add-host`: `NAME:ADDRESS` or `NAME=ADDRESS`; the address may be
        /// IPv6, in brackets or not, or `host-gateway`.
        public init(parsing text: String) throws(NetworkError) {
            func invalid(_ reason: String) -> NetworkError {
                NetworkError(.invalidArgument, "invalid host entry \"\(text)\": \(reason)")
            }
            guard let separator = text.firstIndex(where: { $0 == ":" || $0 == "=" }) else {
                throw invalid("expected NAME:ADDRESS")
            }
            let name = String(text[..<separator])
            var address = String(text[text.index(after: separator)...])
            guard HostFiles.isName(name) else { throw invalid("\"\(name)\" is no host name") }
            self.name = name
            if address == "host-gateway" {
                self.address = .hostGateway
                return
            }
            if address.hasPrefix("["), address.hasSuffix("]") {
                address = String(address.dropFirst().dropLast())
            }
            guard HostFiles.isAddress(address) else { throw invalid("\"\(address)\" is no IP address") }
            self.address = .literal(address)
        }
    }

    /// /etc/hostname.
    public static func hostname(_ name: String) -> String { name + "\n" }

    /// /etc/hosts of a container with a network of its own.
    /// - Parameters:
    ///   - address: its own address; nil with `--network none`.
    ///   - gateway: the host's address in its network, which gets the usual names.
    ///   - names: what it is called by, its host name first.
    public static func hosts(
        address: IPv4Address?, gateway: IPv4Address?, names: [String], extra: [Entry] = []
    ) -> String {
        var text = entries(extra, gateway: gateway)
        text += """
            127.0.0.1\tlocalhost
            ::1\tlocalhost ip6-localhost ip6-loopback
            fe00::0\tip6-localnet
            ff00::0\tip6-mcastprefix
            ff02::1\tip6-allnodes
            ff02::2\tip6-allrouters

            """
        let names = unique(names.filter(isName))
        if !names.isEmpty {
            // Without an address of its own it is still to find itself.
            text += "\(address?.description ?? "127.0.1.1")\t\(names.joined(separator: " "))\n"
        }
        if let gateway { text += "\(gateway)\thost.containers.internal host.docker.internal\n" }
        return text
    }

    /// /etc/hosts of a container in the host's network: the host's own and the extra lines.
    public static func hosts(host: String, extra: [Entry]) -> String {
        entries(extra, gateway: IPv4Address(127, 0, 0, 1)) + host
            + (host.hasSuffix("\n") || host.isEmpty ? "" : "\n")
    }

    /// The user's lines come first: the first line that has a name counts (hosts(5)).
    private static func entries(_ entries: [Entry], gateway: IPv4Address?) -> String {
        var text = ""
        for entry in entries {
            switch entry.address {
            case .literal(let address): text += "\(address)\t\(entry.name)\n"
            case .hostGateway: if let gateway { text += "\(gateway)\t\(entry.name)\n" }
            }
        }
        return text
    }

    private static func unique(_ names: [String]) -> [String] {
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }
    }

    /// Nothing that would break a line of the file.
    static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 253
            && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x23 }
    }

    /// An address literal of either family.
    static func isAddress(_ text: String) -> Bool {
        if IPv4Address(text) != nil { return true }
        // A zone (fe80::1%eth0) is inet_pton's business no more than ours.
        let plain = text.prefix { $0 != "%" }
        var bytes = in6_addr()
        return text.utf8.count <= 64 && isName(text) && inet_pton(AF_INET6, String(plain), &bytes) == 1
    }
}
