internal import LinuxSystem

/// A container's /etc/resolv.conf (resolv.conf(5)).
public struct ResolverConfiguration: Sendable, Equatable {
    public var nameservers: [String] = []
    public var search: [String] = []
    public var options: [String] = []

    public init(nameservers: [String] = [], search: [String] = [], options: [String] = []) {
        self.nameservers = nameservers
        self.search = search
        self.options = options
    }

    public init(parsing text: String) {
        for line in text.split(whereSeparator: { $0 == "\n" || $0 == "\r\n" }) {
            let words = line.prefix { $0 != "#" && $0 != ";" }
                .split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
            guard let keyword = words.first else { continue }
            switch keyword {
            case "nameserver": if words.count > 1 { nameservers.append(words[1]) }
            // Of several lines the last counts, and `domain` is a search list of one.
            case "search", "domain": search = Array(words.dropFirst())
            case "options": options += words.dropFirst()
            default: break
            }
        }
    }

    /// The host's. Where it names systemd-resolved's local stub alone, what lies behind the stub.
    public static func host() -> ResolverConfiguration {
        func read(_ path: String) -> ResolverConfiguration? {
            (try? File.read(path, limit: 1 << 20)).map {
                ResolverConfiguration(parsing: String(decoding: $0, as: UTF8.self))
            }
        }
        let configuration = read("/etc/resolv.conf") ?? ResolverConfiguration()
        if !configuration.nameservers.isEmpty, configuration.nameservers.allSatisfy(isLoopback),
            let behind = read("/run/systemd/resolve/resolv.conf"), !behind.nameservers.isEmpty
        {
            return behind
        }
        return configuration
    }

    /// What a container gets.
    /// - Parameters:
    ///   - host: the host's.
    ///   - sharesHostNetwork: the container sees the host's loopback interface, so that a name
    ///     server there answers it too; else such a one is left out.
    ///   - requested: `--dns`, `--dns-search`, `--dns-option`; each replaces the host's.
    public static func forContainer(
        host: ResolverConfiguration, sharesHostNetwork: Bool, requested: ResolverConfiguration
    ) -> ResolverConfiguration {
        var result = host
        if !sharesHostNetwork {
            result.nameservers.removeAll(where: isLoopback)
            // A host with nothing but a resolver of its own: public ones, as other engines do.
            if result.nameservers.isEmpty, !host.nameservers.isEmpty {
                result.nameservers = ["8.8.8.8", "8.8.4.4"]
            }
        }
        if !requested.nameservers.isEmpty { result.nameservers = requested.nameservers }
        if !requested.search.isEmpty { result.search = requested.search == ["."] ? [] : requested.search }
        if !requested.options.isEmpty { result.options = requested.options }
        return result
    }

    /// Throws when a value would break the file or is no address.
    public func validate() throws(NetworkError) {
        for server in nameservers where !HostFiles.isAddress(server) {
            throw NetworkError(.invalidArgument, "\"\(server)\" is no IP address of a name server")
        }
        for word in search + options where !HostFiles.isName(word) {
            throw NetworkError(.invalidArgument, "\"\(word)\" is no DNS search domain or option")
        }
    }

    /// The file's text.
    public var text: String {
        var text = ""
        if !search.isEmpty { text += "search \(search.joined(separator: " "))\n" }
        for server in nameservers { text += "nameserver \(server)\n" }
        if !options.isEmpty { text += "options \(options.joined(separator: " "))\n" }
        return text
    }

    private static func isLoopback(_ server: String) -> Bool {
        if let address = IPv4Address(server) { return address.isLoopback || address.isAny }
        return server == "::1" || server == "::"
    }
}
