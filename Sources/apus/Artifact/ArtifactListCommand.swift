import CommandGrammar
import ContainerEngine
import ContainerImage
import GoTemplate
import JSONText
import LayerArchive
import LinuxSystem

enum ArtifactListCommand {
    static let command = Command(
        "ls", aliases: ["list"], summary: "List artifacts",
        flags: {
            [
                Flag(
                    "format", .string("TEMPLATE"),
                    "Print by a Go template, or json: .Created, .CreatedAt, .Digest, .Repository, .Size, .Tag, .VirtualSize"
                ),
                Flag("no-trunc", .bool, "Do not truncate output"),
                Flag("noheading", short: "n", .bool, "Leave the heading out"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let artifacts = try Artifacts(store: GlobalFlags.engine(values).store).all()
        let format = try ListingFormat(
            values.string("format"),
            default: #"table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.Created}}\t{{.Size}}"#,
            headings: [
                "Repository": "REPOSITORY", "Tag": "TAG", "Digest": "DIGEST", "Created": "CREATED",
                "CreatedAt": "CREATED AT", "Size": "SIZE", "VirtualSize": "VIRTUAL SIZE",
            ])
        let rows = try artifacts.map { try row($0, truncate: !values.bool("no-trunc")) }
        Output.print(try format.render(rows, heading: !values.bool("noheading")))
        return 0
    }

    private static func row(_ artifact: Artifact, truncate: Bool) throws -> JSON {
        let name = try ImageReference(parsing: artifact.name)
        return [
            "Repository": .string(name.repository), "Tag": .string(name.tag ?? ""),
            "Digest": .string(truncate ? String(artifact.digest.hex.prefix(12)) : artifact.digest.hex),
            "Created": .string(artifact.created.map { Human.age($0, .now) + " ago" } ?? ""),
            "CreatedAt": .string(artifact.created.map(universal) ?? ""),
            "Size": .string(Human.size(artifact.size)), "VirtualSize": .string("\(artifact.size)"),
        ]
    }

    /// As Go prints a time: `2006-01-02 15:04:05.999 +0000 UTC`.
    private static func universal(_ time: Timestamp) -> String {
        time.description.dropLast().split(separator: "T").joined(separator: " ") + " +0000 UTC"
    }
}
