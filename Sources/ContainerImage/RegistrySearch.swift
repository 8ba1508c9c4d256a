internal import LinuxSystem
internal import RegistryClient

/// Images by words, in all registries that are searched for short names.
public struct RegistrySearch: Sendable {
    public struct Result: Sendable {
        public var registry: String
        public var name: String
        public var description: String
        public var stars: Int
        public var isOfficial: Bool
        public var isAutomated: Bool
    }

    private let options: TransferOptions
    private let config: RegistriesConfig

    public init(options: TransferOptions) throws(ImageError) {
        self.options = options
        config = try RegistriesConfig.load(explicit: options.registriesConfig)
    }

    /// - Parameters:
    ///   - text: words, or `REGISTRY/WORDS`; `REGISTRY/` means all that it has.
    ///   - limit: of the results of one registry.
    public func search(_ text: String, limit: Int) throws(ImageError) -> [Result] {
        var term = text
        var registries = config.searchRegistries
        let slash = text.firstIndex(of: "/") ?? text.endIndex
        let first = text[..<slash]
        if slash != text.endIndex, first.contains(where: { ".:".contains($0) }) || first == "localhost" {
            registries = [String(first)]
            term = String(text[text.index(after: slash)...])
        }
        guard !registries.isEmpty else {
            throw ImageError(
                .configuration, "search \(text)",
                "\(config.path) names no unqualified-search-registries: begin with a registry")
        }
        var found: [Result] = []
        var failures: [ImageError] = []
        for registry in registries {
            do throws(ImageError) {
                found += try search(term, in: registry, limit: limit)
            } catch {
                failures.append(error)
            }
        }
        // One registry that is away does not hide what the others have.
        if failures.count == registries.count, let first = failures.first { throw first }
        return found
    }

    private func search(_ term: String, in host: String, limit: Int) throws(ImageError) -> [Result] {
        let client = RegistryClient(try options.registryOptions(for: host, stop: StopFlag()))
        let endpoints = try config.endpoints(for: ImageReference(domain: host, path: "x"))
        let registry = endpoints[endpoints.count - 1].repository.registry
        do throws(RegistryError) {
            if !term.isEmpty, let results = try client.search(registry, term: term, limit: limit) {
                return results.map { result in
                    Result(
                        registry: host,
                        name: "\(host)/"
                            + (host == "docker.io" && !result.name.contains("/") ? "library/" : "")
                            + result.name, description: result.description, stars: result.stars,
                        isOfficial: result.isOfficial, isAutomated: result.isAutomated)
                }
            }
            let names = try client.repositories(registry).filter { term.isEmpty || $0.contains(term) }
            return names.prefix(limit).map {
                Result(
                    registry: host, name: "\(host)/\($0)", description: "", stars: 0, isOfficial: false,
                    isAutomated: false)
            }
        } catch {
            throw ImageError("search \(host)", error)
        }
    }
}
