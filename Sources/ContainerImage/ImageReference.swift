public import LayerArchive

/// An image's full name: `docker.io/library/debian:12`, `localhost:5000/a/b@sha256:…`.
public struct ImageReference: Hashable, Sendable, CustomStringConvertible {
    /// `host` or `host:port`.
    public var domain: String
    public var path: String
    public var tag: String?
    public var digest: Digest?

    public init(domain: String, path: String, tag: String? = nil, digest: Digest? = nil) {
        self.domain = domain
        self.path = path
        self.tag = tag
        self.digest = digest
        // Docker Hub's own images have no user in their short form.
        if domain == "index.docker.io" { self.domain = "docker.io" }
        if self.domain == "docker.io", !path.contains("/") { self.path = "library/\(path)" }
    }

    /// Reads a name as docker does: without a domain it is Docker Hub's.
    /// A name with neither tag nor digest stays so; see `tagged`.
    public init(parsing text: String) throws(ImageError) {
        let name = try ImageName(parsing: text)
        self = name.qualified(by: name.domain ?? "docker.io")
    }

    /// `docker.io/library/debian`
    public var repository: String { "\(domain)/\(path)" }

    /// With the tag `latest` where there is neither a tag nor a digest.
    public var tagged: ImageReference {
        guard tag == nil, digest == nil else { return self }
        var result = self
        result.tag = "latest"
        return result
    }

    /// What leads to its manifest: the digest, or else the tag
    /// (`<reference>` in the OCI Distribution Specification).
    var manifestReference: String { digest?.description ?? tag ?? "latest" }

    /// The whole name.
    public var canonical: String { repository + suffix }

    /// As docker shows it: without `docker.io/` and `library/`, where it is read as the same without.
    public var familiar: String {
        guard domain == "docker.io" else { return canonical }
        let short = (path.hasPrefix("library/") ? String(path.dropFirst(8)) : path) + suffix
        return (try? ImageReference(parsing: short)) == self ? short : canonical
    }

    public var description: String { canonical }

    private var suffix: String {
        (tag.map { ":\($0)" } ?? "") + (digest.map { "@\($0)" } ?? "")
    }
}
