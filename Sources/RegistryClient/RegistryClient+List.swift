internal import JSONText
public import LayerArchive

extension RegistryClient {
    /// The tags of a repository, in the registry's order
    /// (OCI Distribution Specification, "Listing tags").
    public func tags(_ repository: Repository) throws(RegistryError) -> [String] {
        try list("/v2/\(repository.name)/tags/list", member: "tags", of: repository)
    }

    /// The repositories of a registry (Docker Registry HTTP API V2, "Listing Repositories").
    public func repositories(_ registry: Registry) throws(RegistryError) -> [String] {
        try list("/v2/_catalog", member: "repositories", of: Repository(registry: registry, name: ""))
    }

    private func list(
        _ path: String, member: String, of repository: Repository
    ) throws(RegistryError) -> [String] {
        var found: [String] = []
        try pages(path, of: repository) { page throws(JSONError) in
            let list = page[member] ?? .null
            // Go's registries say `null` of an empty list.
            guard list.isNull || list.array != nil else {
                throw JSONError(path: member, "is \(list.kind), no list")
            }
            for item in list.array ?? [] {
                guard let text = item.string else {
                    throw JSONError(path: member, "has \(item.kind) in it")
                }
                found.append(text)
            }
            return found.count
        }
        return found
    }

    /// Reads what comes in pages, each of which says in `Link` where the next one is (RFC 8288).
    /// - Parameter read: takes a page, and says how many things there are by now.
    func pages(
        _ path: String, of repository: Repository, _ read: (JSON) throws(JSONError) -> Int
    ) throws(RegistryError) {
        var path = path
        var seen: Set<String> = []
        while seen.insert(path).inserted {
            let page = try document(path, of: repository)
            let name = page.exchange.request.name
            let count: Int
            do throws(JSONError) {
                count = try read(page.json)
            } catch {
                throw RegistryError(.malformed, name, error.description)
            }
            guard count <= Self.listLimit else {
                throw RegistryError(.tooLarge, name, "more than \(Self.listLimit) are not accepted")
            }
            guard seen.count <= options.pageLimit else {
                throw RegistryError(
                    .tooLarge, name, "more than \(options.pageLimit) pages are not accepted")
            }
            guard let link = page.exchange.header("link"), let target = Self.next(link) else { return }
            guard
                let next = BlobUpload.place(target, from: page.exchange.request.url, at: repository.registry),
                next.hasPrefix("/")
            else {
                throw RegistryError(
                    .malformed, name,
                    "the next page is at \"\(target.printable(limit: 100))\", which is not of this registry")
            }
            path = next
        }
        throw RegistryError(.malformed, "get \(repository)", "the pages of a list lead back to \(path)")
    }

    static let listLimit = 1_000_000
    private static let pageSize = 8 << 20

    private func document(
        _ path: String, of repository: Repository
    ) throws(RegistryError) -> (json: JSON, exchange: HTTPExchange) {
        try repeating { () throws(RegistryError) -> (JSON, HTTPExchange) in
            let session = try takeSession()
            let exchange = try open(
                path, of: repository, headers: ["Accept: application/json"], downgrade: false,
                session: session)
            let bytes = try exchange.body(limit: Self.pageSize)
            giveBack(session, after: exchange)
            do throws(JSONError) {
                return (try JSON(parsing: bytes), exchange)
            } catch {
                throw RegistryError(.malformed, exchange.request.name, error.description)
            }
        }
    }

    /// The target of the link whose relation is `next`.
    static func next(_ header: String) -> String? {
        var rest = Substring(header)
        while let start = rest.firstIndex(of: "<"), let end = rest[start...].firstIndex(of: ">") {
            let target = rest[rest.index(after: start)..<end]
            let parameters = rest[end...].dropFirst().prefix { $0 != "<" }
            rest = rest[end...].dropFirst(1 + parameters.count)
            let relation = parameters.split(separator: ";").contains { part in
                let text = part.filter { !" \t\",".contains($0) }.lowercased()
                return text == "rel=next"
            }
            if relation { return String(target) }
        }
        return nil
    }

    /// What a search finds (Docker Registry HTTP API V1, "Search").
    public struct SearchResult: Sendable {
        public var name: String
        public var description: String
        public var stars: Int
        public var isOfficial: Bool
        public var isAutomated: Bool
    }

    /// Asks a registry that can search; nil when it cannot.
    public func search(_ registry: Registry, term: String, limit: Int) throws(RegistryError)
        -> [SearchResult]?
    {
        let index = registry.host == "docker.io" ? Registry(host: "index.docker.io") : registry
        let path = "/v1/search?q=\(HTTPURL.escape(term))&n=\(limit)"
        let page: (json: JSON, exchange: HTTPExchange)
        do throws(RegistryError) {
            page = try document(path, of: Repository(registry: index, name: ""))
        } catch  where [.notFound, .refused, .unauthorized, .denied, .malformed].contains(error.code) {
            return nil
        }
        guard let results = page.json["results"]?.array else { return nil }
        return results.prefix(limit).compactMap { result in
            guard let name = result["name"]?.string else { return nil }
            return SearchResult(
                name: name.printable(limit: 255),
                description: (result["description"]?.string ?? "").trimmed.printable(limit: 1000),
                stars: result["star_count"]?.int ?? 0, isOfficial: result["is_official"]?.bool ?? false,
                isAutomated: result["is_automated"]?.bool ?? false)
        }
    }

    /// What a tag leads to, as the registry says or as its bytes have it.
    public func digest(_ repository: Repository, reference: String) throws(RegistryError) -> Digest {
        let manifest = try manifest(repository, reference: reference)
        return Digest.sha256(of: manifest.bytes)
    }

    /// Removes a manifest, and with it all tags that name it
    /// (OCI Distribution Specification, "Deleting Manifests").
    public func deleteManifest(_ repository: Repository, digest: Digest) throws(RegistryError) {
        _ = try repeating { () throws(RegistryError) in
            // docker-registry looks the manifest up for it, as if it were asked to give it.
            try send(
                "DELETE", "/v2/\(repository.name)/manifests/\(digest)", to: repository,
                headers: Self.manifestTypes)
        }
    }
}
