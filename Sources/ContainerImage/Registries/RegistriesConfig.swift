internal import LinuxSystem

/// registries.conf (containers-registries.conf(5), version 2 and the search,
/// insecure and block lists of version 1) with its drop-in files.
public struct RegistriesConfig: Sendable {
    public enum ShortNameMode: String, Sendable { case enforcing, permissive, disabled }

    /// Where a short name is looked for, in order.
    public var searchRegistries: [String] = []
    public var shortNameMode = ShortNameMode.permissive
    /// Short names, without tag, and the repositories that they mean.
    public var aliases: [String: String] = [:]
    var registries: [RegistryRule] = []
    /// The main file, for messages.
    public internal(set) var path = "/etc/containers/registries.conf"

    public init() {}

    /// Reads the files. Without any, short names are Docker Hub's, as docker has it.
    /// - Parameter explicit: the main file to read in place of the usual ones.
    public static func load(explicit: String? = nil) throws(ImageError) -> RegistriesConfig {
        var config = RegistriesConfig()
        let environment = RegistryEnvironment.value("CONTAINERS_REGISTRIES_CONF")
        let home = RegistryEnvironment.value("HOME")
        let own = RegistryEnvironment.value("XDG_CACHE_HOME") ?? home.map { "\($0)/.cache" }
        let cache = geteuid() == 0 ? "/var/cache" : own ?? "/nonexistent"
        var directories: [String] = []
        var found = false
        if let path = explicit ?? environment {
            config.path = path
            guard try config.merge(path) else {
                throw ImageError(.configuration, "read \(path)", "no such file")
            }
            found = true
        } else {
            let user = geteuid() == 0 ? nil : home.map { "\($0)/.config/containers" }
            for directory in [user, "/etc/containers", "/usr/share/containers"].compactMap({ $0 }) {
                if !found, try config.merge("\(directory)/registries.conf") {
                    found = true
                    config.path = "\(directory)/registries.conf"
                }
            }
            directories = ["/usr/share/containers", "/etc/containers"] + (user.map { [$0] } ?? [])
        }
        for directory in directories {
            let drop = "\(directory)/registries.conf.d"
            guard let names = try? File.names(in: drop) else { continue }
            for name in names.sorted() where name.hasSuffix(".conf") {
                if try config.merge("\(drop)/\(name)") { found = true }
            }
        }
        if explicit == nil, environment == nil {
            _ = try config.merge("\(cache)/containers/short-name-aliases.conf")
        }
        if !found { config.searchRegistries = ["docker.io"] }
        return config
    }

    /// Takes over what a file says; later files win.
    /// - Returns: false when there is no such file.
    mutating func merge(_ path: String) throws(ImageError) -> Bool {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try File.read(path, limit: 4 << 20)
        } catch  where error.errno == .noEntry || error.errno == .notDirectory {
            return false
        } catch {
            throw ImageError(.configuration, "read \(path)", "\(error.errno)")
        }
        try merge(text: String(decoding: bytes, as: UTF8.self), path: path)
        return true
    }

    mutating func merge(text: String, path: String) throws(ImageError) {
        func wrong(_ what: String) -> ImageError { ImageError(.configuration, "read \(path)", what) }
        let toml: TOML
        do throws(TOMLError) { toml = try TOML(parsing: text) } catch { throw wrong(error.description) }

        func strings(_ value: TOML?, _ name: String) throws(ImageError) -> [String]? {
            guard let value else { return nil }
            guard let elements = value.array, elements.allSatisfy({ $0.string != nil }) else {
                throw wrong("\(name): expected an array of strings, found \(value.kind)")
            }
            return elements.compactMap(\.string)
        }

        if let search = try strings(toml["unqualified-search-registries"], "unqualified-search-registries") {
            searchRegistries = search
        }
        if let value = toml["short-name-mode"] {
            guard let text = value.string, let mode = ShortNameMode(rawValue: text) else {
                throw wrong("short-name-mode: expected enforcing, permissive or disabled")
            }
            shortNameMode = mode
        }
        if let table = toml["aliases"] {
            guard let members = table.table else {
                throw wrong("aliases: expected a table, found \(table.kind)")
            }
            for (name, value) in members {
                guard let target = value.string else {
                    throw wrong("aliases.\(name): expected a string, found \(value.kind)")
                }
                aliases[name] = target.isEmpty ? nil : target
            }
        }
        if let value = toml["registry"] {
            guard let tables = value.array else { throw wrong("registry: expected [[registry]]") }
            for table in tables {
                let rule = try RegistryRule(table, wrong: wrong)
                registries.removeAll { $0.prefix == rule.prefix }
                registries.append(rule)
            }
        }
        if let old = toml["registries"]?.table {
            if let search = try strings(old["search"]?["registries"], "registries.search.registries") {
                searchRegistries = search
            }
            for host in try strings(old["insecure"]?["registries"], "registries.insecure.registries") ?? [] {
                registries.append(RegistryRule(prefix: host, insecure: true))
            }
            for host in try strings(old["block"]?["registries"], "registries.block.registries") ?? [] {
                registries.append(RegistryRule(prefix: host, blocked: true))
            }
        }
    }
}

enum RegistryEnvironment {
    static func value(_ name: String) -> String? {
        guard let text = getenv(name), text.pointee != 0 else { return nil }
        return String(cString: text)
    }
}
