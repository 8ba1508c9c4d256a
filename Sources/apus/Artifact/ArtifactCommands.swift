import CommandGrammar
import ContainerEngine
import ContainerImage
import LayerArchive

/// Files in registries that are no images, as podman handles them.
enum ArtifactCommands {
    static let command = Command(
        "artifact", summary: "Manage OCI artifacts: files in registries that are no images"
    ) {
        [
            ArtifactAddCommand.command, ArtifactExtractCommand.command, ArtifactInspectCommand.command,
            ArtifactListCommand.command, ArtifactPullCommand.command, ArtifactPushCommand.command,
            remove,
        ]
    }

    private static let remove = Command(
        "rm", aliases: ["remove"], usage: "[OPTIONS] ARTIFACT [ARTIFACT...]",
        summary: "Remove artifacts from the local store",
        description: "ARTIFACT is a full name, or the beginning of a digest.", arguments: .any,
        completing: .objects("artifacts"),
        flags: {
            [
                Flag("all", short: "a", .bool, "Remove all artifacts"),
                Flag("ignore", short: "i", .bool, "Do not fail when there is no such artifact"),
            ]
        },
        run: { values in
            let artifacts = Artifacts(store: try GlobalFlags.engine(values).store)
            if values.bool("all") {
                guard values.arguments.isEmpty else {
                    throw EngineError(
                        .invalid,
                        "when using the --all switch, you may not pass any artifact names or digests")
                }
                for artifact in try artifacts.all() where try artifacts.remove(artifact) {
                    Output.printLine(artifact.digest.hex)
                }
                return 0
            }
            guard !values.arguments.isEmpty else {
                throw EngineError(.invalid, "at least one artifact name or digest must be specified")
            }
            return forEach(values.arguments, failure: 125) { name in
                do {
                    Output.printLine(try artifacts.remove(name).hex)
                } catch let error as ImageError where error.code == .notFound && values.bool("ignore") {}
            }
        })

    static func annotations(_ values: Values) throws -> [String: String] {
        var annotations: [String: String] = [:]
        for text in values.list("annotation") {
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
                throw EngineError(.invalid, "invalid --annotation \"\(text)\": expected KEY=VALUE")
            }
            annotations[String(text[..<equals])] = String(text[text.index(after: equals)...])
        }
        return annotations
    }
}
