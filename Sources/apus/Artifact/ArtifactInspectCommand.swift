import CommandGrammar
import ContainerEngine
import ContainerImage
import GoTemplate
import JSONText
import OCISpec

enum ArtifactInspectCommand {
    static let command = Command(
        "inspect", usage: "[OPTIONS] ARTIFACT", summary: "Show an artifact's manifest",
        description:
            "ARTIFACT is a full name, or the beginning of a digest. A template has the fields .Digest, .Manifest, .Name and .TotalSizeBytes; those of the manifest are called as in Go: .Manifest.Layers, .Manifest.ArtifactType.",
        arguments: .exactly(1), completing: .objects("artifacts"),
        flags: {
            [
                Flag(
                    "format", short: "f", .string("TEMPLATE"), default: "json",
                    "Print by a Go template, or json")
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let artifact = try Artifacts(store: GlobalFlags.engine(values).store).find(values.arguments[0])
        let format = values.string("format") ?? ""
        guard !format.isEmpty, format != "json" else {
            let document: JSON = [
                "Manifest": artifact.manifest.json, "Name": .string(artifact.name),
                "Digest": .string("\(artifact.digest)"),
            ]
            Output.printLine(document.text(indent: "     "))
            return 0
        }
        var fields: JSONObject = [
            "Digest": .string("\(artifact.digest)"), "Name": .string(artifact.name),
            "Manifest": fields(of: artifact.manifest), "TotalSizeBytes": .integer(artifact.size),
        ]
        fields["Artifact"] = .object(fields)
        var template = try Template(format)
        template.missingField = .errorAtTop
        Output.printLine(try template.render(.object(fields)))
        return 0
    }

    private static func fields(of manifest: ImageManifest) -> JSON {
        var object = goNames(manifest.json).object ?? [:]
        // What Go's structures have even when it was left out.
        object["ArtifactType"] = .string(manifest.artifactType ?? "")
        object["Annotations"] = manifest.annotations.json
        return .object(object)
    }

    /// A document with its members called as Go's fields are; annotations keep their names.
    private static func goNames(_ json: JSON) -> JSON {
        switch json {
        case .array(let elements): return .array(elements.map(goNames))
        case .object(let object):
            var result = JSONObject()
            for (name, value) in object.members {
                let field = name == "urls" ? "URLs" : name.prefix(1).uppercased() + name.dropFirst()
                result[field] = name == "annotations" ? value : goNames(value)
            }
            return .object(result)
        default: return json
        }
    }
}
