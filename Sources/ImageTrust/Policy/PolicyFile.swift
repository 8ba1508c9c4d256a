public import JSONText
internal import LinuxSystem

/// A policy.json as people look at it and change it.
public struct PolicyFile: Sendable {
    public let path: String
    public private(set) var bytes: [UInt8]

    private static let limit = 4 << 20

    /// - Parameter path: nil for the one that counts.
    public init(_ path: String?) throws(TrustError) {
        guard let path = path ?? TrustPolicy.defaultPath else {
            throw TrustError(
                .configuration, "read \(TrustPolicy.systemPath)",
                "there is no policy: every image is accepted")
        }
        self.path = path
        do throws(SystemError) {
            bytes = try File.read(path, limit: Self.limit)
        } catch {
            throw TrustError(.configuration, "read the policy \(path)", "\(error.errno)")
        }
    }

    /// One requirement of one scope.
    public struct Entry: Sendable {
        /// `all` for the default, `repository` for docker's.
        public var transport: String
        public var name: String
        public var type: String
        /// Whose keys are trusted.
        public var owners: [String]
        /// Where the signatures are looked for, if that was said.
        public var store: String?

        /// As podman prints it.
        public var json: JSON {
            var object: JSONObject = ["transport": .string(transport)]
            object["name"] = .string(name == "default" ? "* (default)" : name)
            object["repo_name"] = .string(name)
            object.set("sigstore", store)
            object["type"] = .string(type)
            if !owners.isEmpty { object["gpg_id"] = .string(owners.joined(separator: ", ")) }
            return .object(object)
        }
    }

    /// Every requirement: the default's, then by transport and scope.
    public func entries(places: SignaturePlaces) throws(TrustError) -> [Entry] {
        let policy = try TrustPolicy(parsing: bytes, origin: path)
        var entries = policy.fallback.map { requirement in
            Self.entry(requirement, "all", "default", places.description(ofScope: ""))
        }
        for (transport, scopes) in policy.transports.sorted(by: { $0.name < $1.name }) {
            let shown = transport == "docker" ? "repository" : transport
            for scope in scopes.sorted(by: { $0.name < $1.name }) {
                entries += scope.requirements.map {
                    Self.entry($0, shown, scope.name, places.description(ofScope: scope.name))
                }
            }
        }
        return entries
    }

    private static func entry(
        _ requirement: PolicyRequirement, _ transport: String, _ name: String, _ store: String?
    ) -> Entry {
        var entry = Entry(transport: transport, name: name, type: requirement.name, owners: [], store: store)
        switch requirement {
        case .insecureAcceptAnything: entry.type = "accept"
        case .reject: break
        case .sigstoreSigned: entry.owners = ["N/A"]
        case .signedBy(let keys, _):
            entry.type = "signed"
            entry.owners = ((try? keys.load()) ?? []).flatMap(OpenPGPKeyOwners.names)
        }
        return entry
    }
}

/// A change of one scope of a policy.
public struct PolicyChange: Sendable {
    /// `default`, or one of docker's.
    public var scope: String
    /// As policies have it: `signedBy`.
    public var type: String
    /// Each must have signed.
    public var keyPaths: [String]

    public init(scope: String, type: String, keyPaths: [String]) {
        self.scope = scope
        self.type = type
        self.keyPaths = keyPaths
    }

    /// Writes the policy as a whole; what it said of other scopes stays.
    /// - Throws: `configuration` also when what would be written is no policy.
    public func apply(to path: String) throws(TrustError) {
        func wrong(_ why: String) -> TrustError { TrustError(.configuration, "change \(path)", why) }
        let isRequirementOfKeys = ["signedBy", "sigstoreSigned"].contains(type)
        guard isRequirementOfKeys != keyPaths.isEmpty else {
            throw wrong(
                isRequirementOfKeys
                    ? "at least one public key must be given for the type \(type)"
                    : "the type \(type) goes without public keys")
        }
        var directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        if directory.isEmpty { directory = "/" }
        do {
            let lock = try FileLock(directory: directory)
            defer { _ = lock.raw }
            var mode: mode_t = 0o644
            var root = JSONObject()
            if let status = try? File.status(path) {
                mode = status.st_mode & 0o777
                let bytes = try PolicyFile(path).bytes
                // Not to build upon what is not understood.
                _ = try TrustPolicy(parsing: bytes, origin: path)
                root = try JSON(parsing: bytes).object ?? [:]
            }
            try change(&root, wrong)
            let bytes = JSON.object(root).bytes(indent: "    ") + [0x0A]
            _ = try TrustPolicy(parsing: bytes, origin: path)
            try File.replace(path, with: bytes, mode: mode)
        } catch let error as TrustError {
            throw error
        } catch {
            throw wrong("\(error)")
        }
    }

    private func change(
        _ root: inout JSONObject, _ wrong: (String) -> TrustError
    ) throws(TrustError) {
        var requirements: [JSON] = keyPaths.map { path in
            var object: JSONObject = ["type": .string(type)]
            if type == "signedBy" { object["keyType"] = "GPGKeys" }
            object["keyPath"] = .string(path)
            return .object(object)
        }
        if requirements.isEmpty { requirements = [.object(["type": .string(type)])] }
        guard scope != "default" else {
            root["default"] = .array(requirements)
            return
        }
        guard root["default"] != nil else { throw wrong("the default trust policy must be set first") }
        var transports = root["transports"]?.object ?? [:]
        // Where the scope is already, whatever the transport.
        let transport = transports.members.first { $0.value[scope] != nil }?.name ?? "docker"
        var scopes = transports[transport]?.object ?? [:]
        scopes[scope] = .array(requirements)
        transports[transport] = .object(scopes)
        root["transports"] = .object(transports)
    }
}
