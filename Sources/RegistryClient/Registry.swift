/// A registry's address and how far to trust it.
public struct Registry: Hashable, Sendable, CustomStringConvertible {
    /// `host` or `host:port`, as references have it.
    public var host: String
    /// Certificates are not verified, and plain HTTP will do.
    public var insecure: Bool

    public init(host: String, insecure: Bool = false) {
        self.host = host
        self.insecure = insecure
    }

    public var description: String { host }

    /// Docker Hub serves its API under another name.
    var apiHost: String { host == "docker.io" || host == "index.docker.io" ? "registry-1.docker.io" : host }

    /// `localhost`, 127.0.0.0/8 or ::1: as Docker does, plain HTTP is accepted
    /// from what never leaves the machine.
    public var isLoopback: Bool {
        if host == "[::1]" || host.hasPrefix("[::1]:") { return true }
        let name = host.prefix { $0 != ":" }
        if name == "localhost" { return true }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}

/// A repository in a registry: `library/debian` in `docker.io`.
public struct Repository: Hashable, Sendable, CustomStringConvertible {
    public var registry: Registry
    public var name: String

    public init(registry: Registry, name: String) {
        self.registry = registry
        self.name = name
    }

    public var description: String { "\(registry.host)/\(name)" }
}
