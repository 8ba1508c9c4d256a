import CommandGrammar
import ContainerEngine
import ContainerImage
import GoTemplate
import JSONText

enum InspectCommand {
    static let command = Command(
        "inspect", usage: "[OPTIONS] NAME [NAME...]",
        summary: "Show the configuration of containers, images and volumes",
        description:
            "A name with a transport (docker://NAME, oci:DIRECTORY, dir:DIRECTORY …) is an image elsewhere, which is looked at without being pulled.",
        arguments: .atLeast(1), completing: .objects("containers"),
        flags: {
            RemoteInspection.flags() + [
                Flag("format", short: "f", .string("TEMPLATE"), "Print by a Go template, or json"),
                size,
                Flag(
                    "type", .choice(["all", "container", "image", "volume"]), default: "all",
                    "Kind of object to look for"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        if values.arguments.contains(where: ImageSource.namesTransport) { return inspectElsewhere(values) }
        let engine = try GlobalFlags.engine(values)
        let type = values.string("type") ?? "all"
        return try inspect(values) { name in
            if type == "all" || type == "container" {
                do {
                    return try engine.inspect(engine.find(name), sized: values.bool("size"))
                } catch let error as EngineError where error.code == .notFound && type == "all" {}
            }
            if type == "all" || type == "image" {
                do {
                    return try engine.inspectImage(name)
                } catch let error as EngineError where error.code == .notFound && type == "all" {}
            }
            if type == "all" || type == "volume" {
                do {
                    return try engine.inspectVolume(name)
                } catch let error as EngineError where error.code == .notFound && type == "all" {}
            }
            throw EngineError(.notFound, "no such object: \"\(name)\"")
        }
    }

    static let size = Flag("size", short: "s", .bool, "Show what the files of containers take")

    private static func inspectElsewhere(_ values: Values) -> Int32 {
        CopyFlags.withExitCodes {
            for name in values.arguments {
                guard ImageSource.namesTransport(name) else {
                    throw EngineError(
                        .invalid, "\(name) names no transport: inspect it by a command of its own")
                }
                try RemoteInspection.show(name, values)
            }
            return 0
        }
    }

    /// Prints what was found as one JSON array, or by the template, and what was not as errors.
    static func inspect(_ values: Values, _ document: (String) throws -> JSON) throws -> Int32 {
        var found: [JSON] = []
        let code = forEach(values.arguments) { found.append(try document($0)) }
        if let format = values.string("format"), format != "json" {
            var template = try Template(format)
            template.missingField = .errorAtTop
            for document in found { Output.printLine(try template.render(document)) }
        } else {
            Output.printLine(JSON.array(found).text(indent: "    "))
        }
        return code
    }
}

enum ContainerInspectCommand {
    static let command = Command(
        "inspect", usage: "[OPTIONS] CONTAINER [CONTAINER...]",
        summary: "Show the configuration of containers",
        arguments: .atLeast(1), completing: .objects("containers"),
        flags: {
            [
                Flag("format", short: "f", .string("TEMPLATE"), "Print by a Go template, or json"),
                InspectCommand.size,
            ]
        },
        run: { values in
            let engine = try GlobalFlags.engine(values)
            let sized = values.bool("size")
            return try InspectCommand.inspect(values) { try engine.inspect(engine.find($0), sized: sized) }
        })
}
