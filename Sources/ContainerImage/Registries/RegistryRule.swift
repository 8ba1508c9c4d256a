/// One `[[registry]]`.
struct RegistryRule: Sendable, Equatable {
    /// A mirror: where the same images are to be had.
    struct Mirror: Sendable, Equatable {
        var location: String
        var insecure = false
        var forTags = true
        var forDigests = true
    }

    /// What a name must begin with: `docker.io/library`, `*.example.com`.
    var prefix: String
    /// What stands in the prefix's place when asking; empty for the prefix itself.
    var location = ""
    var insecure = false
    var blocked = false
    var mirrors: [Mirror] = []

    init(prefix: String, insecure: Bool = false, blocked: Bool = false) {
        self.prefix = prefix
        self.insecure = insecure
        self.blocked = blocked
    }

    init(_ toml: TOML, wrong: (String) -> ImageError) throws(ImageError) {
        guard toml.table != nil else { throw wrong("registry: expected a table, found \(toml.kind)") }
        func text(_ toml: TOML, _ name: String) throws(ImageError) -> String {
            guard let value = toml[name] else { return "" }
            guard let text = value.string else {
                throw wrong("registry.\(name): expected a string, found \(value.kind)")
            }
            return text.hasSuffix("/") ? String(text.dropLast()) : text
        }
        func flag(_ toml: TOML, _ name: String) throws(ImageError) -> Bool {
            guard let value = toml[name] else { return false }
            guard let flag = value.bool else {
                throw wrong("registry.\(name): expected true or false, found \(value.kind)")
            }
            return flag
        }
        location = try text(toml, "location")
        prefix = try text(toml, "prefix")
        if prefix.isEmpty { prefix = location }
        guard !prefix.isEmpty else { throw wrong("a [[registry]] has neither a prefix nor a location") }
        insecure = try flag(toml, "insecure")
        blocked = try flag(toml, "blocked")
        let digestsOnly = try flag(toml, "mirror-by-digest-only")
        guard let list = toml["mirror"] else { return }
        guard let tables = list.array else { throw wrong("registry.mirror: expected [[registry.mirror]]") }
        for table in tables {
            var mirror = Mirror(location: try text(table, "location"), insecure: try flag(table, "insecure"))
            guard !mirror.location.isEmpty else { throw wrong("a [[registry.mirror]] has no location") }
            mirror.forTags = !digestsOnly
            switch try text(table, "pull-from-mirror") {
            case "", "all": break
            case "digest-only": mirror.forTags = false
            case "tag-only": mirror.forDigests = false
            default: throw wrong("registry.mirror.pull-from-mirror: expected all, digest-only or tag-only")
            }
            mirrors.append(mirror)
        }
    }

    /// How much of a name the prefix covers, nil when it is no prefix of it.
    func matchedLength(of name: String) -> Int? {
        if prefix.hasPrefix("*.") {
            let domain = prefix.dropFirst()
            let host = name.prefix { $0 != "/" }
            let bare = host.prefix { $0 != ":" }
            if host.hasSuffix(domain) { return host.utf8.count }
            return bare.hasSuffix(domain) ? bare.utf8.count : nil
        }
        guard name.hasPrefix(prefix) else { return nil }
        let rest = name.dropFirst(prefix.count)
        guard let next = rest.first else { return prefix.utf8.count }
        return next == "/" || next == ":" || next == "@" ? prefix.utf8.count : nil
    }
}
