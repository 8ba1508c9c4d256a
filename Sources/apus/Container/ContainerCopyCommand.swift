import CommandGrammar
import ContainerEngine

enum ContainerCopyCommand {
    static let command = Command(
        "cp", usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|- | SRC_PATH|- CONTAINER:DEST_PATH",
        summary: "Copy files between a container and this machine",
        description:
            "A directory is copied into one that exists, and becomes one that does not; of DIR/. the contents are copied. With - an archive is read from standard input or written to standard output. Without --archive files belong to root in a container, and here to the user.",
        arguments: .exactly(2), completing: .files,
        flags: {
            [
                Flag("archive", short: "a", .bool, "Keep owners"),
                Flag("follow-link", short: "L", .bool, "Copy what a symbolic link as SRC_PATH points to"),
                Flag("overwrite", .bool, "Let directories and other files take each other's places"),
                Flag(
                    "quiet", short: "q", .bool,
                    "Suppress output of progress (there is none; for compatibility)"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        var request = CopyRequest(
            CopyEnd(parsing: values.arguments[0]), to: CopyEnd(parsing: values.arguments[1]))
        request.keepsOwners = values.bool("archive")
        request.followsLink = values.bool("follow-link")
        request.overwrites = values.bool("overwrite")
        try GlobalFlags.engine(values).copy(request)
        return 0
    }
}
