internal import LinuxSystem

/// Signs with a key of the user's GPG keyring, by gpg(1): the key stays with gpg-agent.
public struct OpenPGPSigner: Sendable {
    private let key: String
    private let passphrase: [UInt8]?

    /// - Parameters:
    ///   - key: a fingerprint, an ID or an address, as `gpg --local-user` takes it.
    ///   - passphrase: nil to let gpg-agent ask for it.
    public init(key: String, passphrase: [UInt8]? = nil) {
        self.key = key
        self.passphrase = passphrase
    }

    public func sign(_ payload: SignaturePayload, creator: String) throws(TrustError) -> ImageSignature {
        let text = payload.bytes(type: SignaturePayload.simpleType, creator: creator, time: Int64(time(nil)))
        var arguments = ["--batch", "--local-user", key, "--output", "-"]
        if passphrase != nil {
            arguments += ["--pinentry-mode", "loopback", "--passphrase-fd", "3"]
        }
        let outcome: Tool.Outcome
        do throws(SystemError) {
            let input = try MemoryFile.make(text)
            let secret = try MemoryFile.make((passphrase ?? []) + [0x0A])
            outcome = try Tool.run(
                "gpg", arguments + ["--sign"], input: input,
                attached: passphrase == nil ? [] : [secret.raw], second: .errors,
                limit: ImageSignature.limit)
        } catch {
            let why = error.errno == .noEntry ? "gpg is not installed" : error.description
            throw TrustError(.key, "sign with the GPG key \(key)", why)
        }
        guard outcome.exitCode == 0, !outcome.outputs[0].isEmpty else {
            let lines = String(decoding: outcome.outputs[1].prefix(2000), as: UTF8.self)
                .split(separator: "\n").filter { $0.hasPrefix("gpg: ") && !$0.contains("WARNING") }
            throw TrustError(
                .key, "sign with the GPG key \(key)",
                lines.isEmpty
                    ? "gpg ended with exit code \(outcome.exitCode)"
                    : lines.prefix(3).map { $0.dropFirst(5) }.joined(separator: "; "))
        }
        return .simple(outcome.outputs[0])
    }
}
