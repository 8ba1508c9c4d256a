import LinuxSystem

@testable import ImageTrust

/// A directory of the test's own, with what openssl(1) and gpg(1) make in it.
final class TrustFixtures {
    let path: String

    init() throws {
        path = "/tmp/apus-trust-\(getpid())-\(String(UInt64.random(in: .min ... .max), radix: 36))"
        try File.makeDirectory(path, mode: 0o700)
    }

    deinit {
        if File.exists("\(path)/gnupg") {
            _ = try? shell("gpgconf --homedir \(path)/gnupg --kill all")
        }
        try? File.removeTree(path)
    }

    func file(_ name: String) -> String { "\(path)/\(name)" }
    func write(_ name: String, _ text: String) throws {
        try File.replace(file(name), with: Array(text.utf8), durable: false)
    }
    func read(_ name: String) throws -> [UInt8] { try File.read(file(name)) }
    func text(_ name: String) throws -> String { try File.readText(file(name)) }

    /// Runs a script in the directory; what it says goes to a file.
    @discardableResult
    func shell(_ script: String) throws -> String {
        let log = "\(path)/log"
        let pid = try Spawn.start(
            "/bin/bash",
            [
                "bash", "-euc",
                "cd \(path); export GNUPGHOME=\(path)/gnupg HOME=\(path); exec >\(log) 2>&1; \(script)",
            ])
        let status = try Spawn.wait(pid)
        let output = try File.readText(log)
        guard status.exitCode == 0 else { throw ScriptError(output: output) }
        return output
    }

    struct ScriptError: Error { var output: String }

    /// Makes a GPG key without a passphrase and exports its public half.
    /// - Parameter options: of `--quick-gen-key`, behind the name.
    func gpgKey(_ name: String, _ options: String = "ed25519 sign never", as file: String) throws {
        try shell(
            """
            mkdir -p -m 700 gnupg
            gpg --batch --quiet --passphrase '' --quick-gen-key '\(name)' \(options)
            gpg --batch --export '\(name)' >\(file).gpg
            gpg --batch --armor --export '\(name)' >\(file).asc
            """)
    }
}

let manifest = Array(#"{"schemaVersion":2}"#.utf8)
let otherManifest = Array(#"{"schemaVersion":2,"other":1}"#.utf8)

func reference(_ text: String) -> DockerReference { DockerReference(parsing: text)! }

/// An image of a registry.
func image(_ text: String = "registry.example:5000/ns/app:v1", _ bytes: [UInt8] = manifest) -> PolicyImage {
    let name = reference(text)
    return PolicyImage(scope: PolicyScope(registry: name), reference: name, manifest: bytes)
}

func policy(_ text: String) throws -> TrustPolicy {
    try TrustPolicy(parsing: Array(text.utf8), origin: "the test's policy")
}

/// What a policy answers; nil when it accepts.
func refusal(_ policy: TrustPolicy, _ image: PolicyImage, _ signatures: [ImageSignature] = []) -> String? {
    do {
        try policy.check(image) { signatures }
        return nil
    } catch {
        return "\(error)"
    }
}
