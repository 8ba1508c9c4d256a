import CommandGrammar
import ContainerEngine
import ContainerStorage
import GoTemplate
import JSONText
import LayerArchive

enum ImageMountCommand {
    static let command = Command(
        "mount", usage: "[OPTIONS] [IMAGE...]", summary: "Show the files of images, to read only",
        description:
            "Prints the directory in which the image's files are. Without an image, lists those that are mounted. Each mount of an image asks for one unmount.",
        arguments: .any, completing: .objects("images"),
        flags: {
            [
                Flag("all", short: "a", .bool, "Mount all images"),
                Flag("format", .choice(["json"]), "Print as JSON"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        let all = values.bool("all")
        guard !all || values.arguments.isEmpty else {
            throw EngineError(.invalid, "--all and names of images contradict each other")
        }
        let isListing = !all && values.arguments.isEmpty
        let mounted: [(image: ImageRecord, path: String)]
        if isListing {
            mounted = try engine.mountedImages()
        } else {
            let images =
                try all ? engine.store.images() : values.arguments.map { try engine.requireImage($0) }
            mounted = try engine.mount(images)
        }
        if values.string("format") != nil {
            let rows = mounted.map { mount -> JSON in
                [
                    "id": .string(mount.image.id.hex), "Names": mount.image.repoDigests.json,
                    "Repositories": mount.image.names.json, "mountpoint": .string(mount.path),
                ]
            }
            Output.printLine(JSON.array(rows).text(indent: " "))
        } else if values.arguments.count == 1 {
            Output.printLine(mounted[0].path)
        } else {
            for mount in mounted {
                Output.printLine("\(mount.image.names.first ?? mount.image.id.hex)  \(mount.path)")
            }
        }
        return 0
    }
}

enum ImageUnmountCommand {
    static let command = Command(
        "unmount", aliases: ["umount"], usage: "[OPTIONS] IMAGE [IMAGE...]",
        summary: "Take mounts of images back", arguments: .any, completing: .objects("images"),
        flags: {
            [
                Flag("all", short: "a", .bool, "Unmount all mounted images"),
                Flag("force", short: "f", .bool, "Unmount however often the images were mounted"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        guard values.bool("all") != !values.arguments.isEmpty else {
            throw EngineError(
                .invalid,
                values.bool("all")
                    ? "--all and names of images contradict each other"
                    : "name at least one image, or use --all")
        }
        let names =
            try values.bool("all") ? engine.mountedImages().map(\.image.id.description) : values.arguments
        return forEach(names, failure: 125) { name in
            let image = try engine.requireImage(name)
            if try engine.store.unmountImage(image.id, force: values.bool("force")) || !values.bool("all") {
                Output.printLine(image.id.hex)
            }
        }
    }
}
