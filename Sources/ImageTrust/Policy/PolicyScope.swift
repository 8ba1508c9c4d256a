/// Where an image comes from, as the scopes of a policy name it (containers-policy.json(5),
/// "Supported transports and their scopes").
public struct PolicyScope: Sendable, Equatable {
    /// `docker`, `oci`, `dir` …
    public let transport: String
    /// The narrowest scope of the image; empty where the transport has none.
    public let identity: String
    /// Wider and wider scopes.
    public let namespaces: [String]

    /// A transport whose images have no scopes of their own.
    public init(transport: String) {
        self.transport = transport
        identity = ""
        namespaces = []
    }

    /// An image in a registry: itself, its repository, each namespace above, the host, and `*.domain`.
    /// One that has a tag and a digest counts by its digest.
    public init(registry reference: DockerReference) {
        transport = "docker"
        if let digest = reference.digest {
            identity = "\(reference.name)@\(digest)"
        } else {
            identity = "\(reference.name):\(reference.tag ?? "latest")"
        }
        var names = [reference.name]
        while let slash = names[names.count - 1].lastIndex(of: "/") {
            names.append(String(names[names.count - 1][..<slash]))
        }
        // A wildcard covers whatever port.
        var host = names[names.count - 1].prefix { $0 != ":" }
        while let dot = host.firstIndex(of: ".") {
            host = host[host.index(after: dot)...]
            names.append("*.\(host)")
        }
        namespaces = names
    }

    /// An image in a directory or a file: `PATH:REFERENCE`, the path, and each directory above but `/`.
    /// - Parameter path: absolute, without links.
    public init(transport: String, path: String, reference: String?) {
        self.transport = transport
        var above: [String] = []
        var rest = path[...]
        while let slash = rest.lastIndex(of: "/"), slash > rest.startIndex {
            rest = rest[..<slash]
            above.append(String(rest))
        }
        if let reference {
            identity = "\(path):\(reference)"
            namespaces = [path] + above
        } else {
            identity = path
            namespaces = above
        }
    }
}
