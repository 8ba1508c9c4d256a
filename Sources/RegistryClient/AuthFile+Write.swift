internal import JSONText
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

    /// Remembers a password.
    public func save(user: String, password: String, for key: String) throws(RegistryError) {
        try change { auths in
            var entry = auths[key]?.object ?? JSONObject()
            for name in ["identitytoken", "registrytoken", "username", "password"] { entry.remove(name) }
            entry["auth"] = .string("\(user):\(password)".base64)
            auths[key] = .object(entry)
        }
    }

    /// - Returns: false when there was nothing to forget.
    public func remove(_ key: String) throws(RegistryError) -> Bool {
        guard File.exists(written) else { return false }
        var found = false
        try change { found = $0.remove(key) != nil }
        return found
    }

    public func removeAll() throws(RegistryError) {
        guard File.exists(written) else { return }
        try change { $0 = JSONObject() }
    }

    /// Changes the members of `auths` and leaves what else is in the file as it
    /// is. Readers see the old file or the new one.
    private func change(_ body: (inout JSONObject) -> Void) throws(RegistryError) {
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
                let parsed = try JSON(parsing: try File.read(path, limit: 4 << 20))
                guard let object = parsed.object else {
                    throw JSONError("expected an object, found \(parsed.kind)")
                }
                json = object
            }
            let old = json["auths"] ?? .emptyObject
            guard var auths = old.object else {
                throw JSONError(path: "auths", "expected an object, found \(old.kind)")
            }
            body(&auths)
            json["auths"] = .object(auths)
            try File.replace(
                path, with: JSON.object(json).bytes(indent: "\t") + [0x0A], mode: 0o600)
            _ = directory.raw
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
