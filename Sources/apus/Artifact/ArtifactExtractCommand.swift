import CommandGrammar
import ContainerEngine
import ContainerImage

enum ArtifactExtractCommand {
    static let command = Command(
        "extract", usage: "[OPTIONS] ARTIFACT PATH", summary: "Write the files of an artifact to PATH",
        description:
            "ARTIFACT is a full name, or the beginning of a digest. A PATH that is a directory gets all files under their names, or those without one under their digests; another PATH becomes the one file that the artifact has, or that was chosen. What is there is overwritten.",
        arguments: .exactly(2), completing: .objects("artifacts"),
        flags: {
            [
                Flag(
                    "digest", .string("DIGEST"),
                    "Write only the file with this digest, and call it so in a directory"),
                Flag("title", .string("TITLE"), "Write only the file of this name"),
            ]
        },
        run: { values in
            let digest = values.string("digest") ?? ""
            let title = values.string("title") ?? ""
            guard digest.isEmpty || title.isEmpty else {
                throw EngineError(.invalid, "cannot specify both digest and title")
            }
            try Artifacts(store: GlobalFlags.engine(values).store).extract(
                values.arguments[0],
                !digest.isEmpty ? .digest(digest) : !title.isEmpty ? .title(title) : .all,
                to: values.arguments[1])
            return 0
        })
}
