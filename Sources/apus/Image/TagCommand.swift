import CommandGrammar
import ContainerEngine
import ContainerImage
import ContainerStorage
import LayerArchive

enum TagCommand {
    static let command = Command(
        "tag", usage: "IMAGE TARGET [TARGET...]", summary: "Give an image another name",
        arguments: .atLeast(2), completing: .objects("images"), run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        let image = try engine.requireImage(values.arguments[0])
        for target in values.arguments.dropFirst() {
            try engine.store.tag(image.id, engine.localName(target))
        }
        return 0
    }
}

enum RmiCommand {
    static let command = Command(
        "rmi", usage: "[OPTIONS] IMAGE [IMAGE...]", summary: "Remove one or more images",
        description:
            "Takes a name away and removes the image with its last one. An image that a container uses stays.",
        arguments: .any, completing: .objects("images"),
        flags: {
            [
                Flag("all", short: "a", .bool, "Remove all images"),
                Flag(
                    "force", short: "f", .bool,
                    "Remove the containers that use the image too, and all of its names"),
                Flag("ignore", short: "i", .bool, "No error for an image that does not exist"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        let all = values.bool("all")
        guard all != !values.arguments.isEmpty else {
            throw EngineError(
                .invalid,
                all
                    ? "--all and names of images contradict each other"
                    : "name at least one image, or use --all")
        }
        let names = all ? try engine.store.images().map(\.id.hex) : values.arguments
        return forEach(names) { name in
            do {
                for line in try engine.removeImage(name, force: values.bool("force"), allNames: all) {
                    Output.printLine(line)
                }
            } catch let error as EngineError where error.code == .notFound && values.bool("ignore") {}
        }
    }
}

enum ImageInspectCommand {
    static let command = Command(
        "inspect", usage: "[OPTIONS] IMAGE [IMAGE...]", summary: "Show the configuration of images",
        description:
            "A name with a transport (docker://NAME, oci:DIRECTORY, dir:DIRECTORY …) is an image elsewhere, which is looked at without being pulled; with --remote a plain name is a registry's, too.",
        arguments: .atLeast(1), completing: .objects("images"),
        flags: {
            RemoteInspection.flags() + [
                Flag("format", short: "f", .string("TEMPLATE"), "Print by a Go template, or json"),
                Flag("remote", .bool, "Look at the registry's image, not at one that is here"),
            ]
        },
        run: { values in
            let names = values.arguments
            if values.bool("remote") || names.contains(where: ImageSource.namesTransport) {
                return CopyFlags.withExitCodes {
                    for name in names { try RemoteInspection.show(name, values) }
                    return 0
                }
            }
            let engine = try GlobalFlags.engine(values)
            return try InspectCommand.inspect(values) { try engine.inspectImage($0) }
        })
}
