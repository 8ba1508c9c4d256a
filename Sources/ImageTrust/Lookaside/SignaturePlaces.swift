internal import JSONText
internal import LinuxSystem
internal import YAMLText

/// Where signatures of a registry's images are kept (containers-registries.d(5)).
public struct SignaturePlaces: Sendable {
    struct Place: Sendable, Equatable {
        var lookaside: String?
        var staging: String?
        var usesAttachments: Bool?
    }

    private var fallback: Place?
    private var namespaces: [String: Place] = [:]

    private static let limit = 1 << 20

    public static let systemPath = "/etc/containers/registries.d"

    /// The directory that counts.
    public static var defaultPath: String {
        if let home = HomeDirectory.path {
            let own = "\(home)/.config/containers/registries.d"
            if File.exists(own) { return own }
        }
        return systemPath
    }

    /// Reads every `.yaml` file of a directory; one that is not there says nothing.
    public static func load(_ directory: String?) throws(TrustError) -> SignaturePlaces {
        let path = directory ?? defaultPath
        var places = SignaturePlaces()
        do {
            let directory = try File.open(path, O_RDONLY | O_DIRECTORY)
            for name in try File.names(inDirectory: directory.raw).sorted() where name.hasSuffix(".yaml") {
                let bytes = try File.read(name, at: directory.raw, limit: limit)
                try places.add(bytes, file: "\(path)/\(name)")
            }
        } catch let error as SystemError {
            if error.errno == .noEntry { return places }
            throw TrustError(.configuration, "read \(path)", error.description)
        } catch let error as TrustError {
            throw error
        } catch {
            throw TrustError(.configuration, "read \(path)", "\(error)")
        }
        return places
    }

    mutating func add(_ bytes: [UInt8], file: String) throws(TrustError) {
        func wrong(_ why: String) -> TrustError { TrustError(.configuration, "read \(file)", why) }
        let document: JSON
        do throws(YAMLError) { document = try YAML.parse(bytes) } catch { throw wrong(error.description) }
        if document.isNull { return }
        do throws(JSONError) {
            var reader = try ObjectReader(document)
            if let json: JSON = try reader.optional("default-docker") {
                guard fallback == nil else { throw JSONError("default-docker is in another file, too") }
                fallback = try Place(json)
            }
            let found: [String: Place]? = try reader.optional("docker")
            for (name, place) in found ?? [:] {
                guard namespaces.updateValue(place, forKey: name) == nil else {
                    throw JSONError(path: "docker.\(name)", "is in another file, too")
                }
            }
        } catch {
            throw wrong(error.description)
        }
    }

    /// The narrowest namespace that says something of it.
    private func first<Value>(_ scope: PolicyScope, _ value: (Place) -> Value?) -> Value? {
        for name in [scope.identity] + scope.namespaces {
            if let found = namespaces[name].flatMap(value) { return found }
        }
        return fallback.flatMap(value)
    }

    /// Whether signatures are kept in the registry, as cosign keeps them.
    public func usesAttachments(for image: DockerReference) -> Bool {
        first(PolicyScope(registry: image), \.usesAttachments) ?? false
    }

    /// Where an image's signatures are apart from the registry.
    public func lookaside(for image: DockerReference, writing: Bool) throws(TrustError) -> Lookaside {
        let text = first(PolicyScope(registry: image)) { place in
            writing ? place.staging ?? place.lookaside : place.lookaside
        }
        guard let text else { return .directory(Self.builtIn, repository: image.path) }
        return try Lookaside(text, repository: image.path)
    }

    /// What a scope of a policy has for its lookaside, as `trust show` shows it.
    public func description(ofScope scope: String) -> String? {
        var name = scope[...]
        while !name.isEmpty {
            if let place = namespaces[String(name)] { return place.lookaside }
            guard let slash = name.lastIndex(of: "/") else { break }
            name = name[..<slash]
        }
        return fallback?.lookaside
    }

    private static var builtIn: String {
        guard geteuid() != 0, let home = HomeDirectory.path else { return "/var/lib/containers/sigstore" }
        return "\(home)/.local/share/containers/sigstore"
    }
}

extension SignaturePlaces.Place: JSONDocument {
    init(_ json: JSON) throws(JSONError) { try self.init(json: json) }

    init(json: JSON) throws(JSONError) {
        self.init()
        if json.isNull { return }
        var reader = try ObjectReader(json)
        let names = [("lookaside", "sigstore"), ("lookaside-staging", "sigstore-staging")]
        var found: [String?] = []
        for (name, older) in names {
            let new: String? = try reader.optional(name)
            let old: String? = try reader.optional(older)
            found.append([new, old].compactMap { $0 }.first { !$0.isEmpty })
        }
        lookaside = found[0]
        staging = found[1]
        usesAttachments = try reader.optional("use-sigstore-attachments")
    }

    var json: JSON { .null }
}
