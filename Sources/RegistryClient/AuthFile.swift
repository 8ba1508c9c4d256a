internal import JSONText
internal import LayerArchive
internal import LinuxSystem

/// The files in which `login` leaves credentials (containers-auth.json(5),
/// and Docker's config.json): read in order until one knows the registry.
public struct AuthFile: Sendable {
    /// Paths, first to last.
    public var paths: [String]

    /// - Parameter explicit: `--authfile`: it must exist, and no other is read.
    public init(explicit: String? = nil, environment: (String) -> String? = AuthFile.environment) {
        if let explicit = explicit ?? environment("REGISTRY_AUTH_FILE"), !explicit.isEmpty {
            paths = [explicit]
            isExplicit = true
            return
        }
        isExplicit = false
        let runtime = environment("XDG_RUNTIME_DIR") ?? ""
        paths = [
            runtime.isEmpty ? "/run/containers/\(getuid())/auth.json" : "\(runtime)/containers/auth.json"
        ]
        if let home = environment("HOME"), !home.isEmpty {
            paths.append("\(environment("XDG_CONFIG_HOME") ?? "\(home)/.config")/containers/auth.json")
            paths.append("\(environment("DOCKER_CONFIG") ?? "\(home)/.docker")/config.json")
        }
    }

    /// Knows nobody.
    static let none = AuthFile(paths: [])

    private init(paths: [String]) {
        self.paths = paths
        isExplicit = false
    }

    private let isExplicit: Bool

    public static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// The credentials for `registry/name`, those of the longest key that is a prefix of it.
    /// - Parameter missingIsEmpty: also for the file that the user names.
    public func credentials(
        registry: String, name: String, missingIsEmpty: Bool = false
    ) throws(RegistryError) -> Credentials? {
        for path in paths {
            let bytes: [UInt8]
            do throws(SystemError) {
                bytes = try File.read(path, limit: 4 << 20)
            } catch  where error.errno == .noEntry && (missingIsEmpty || !isExplicit) {
                continue
            } catch  where error.errno == .notDirectory && !isExplicit {
                continue
            } catch {
                throw RegistryError(.configuration, "read the auth file \(path)", "\(error.errno)")
            }
            let json: JSON
            let found: Credentials?
            do throws(JSONError) {
                // podman makes an empty file to begin with.
                json = bytes.isEmpty ? .emptyObject : try JSON(parsing: bytes)
                guard json.object != nil else { throw JSONError("expected an object, found \(json.kind)") }
                found = try Self.find(registry: registry, name: name, in: json)
            } catch {
                throw RegistryError(.configuration, "read the auth file \(path)", error.description)
            }
            if let kept = try Self.kept(registry: registry, name: name, in: json) ?? found { return kept }
        }
        return nil
    }

    /// What a credential helper keeps.
    private static func kept(
        registry: String, name: String, in json: JSON
    ) throws(RegistryError) -> Credentials? {
        let keys = keys(registry, name)
        let key = keys.first { json["credHelpers"]?[$0] != nil } ?? registry
        return try CredentialHelper(for: key, in: json)?.get(CredentialHelper.server(key, in: json))
    }

    /// The names under which a repository's credentials may stand, the longest first.
    private static func keys(_ registry: String, _ name: String) -> [String] {
        var keys: [String] = []
        var key = "\(registry)/\(name)"
        while let slash = key.lastIndex(of: "/") {
            keys.append(key)
            key = String(key[..<slash])
        }
        return keys + [registry]
    }

    static func find(registry: String, name: String, in json: JSON) throws(JSONError) -> Credentials? {
        guard let auths = json["auths"]?.object else { return nil }
        var keys = keys(registry, name)
        if registry == "docker.io" { keys += ["index.docker.io", "registry-1.docker.io"] }
        for key in keys {
            if let entry = auths[key], let found = try read(entry, key: key) { return found }
        }
        // Docker wrote URLs: `https://index.docker.io/v1/`.
        for member in auths.members {
            var host = Substring(member.name)
            for scheme in ["https://", "http://"] where host.hasPrefix(scheme) {
                host = host.dropFirst(scheme.count)
            }
            guard host.count < member.name.count || host.hasSuffix("/") else { continue }
            let bare = String(host.prefix { $0 != "/" })
            if bare == registry || (registry == "docker.io" && bare == "index.docker.io") {
                if let found = try read(member.value, key: member.name) { return found }
            }
        }
        return nil
    }

    private static func read(_ entry: JSON, key: String) throws(JSONError) -> Credentials? {
        if let token = entry["identitytoken"]?.string, !token.isEmpty { return .identityToken(token) }
        if let token = entry["registrytoken"]?.string, !token.isEmpty { return .registryToken(token) }
        if let auth = entry["auth"]?.string, !auth.isEmpty {
            guard let bytes = Base64.decode(auth),
                let found = Credentials(parsing: String(decoding: bytes, as: UTF8.self)),
                bytes.contains(UInt8(ascii: ":"))
            else { throw JSONError(path: "auths.\(key).auth", "is no base64 of user:password") }
            return found
        }
        if let user = entry["username"]?.string, !user.isEmpty {
            return .password(user: user, password: entry["password"]?.string ?? "")
        }
        return nil
    }
}
