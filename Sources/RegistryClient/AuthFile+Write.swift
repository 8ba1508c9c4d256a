internal import JSONText
internal import LayerArchive
internal import LinuxSystem

extension AuthFile {
    /// The file that `login` writes and `logout` clears.
    public var written: String { paths[0] }

    /// Who is logged in to a registry (or to `registry/namespace`).
    public func credentials(for key: String) throws(RegistryError) -> Credentials? {
        let slash = key.firstIndex(of: "/") ?? key.endIndex
        return try credentials(
            registry: String(key[..<slash]), name: String(key[slash...].dropFirst()), missingIsEmpty: true)
    }

    /// Remembers a password: in the file, or by the helper that the file names.
    public func save(user: String, password: String, for key: String) throws(RegistryError) {
        try change { json, auths throws(RegistryError) in
            if let helper = try CredentialHelper(for: key, in: json) {
                try helper.store(CredentialHelper.server(key, in: json), user: user, password: password)
                auths.remove(key)
                return
            }
            var entry = auths[key]?.object ?? JSONObject()
            for name in ["identitytoken", "registrytoken", "username", "password"] { entry.remove(name) }
            entry["auth"] = .string(Base64.encode(Array("\(user):\(password)".utf8)))
            auths[key] = .object(entry)
        }
    }

    /// - Returns: false when there was nothing to forget.
    public func remove(_ key: String) throws(RegistryError) -> Bool {
        guard File.exists(written) else { return false }
        var found = false
        try change { json, auths throws(RegistryError) in
            if let helper = try CredentialHelper(for: key, in: json) {
                let server = CredentialHelper.server(key, in: json)
                if try helper.get(server) != nil {
                    found = true
                    try helper.erase(server)
                }
            }
            if auths.remove(key) != nil { found = true }
        }
        return found
    }

    /// Which registries have a helper stays said: that is no secret.
    public func removeAll() throws(RegistryError) {
        guard File.exists(written) else { return }
        var failure: RegistryError?
        try change { json, auths throws(RegistryError) in
            var keys = json["credHelpers"]?.object?.members.map(\.name) ?? []
            if json["credsStore"] != nil { keys += auths.members.map(\.name) }
            for key in keys {
                do throws(RegistryError) {
                    try CredentialHelper(for: key, in: json)?.erase(CredentialHelper.server(key, in: json))
                } catch {
                    // A helper that fails keeps no other secret where it is.
                    failure = error
                }
            }
            auths = JSONObject()
        }
        if let failure { throw failure }
    }

    /// Changes the members of `auths` and leaves what else is in the file as it
    /// is. Readers see the old file or the new one.
    private func change(
        _ body: (JSON, inout JSONObject) throws(RegistryError) -> Void
    ) throws(RegistryError) {
        do {
            // A link stays one: people keep the file elsewhere.
            let path = Self.resolved(written)
            let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
            if !parent.isEmpty, !File.exists(parent) { try File.makeDirectories(parent, mode: 0o700) }
            // Two that log in at once wait for each other; the directory needs no extra file to lock.
            let directory = try File.open(parent.isEmpty ? "/" : parent, O_RDONLY | O_DIRECTORY)
            while flock(directory.raw, LOCK_EX) != 0 {
                guard Errno.current == .interrupted else {
                    throw SystemError("lock", parent, .current)
                }
            }
            var json = JSONObject()
            if File.exists(path) {
                let bytes = try File.read(path, limit: 4 << 20)
                let parsed = bytes.isEmpty ? .emptyObject : try JSON(parsing: bytes)
                guard let object = parsed.object else {
                    throw JSONError("expected an object, found \(parsed.kind)")
                }
                json = object
            }
            let old = json["auths"] ?? .emptyObject
            guard var auths = old.object else {
                throw JSONError(path: "auths", "expected an object, found \(old.kind)")
            }
            try body(.object(json), &auths)
            json["auths"] = .object(auths)
            try File.replace(
                path, with: JSON.object(json).bytes(indent: "\t") + [0x0A], mode: 0o600)
            _ = directory.raw
        } catch let error as RegistryError {
            throw error
        } catch {
            throw RegistryError(.configuration, "write the auth file \(written)", "\(error)")
        }
    }

    private static func resolved(_ path: String) -> String {
        guard let real = realpath(path, nil) else { return path }
        defer { free(real) }
        return String(cString: real)
    }
}
