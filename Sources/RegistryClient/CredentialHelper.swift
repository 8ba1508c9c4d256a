internal import JSONText
internal import LinuxSystem

/// A program that keeps credentials: `docker-credential-NAME get`, `store` and `erase`
/// (docker-credential-helpers, "Development").
struct CredentialHelper {
    private let program: String

    private static let outputLimit = 1 << 20

    init(_ name: String) throws(RegistryError) {
        // It is looked up in PATH alone.
        guard !name.isEmpty, !name.contains("/"), !name.utf8.contains(0) else {
            throw RegistryError(
                .configuration, "find the credential helper \"\(name.printable(limit: 100))\"",
                "it is no program's name")
        }
        program = "docker-credential-\(name)"
    }

    /// The helper that a file names for a registry (or `registry/namespace`).
    init?(for key: String, in json: JSON) throws(RegistryError) {
        guard let name = json["credHelpers"]?[key]?.string ?? json["credsStore"]?.string, !name.isEmpty
        else { return nil }
        try self.init(name)
    }

    /// What a helper calls a registry: Docker's own has a URL there.
    static func server(_ key: String, in json: JSON) -> String {
        key == "docker.io" && json["credHelpers"]?[key] == nil ? "https://index.docker.io/v1/" : key
    }

    /// - Returns: nil when it knows none.
    func get(_ server: String) throws(RegistryError) -> Credentials? {
        let (output, exitCode) = try run("get", server)
        if exitCode != 0 {
            if output.contains("credentials not found") { return nil }
            throw failure("get", server, output, exitCode)
        }
        guard let json = try? JSON(parsing: Array(output.utf8)), let user = json["Username"]?.string,
            let secret = json["Secret"]?.string
        else {
            throw RegistryError(
                .configuration, "ask \(program) for \(server)", "the answer has no Username and Secret")
        }
        if user == "<token>" { return .identityToken(secret) }
        return user.isEmpty ? nil : .password(user: user, password: secret)
    }

    func store(_ server: String, user: String, password: String) throws(RegistryError) {
        var entry = JSONObject()
        entry["ServerURL"] = .string(server)
        entry["Username"] = .string(user)
        entry["Secret"] = .string(password)
        let input = String(decoding: JSON.object(entry).bytes(), as: UTF8.self)
        let (output, exitCode) = try run("store", input)
        if exitCode != 0 { throw failure("store", server, output, exitCode) }
    }

    func erase(_ server: String) throws(RegistryError) {
        let (output, exitCode) = try run("erase", server)
        if exitCode != 0, !output.contains("credentials not found") {
            throw failure("erase", server, output, exitCode)
        }
    }

    private func failure(
        _ verb: String, _ server: String, _ output: String, _ exitCode: Int32
    ) -> RegistryError {
        RegistryError(
            .configuration, "\(program) \(verb) \(server)",
            output.isEmpty ? "it ended with exit code \(exitCode)" : output.printable(limit: 300))
    }

    private func run(_ verb: String, _ input: String) throws(RegistryError) -> (String, Int32) {
        do {
            let process: pid_t
            let asking: Descriptor
            let answering: Descriptor
            do {
                let question = try FD.pipe()
                let answer = try FD.pipe()
                process = try Spawn.start(
                    program, [program, verb],
                    descriptors: [question.reading.raw, answer.writing.raw, STDERR_FILENO])
                asking = question.writing
                answering = answer.reading
            }
            // One that does not read its input still says why.
            let fd = asking.raw
            BrokenPipe.shielded { try? FD.writeAll(fd, input) }
            try asking.close()
            let source = answering.raw
            let output = Result { try FD.readAll(source, limit: Self.outputLimit) }
            try answering.close()
            let status = try Spawn.wait(process)
            return (String(decoding: try output.get(), as: UTF8.self).trimmed, status.exitCode)
        } catch {
            throw RegistryError(.configuration, "run the credential helper \(program)", "\(error)")
        }
    }
}
