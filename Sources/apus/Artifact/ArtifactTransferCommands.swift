import CommandGrammar
import ContainerEngine
import ContainerImage
import LinuxSystem

enum ArtifactPullCommand {
    static let command = Command(
        "pull", usage: "[OPTIONS] ARTIFACT", summary: "Pull an artifact from a registry",
        description: "ARTIFACT is a full name, with the registry. One of this name that is here is replaced.",
        arguments: .exactly(1), completing: .objects("artifacts"),
        flags: { ArtifactTransfer.flags() + TrustFlags.policy() + RegistryFlags.repetition() },
        run: { values in
            try ArtifactTransfer.artifacts(values).pull(values.arguments[0])
            return 0
        })
}

enum ArtifactPushCommand {
    static let command = Command(
        "push", usage: "[OPTIONS] ARTIFACT", summary: "Push an artifact to the registry that its name says",
        arguments: .exactly(1), completing: .objects("artifacts"),
        flags: {
            ArtifactTransfer.flags() + TrustFlags.policy() + TrustFlags.signing() + [
                Flag(
                    "digestfile", .string("FILE"), "Write the digest of the pushed artifact to FILE",
                    completing: .files)
            ] + RegistryFlags.repetition()
        },
        run: { values in
            let signing = try TrustFlags.signing(values)
            let digest = try ArtifactTransfer.artifacts(values).push(values.arguments[0], signing: signing)
            if let file = values.string("digestfile") {
                try File.replace(file, with: Array("\(digest)".utf8), durable: false)
            }
            return 0
        })
}

private enum ArtifactTransfer {
    static func flags() -> [Flag] {
        PullCommand.transferFlags() + RegistryFlags.flags() + [
            Flag("creds", .string("[USER[:PASSWORD]]"), "Credentials for the registry")
        ]
    }

    static func artifacts(_ values: Values) throws -> Artifacts {
        var options = TransferOptions()
        RegistryFlags.apply(values, to: &options)
        try RegistryFlags.applyRepetition(values, to: &options)
        options.credentials = values.string("creds")
        TrustFlags.apply(values, to: &options)
        return Artifacts(
            store: try GlobalFlags.engine(values).store, options: options,
            progress: TransferDisplay(quiet: values.bool("quiet")))
    }
}
