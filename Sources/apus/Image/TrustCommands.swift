import CommandGrammar
import ContainerEngine
import GoTemplate
import ImageTrust
import JSONText
import LinuxSystem

enum TrustCommands {
    static let command = Command("trust", summary: "Manage which images are trusted") { [show, set] }

    private static let policy = Flag(
        "signature-policy", aliases: ["policypath"], .string("FILE"),
        "Policy, instead of the one that counts",
        completing: .files)

    static let show = Command(
        "show", usage: "[OPTIONS] [REGISTRY]", summary: "Show which images are trusted",
        description: "With REGISTRY only what is said of it and below it.",
        arguments: .between(0, 1),
        flags: {
            [
                Flag("json", short: "j", .bool, "Print JSON"),
                Flag("noheading", short: "n", .bool, "Print no column headings"),
                Flag("raw", .bool, "Print the policy as it is"),
                Flag(
                    "registrypath", aliases: ["registries.d"], .string("DIR"),
                    "Directory that says where signatures are kept", completing: .directories),
                policy,
            ]
        },
        run: { values in
            let file = try PolicyFile(values.string("signature-policy"))
            if values.bool("raw") {
                Output.print(String(decoding: file.bytes, as: UTF8.self))
                if file.bytes.last != 0x0A { Output.print("\n") }
                return 0
            }
            var entries = try file.entries(places: SignaturePlaces.load(values.string("registrypath")))
            if let wanted = values.arguments.first {
                entries = entries.filter { $0.name == wanted || $0.name.hasPrefix(wanted + "/") }
            }
            if values.bool("json") {
                Output.printLine(JSON.array(entries.map(\.json)).text(indent: "  "))
                return 0
            }
            var table = Table(padding: 2, minimumWidth: 12)
            if !values.bool("noheading") { table.append(["TRANSPORT", "NAME", "TYPE", "ID", "STORE"]) }
            for entry in entries {
                table.append([
                    entry.transport, entry.name, entry.type, entry.owners.joined(separator: ", "),
                    entry.store ?? "",
                ])
            }
            Output.print(table.text)
            return 0
        })

    static let set = Command(
        "set", usage: "[OPTIONS] REGISTRY", summary: "Set which images of a registry are trusted",
        description: "REGISTRY is a host, a namespace, a repository or an image, or: default.",
        examples: [
            "apus image trust set --type reject default",
            "apus image trust set -f /etc/pki/alice.gpg registry.example/alice",
        ],
        arguments: .exactly(1),
        flags: {
            [
                Flag(
                    "pubkeysfile", short: "f", .list("FILE"), "Public key that must have signed",
                    completing: .files),
                policy,
                Flag(
                    "type", short: "t",
                    .choice(["accept", "insecureAcceptAnything", "reject", "signedBy", "sigstoreSigned"]),
                    default: "signedBy", "What is required"),
            ]
        },
        run: { values in
            let scope = values.arguments[0]
            guard isScope(scope) else {
                throw EngineError(
                    .invalid, "invalid image uri: \"\(scope)\": expected HOST[:PORT][/NAME[:TAG]] or default")
            }
            let type = values.string("type") ?? "signedBy"
            let change = PolicyChange(
                scope: scope, type: type == "accept" ? "insecureAcceptAnything" : type,
                keyPaths: try values.list("pubkeysfile").map { path in
                    guard let real = realpath(path, nil) else {
                        throw EngineError(.notFound, "the public key \(path) cannot be found")
                    }
                    defer { free(real) }
                    return String(cString: real)
                })
            try change.apply(to: values.string("signature-policy") ?? TrustPolicy.systemPath)
            return 0
        })

    /// `default`, `*.DOMAIN`, or a name or the begin of one.
    private static func isScope(_ text: String) -> Bool {
        let rest = text.hasPrefix("*.") ? text.dropFirst(2) : text[...]
        guard let first = rest.utf8.first, first != UInt8(ascii: "/") else { return false }
        return rest.unicodeScalars.allSatisfy { character in
            character.isASCII
                && (character.properties.isAlphabetic || ("0"..."9").contains(character)
                    || "-_.:/@".unicodeScalars.contains(character))
        }
    }
}

enum GenerateKeyCommand {
    static let command = Command(
        "generate-sigstore-key", usage: "[OPTIONS] --output-prefix PREFIX",
        summary: "Make a pair of keys for sigstore signatures",
        description:
            "Writes PREFIX.private, encrypted with a passphrase, and PREFIX.pub, which a policy names.",
        arguments: .none,
        flags: {
            [
                Flag("output-prefix", .string("PREFIX"), "Write PREFIX.private and PREFIX.pub"),
                Flag(
                    "passphrase-file", .string("FILE"), "Read the passphrase for the private key from FILE",
                    completing: .files),
            ]
        },
        run: { values in
            guard let prefix = values.string("output-prefix"), !prefix.isEmpty else {
                throw EngineError(.invalid, "expected --output-prefix PREFIX")
            }
            let files = (secret: "\(prefix).private", open: "\(prefix).pub")
            for path in [files.secret, files.open] where File.exists(path) {
                throw EngineError(.conflict, "refusing to overwrite the existing \(path)")
            }
            let passphrase: [UInt8]
            if let file = values.string("passphrase-file") {
                passphrase = try TrustFlags.readPassphrase(file)
            } else {
                passphrase = try TrustFlags.askPassphrase(
                    "Passphrase for \(files.secret): ", "--passphrase-file")
                guard try TrustFlags.askPassphrase("Repeat it: ", "--passphrase-file") == passphrase else {
                    throw EngineError(.invalid, "the two passphrases are not the same")
                }
            }
            let key = try SigstorePrivateKey.generate()
            try File.replace(
                files.secret, with: Array(try key.encrypted(passphrase: passphrase).utf8), mode: 0o600)
            try File.replace(files.open, with: Array(key.publicText.utf8))
            Output.printLine("Key written to \"\(files.secret)\" and \"\(files.open)\"")
            return 0
        })
}
