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
