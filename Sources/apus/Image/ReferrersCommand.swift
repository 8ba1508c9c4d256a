import CommandGrammar
import ContainerImage
import GoTemplate
import JSONText
import OCISpec

enum ReferrersCommand {
    static let command = Command(
        "referrers", usage: "[OPTIONS] docker://NAME",
        summary: "List what refers to a registry's image: signatures, bills of materials",
        arguments: .exactly(1),
        flags: {
            CopyFlags.place("", hasFiles: false) + [
                Flag("artifact-type", .string("TYPE"), "Only artifacts of this type"),
                Flag("format", .string("TEMPLATE"), "Print by a Go template, or json"),
                CopyFlags.repetition,
            ]
        }, run: { values in CopyFlags.withExitCodes { try run(values) } })

    static func run(_ values: Values) throws -> Int32 {
        let text = values.arguments[0]
        let place = try RegistryPlace(
            text.hasPrefix("docker://") ? String(text.dropFirst(9)) : text,
            options: CopyFlags.options(values, "", hasFiles: false))
        let rows = try place.referrers(artifactType: values.string("artifact-type")).map { referrer -> JSON in
            [
                "Digest": .string(referrer.digest), "ArtifactType": .string(referrer.artifactType ?? ""),
                "MediaType": .string(referrer.mediaType), "Size": .integer(referrer.size),
                "Annotations": referrer.annotations.json,
            ]
        }
        let format = try ListingFormat(
            values.string("format"), default: #"table {{.Digest}}\t{{.ArtifactType}}\t{{.Size}}"#,
            headings: [
                "Digest": "DIGEST", "ArtifactType": "ARTIFACT TYPE", "MediaType": "MEDIA TYPE",
                "Size": "SIZE",
                "Annotations": "ANNOTATIONS",
            ])
        Output.print(try format.render(rows))
        return 0
    }
}
