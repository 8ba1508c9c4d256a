import CommandGrammar
import ContainerEngine
import ContainerImage
import LayerArchive

enum ArtifactAddCommand {
    static let command = Command(
        "add", usage: "[OPTIONS] ARTIFACT PATH [PATH...]", summary: "Make an artifact of files",
        description:
            "ARTIFACT is a full name, with the registry: localhost/models/small:1. A file's name is kept in its annotation org.opencontainers.image.title, unless --annotation gives another, and its type is what its first bytes say. Prints the digest of the artifact.",
        arguments: .atLeast(2), completing: .files,
        flags: {
            [
                Flag(
                    "annotation", .list("KEY=VALUE"),
                    "Set an annotation of the files and of the new artifact"),
                Flag("append", short: "a", .bool, "Add the files to an artifact that is here"),
                Flag("file-type", .string("TYPE"), "Media type of the files, instead of what they look like"),
                Flag("replace", .bool, "Replace the artifact that has this name"),
                Flag(
                    "subject", .string("IMAGE"),
                    "Say that the artifact is about IMAGE, one that is here or a registry's: what is pushed is then found by apus image referrers"
                ),
                Flag("type", .string("TYPE"), "Type of the artifact"),
            ] + RegistryFlags.flags() + [RegistryFlags.verification]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        guard !values.bool("append") || !values.bool("replace") else {
            throw EngineError(.invalid, "--append and --replace options cannot be used together")
        }
        var addition = ArtifactAddition(
            mode: values.bool("append") ? .append : values.bool("replace") ? .replace : .new,
            type: values.string("type").flatMap { $0.isEmpty ? nil : $0 })
        addition.fileType = values.string("file-type").flatMap { $0.isEmpty ? nil : $0 }
        addition.annotations = try ArtifactCommands.annotations(values)
        addition.subject = values.string("subject")
        var options = TransferOptions()
        RegistryFlags.apply(values, to: &options)
        options.stores = GlobalFlags.stores(values)
        let artifacts = Artifacts(store: try GlobalFlags.engine(values).store, options: options)
        let digest = try artifacts.add(
            Array(values.arguments.dropFirst()), to: values.arguments[0], addition)
        Output.printLine(digest.hex)
        return 0
    }
}
