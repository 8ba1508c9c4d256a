import CommandGrammar
import ContainerEngine
import ContainerImage
import ImageTrust
import LinuxSystem

/// Flags about what is trusted, and about signatures.
enum TrustFlags {
    static func policy() -> [Flag] {
        [
            Flag("insecure-policy", .bool, "Accept images whatever the policy says"),
            Flag(
                "registries.d", .string("DIR"), "Directory that says where signatures are kept",
                completing: .directories),
            Flag(
                "signature-policy", aliases: ["policy"], .string("FILE"),
                "Policy that says which images are trusted", completing: .files),
        ]
    }

    static func apply(_ values: Values, to options: inout TransferOptions) {
        options.trust.ignoresPolicy = values.bool("insecure-policy")
        options.trust.registriesDirectory = values.string("registries.d")
        options.trust.policy = values.string("signature-policy")
    }

    // MARK: Signing

    static func signing() -> [Flag] {
        [
            Flag("remove-signatures", .bool, "Leave the signatures of the source behind"),
            Flag("sign-by", .string("FINGERPRINT"), "Sign with this key of GPG's"),
            Flag(
                "sign-by-sigstore-private-key", .string("FILE"), "Sign with this private key of sigstore's",
                completing: .files),
            Flag(
                "sign-identity", .string("NAME"), "The whole name to sign, instead of the destination's"),
            Flag(
                "sign-passphrase-file", .string("FILE"), "Read the passphrase of the key from FILE",
                completing: .files),
        ]
    }

    static let creator = "apus \(Application.version)"

    static func signing(_ values: Values) throws -> ImageSigning {
        var signing = ImageSigning()
        signing.creator = creator
        signing.leavesSignatures = values.bool("remove-signatures")
        let passphrase = try values.string("sign-passphrase-file").map(readPassphrase)
        if let key = values.string("sign-by") {
            guard passphrase == nil || !values.isSet("sign-by-sigstore-private-key") else {
                throw EngineError(
                    .invalid,
                    "--sign-passphrase-file is for one key: leave out --sign-by or --sign-by-sigstore-private-key"
                )
            }
            signing.openPGP = OpenPGPSigner(key: key, passphrase: passphrase)
        }
        if let path = values.string("sign-by-sigstore-private-key") {
            let text = try File.read(path, limit: 1 << 20)
            let secret = try passphrase ?? askPassphrase("Passphrase for \(path): ", "--sign-passphrase-file")
            signing.sigstore = try SigstorePrivateKey(encrypted: text, passphrase: secret, name: path)
        }
        if let text = values.string("sign-identity") {
            guard let name = DockerReference(parsing: text), !name.isNameOnly else {
                throw EngineError(
                    .invalid, "invalid --sign-identity \"\(text)\": it is no name with a tag or a digest")
            }
            signing.identity = name
        }
        return signing
    }

    /// The first line of a file.
    static func readPassphrase(_ path: String) throws -> [UInt8] {
        Array(try File.read(path, limit: 1 << 20).prefix { $0 != 0x0A })
    }

    static func askPassphrase(_ prompt: String, _ flag: String) throws -> [UInt8] {
        guard Terminal.isTerminal(STDIN_FILENO) else {
            throw EngineError(.invalid, "cannot ask for a passphrase without a terminal: use \(flag)")
        }
        return Array(try Terminal.askSecret(prompt).utf8)
    }
}
