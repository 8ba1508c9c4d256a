internal import LinuxSystem
internal import RegistryClient

/// Who we are to a registry, as auth.json remembers it.
public struct RegistryLogin: Sendable {
    /// `host[:port]`, perhaps with a namespace: the key in auth.json.
    public let registry: String
    private let options: TransferOptions
    private let files: AuthFile

    /// - Parameter registry: a URL will do; nil for the first of registries.conf's
    ///   unqualified-search-registries.
    public init(_ registry: String?, options: TransferOptions) throws(ImageError) {
        var key: Substring
        if let registry {
            key = Substring(registry)
            for scheme in ["https://", "http://"] where key.hasPrefix(scheme) {
                key = key.dropFirst(scheme.count)
                key = key.prefix { $0 != "/" }
            }
        } else {
            let config = try RegistriesConfig.load(explicit: options.registriesConfig)
            guard let first = config.searchRegistries.first else {
                throw ImageError(
                    .configuration, "find a registry",
                    "\(config.path) names no unqualified-search-registries: say which registry")
            }
            key = Substring(first)
        }
        while key.hasSuffix("/") { key.removeLast() }
        if key == "index.docker.io" || key == "registry-1.docker.io" { key = "docker.io" }
        let host = key.prefix { $0 != "/" }
        // The same grammar as in an image's name, of which this is the beginning.
        guard !host.isEmpty,
            let name = try? ImageName(parsing: "\(Self.qualified(host))\(key[host.endIndex...])/x"),
            name.domain != nil, name.tag == nil, name.digest == nil
        else {
            throw ImageError(
                .invalidReference, "invalid registry \"\(registry ?? "")\"", "expected HOST[:PORT]")
        }
        self.registry = String(key)
        self.options = options
        files = AuthFile(explicit: options.authFile)
    }

    /// A bare host name is a registry here, where in an image's name it would be a directory.
    private static func qualified(_ host: Substring) -> String {
        host.contains(where: { ".:".contains($0) }) || host == "localhost" ? String(host) : "\(host):443"
    }

    /// The file that is written.
    public var path: String { files.written }

    /// The user and the password that are remembered.
    public func known() throws(ImageError) -> (user: String, password: String)? {
        do throws(RegistryError) {
            guard case .password(let user, let password) = try files.credentials(for: registry) else {
                return nil
            }
            return (user, password)
        } catch {
            throw ImageError("log in to \(registry)", error)
        }
    }

    /// Asks the registry, if it knows passwords at all.
    public func accepts(user: String, password: String) throws(ImageError) -> Bool {
        let host = String(registry.prefix { $0 != "/" })
        let endpoints = try RegistriesConfig.load(explicit: options.registriesConfig)
            .endpoints(for: ImageReference(domain: host, path: "x"))
        var clientOptions = try options.registryOptions(for: host, stop: StopFlag())
        // To be checked where registries.conf has the registry.
        clientOptions.credentialsHost = nil
        clientOptions.credentials = .password(user: user, password: password)
        do throws(RegistryError) {
            try RegistryClient(clientOptions).ping(endpoints[endpoints.count - 1].repository.registry)
            return true
        } catch {
            if [.unauthorized, .denied].contains(error.code) { return false }
            throw ImageError("log in to \(registry)", error)
        }
    }

    public func save(user: String, password: String) throws(ImageError) {
        do throws(RegistryError) {
            try files.save(user: user, password: password, for: registry)
        } catch {
            throw ImageError("log in to \(registry)", error)
        }
    }

    /// - Returns: false when the file that we write knows nobody.
    public func forget() throws(ImageError) -> Bool {
        do throws(RegistryError) {
            return try files.remove(registry)
        } catch {
            throw ImageError("log out of \(registry)", error)
        }
    }

    public static func forgetAll(authFile: String?) throws(ImageError) {
        do throws(RegistryError) {
            try AuthFile(explicit: authFile).removeAll()
        } catch {
            throw ImageError("log out", error)
        }
    }
}
