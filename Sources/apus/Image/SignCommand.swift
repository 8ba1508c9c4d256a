import CommandGrammar
import ContainerEngine
import ContainerImage
import ImageTrust
import LinuxSystem

enum SignCommand {
    static let command = Command(
        "sign", usage: "[OPTIONS] IMAGE [IMAGE...]",
        summary: "Sign an image of a registry with a key of GPG's",
        description:
            "Writes a signature of docker://NAME to the place that registries.d names, or below --directory. Sigstore signatures are made by push and copy (--sign-by-sigstore-private-key).",
        examples: ["apus image sign --sign-by alice@example.com docker://registry.example/app:1"],
        arguments: .atLeast(1),
        flags: {
            RegistryFlags.flags() + [
                Flag("all", short: "a", .bool, "Sign each image of a multi-platform image"),
                Flag(
                    "directory", short: "d", .string("DIR"), "Write the signatures below DIR",
                    completing: .directories),
                Flag(
                    "registries.d", .string("DIR"), "Directory that says where signatures are kept",
                    completing: .directories),
                Flag("sign-by", .string("FINGERPRINT"), "Sign with this key of GPG's"),
                Flag(
                    "sign-passphrase-file", .string("FILE"), "Read the passphrase of the key from FILE",
                    completing: .files),
                RegistryFlags.verification,
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        guard let key = values.string("sign-by"), !key.isEmpty else {
            throw EngineError(.invalid, "no identity provided: use --sign-by")
        }
        let passphrase = try values.string("sign-passphrase-file").map(TrustFlags.readPassphrase)
        var job = SignJob(OpenPGPSigner(key: key, passphrase: passphrase))
        job.creator = TrustFlags.creator
        job.signsAll = values.bool("all")
        RegistryFlags.apply(values, to: &job.options)
        job.options.trust.registriesDirectory = values.string("registries.d")
        if let directory = values.string("directory") {
            guard try File.status(directory).st_mode & S_IFMT == S_IFDIR else {
                throw EngineError(.invalid, "--directory \(directory): it is no directory")
            }
            job.directory = directory
        }
        for name in values.arguments { try job.run(ImageSource(parsing: name)) }
        return 0
    }
}

// MARK: Files alone

enum ManifestDigestCommand {
    static let command = Command(
        "manifest-digest", usage: "MANIFEST", summary: "Print the digest of a manifest in a file",
        arguments: .exactly(1), completing: .files,
        run: { values in
            CopyFlags.withExitCodes {
                Output.printLine("\(try StandaloneManifest(values.arguments[0]).digest)")
                return 0
            }
        })
}

enum StandaloneSignCommand {
    static let command = Command(
        "standalone-sign", usage: "[OPTIONS] MANIFEST NAME FINGERPRINT",
        summary: "Sign a manifest in a file",
        description:
            "The signature says that NAME leads to MANIFEST, and is by the key FINGERPRINT of GPG's keyring. To sign an image of a registry, use `apus image sign`, or --sign-by of push and copy.",
        arguments: .exactly(3), completing: .files,
        flags: {
            [
                Flag(
                    "output", short: "o", .string("FILE"), "Write the signature to FILE", completing: .files),
                Flag(
                    "passphrase-file", .string("FILE"), "Read the passphrase of the key from FILE",
                    completing: .files),
            ]
        }, run: { values in CopyFlags.withExitCodes { try run(values) } })

    static func run(_ values: Values) throws -> Int32 {
        guard let output = values.string("output"), !output.isEmpty else {
            throw EngineError(.invalid, "there is no place for the signature: use --output")
        }
        let passphrase = try values.string("passphrase-file").map(TrustFlags.readPassphrase)
        try StandaloneManifest(values.arguments[0]).sign(
            as: values.arguments[1], by: OpenPGPSigner(key: values.arguments[2], passphrase: passphrase),
            creator: TrustFlags.creator, to: output)
        return 0
    }
}

enum StandaloneVerifyCommand {
    static let command = Command(
        "standalone-verify", usage: "[OPTIONS] MANIFEST NAME FINGERPRINT[,FINGERPRINT...]|any SIGNATURE",
        summary: "Verify a signature of a manifest in a file",
        description:
            "Succeeds when one of the keys signed that NAME leads to MANIFEST. The keys are those of GPG's keyring, or of --public-key-file, of which `any` may have signed.",
        arguments: .exactly(4), completing: .files,
        flags: {
            [
                Flag(
                    "public-key-file", .string("FILE"), "Take the keys from FILE instead of the keyring",
                    completing: .files)
            ]
        }, run: { values in CopyFlags.withExitCodes { try run(values) } })

    static func run(_ values: Values) throws -> Int32 {
        let arguments = values.arguments
        let fingerprints =
            arguments[2] == "any" ? nil : arguments[2].split(separator: ",").map(String.init)
        let verifier: OpenPGPVerifier
        if let path = values.string("public-key-file"), !path.isEmpty {
            verifier = try OpenPGPVerifier(
                keys: File.read(path, limit: 16 << 20), fingerprints: fingerprints)
        } else {
            guard let fingerprints else {
                throw EngineError(.invalid, "any key of which file? Use --public-key-file")
            }
            verifier = try OpenPGPVerifier(userKeys: fingerprints)
        }
        let manifest = try StandaloneManifest(arguments[0])
        let signer = try manifest.verify(as: arguments[1], by: verifier, signature: arguments[3])
        Output.printLine("Signature verified using fingerprint \(signer), digest \(manifest.digest)")
        return 0
    }
}
