internal import RegistryClient

extension RegistriesConfig {
    /// What a name may mean, the first first. A name with a domain means one thing.
    /// - Throws: `ambiguousName` when registries.conf does not say.
    public func candidates(for name: ImageName) throws(ImageError) -> [ImageReference] {
        if let domain = name.domain { return [name.qualified(by: domain).tagged] }
        if let alias = aliases[name.path] {
            var reference = try ImageReference(parsing: alias)
            reference.tag = name.tag
            reference.digest = name.digest
            return [reference.tagged]
        }
        guard !searchRegistries.isEmpty else {
            throw ImageError(
                .ambiguousName, "resolve the short name \"\(name.path)\"",
                "it is no alias, and \(path) names no unqualified-search-registries: give the full name, "
                    + "as in docker.io/library/\(name.path)")
        }
        if shortNameMode == .enforcing, searchRegistries.count > 1 {
            throw ImageError(
                .ambiguousName, "resolve the short name \"\(name.path)\"",
                "it could come from any of \(searchRegistries.joined(separator: ", ")), and short-name-mode is "
                    + "enforcing in \(path): give the full name")
        }
        return searchRegistries.map { name.qualified(by: $0).tagged }
    }

    /// Under which full names a typed name may stand in the local store, the
    /// likeliest first: `localhost/` is what was made here (as podman has it).
    public func localCandidates(for name: ImageName) -> [ImageReference] {
        if let domain = name.domain { return [name.qualified(by: domain).tagged] }
        var found = [name.qualified(by: "localhost").tagged]
        if let alias = aliases[name.path], var reference = try? ImageReference(parsing: alias) {
            reference.tag = name.tag
            reference.digest = name.digest
            found.append(reference.tagged)
        }
        for registry in searchRegistries + ["docker.io"] {
            let reference = name.qualified(by: registry).tagged
            if !found.contains(reference) { found.append(reference) }
        }
        return found
    }

    /// A repository to ask for an image.
    struct Endpoint: Sendable, Equatable {
        var repository: Repository
        var isMirror: Bool
    }

    /// Where to ask for an image: its registry's mirrors, then itself.
    /// - Throws: `blocked` when the registry is.
    func endpoints(for reference: ImageReference) throws(ImageError) -> [Endpoint] {
        let name = reference.canonical
        var best: (rule: RegistryRule, length: Int)?
        for rule in registries {
            if let length = rule.matchedLength(of: name), length > (best?.length ?? -1) {
                best = (rule, length)
            }
        }
        guard let (rule, length) = best else {
            return [Endpoint(repository: Repository(reference.repository, insecure: false), isMirror: false)]
        }
        guard !rule.blocked else {
            throw ImageError(.blocked, "pull \(name)", "registry \(rule.prefix) is blocked in \(path)")
        }
        let rest =
            reference.repository.utf8.count > length
            ? String(decoding: reference.repository.utf8.dropFirst(length), as: UTF8.self) : ""
        var endpoints: [Endpoint] = []
        for mirror in rule.mirrors where reference.digest == nil ? mirror.forTags : mirror.forDigests {
            endpoints.append(
                Endpoint(
                    repository: Repository(mirror.location + rest, insecure: mirror.insecure), isMirror: true)
            )
        }
        let own =
            rule.location.isEmpty || rule.prefix.hasPrefix("*.") ? reference.repository : rule.location + rest
        endpoints.append(Endpoint(repository: Repository(own, insecure: rule.insecure), isMirror: false))
        return endpoints
    }
}

extension Repository {
    /// Splits `host/path`.
    fileprivate init(_ location: String, insecure: Bool) {
        let slash = location.firstIndex(of: "/")
        self.init(
            registry: Registry(host: String(location[..<(slash ?? location.endIndex)]), insecure: insecure),
            name: slash.map { String(location[location.index(after: $0)...]) } ?? "")
    }
}
