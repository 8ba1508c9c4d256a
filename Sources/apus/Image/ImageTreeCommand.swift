import CommandGrammar
import ContainerEngine
import ContainerStorage
import LayerArchive

enum ImageTreeCommand {
    static let command = Command(
        "tree", usage: "[OPTIONS] IMAGE", summary: "Show the layers of an image",
        description:
            "Prints each layer with the size of its files, the names of the images that it is the topmost of, and how many other images have it.",
        arguments: .exactly(1), completing: .objects("images"),
        flags: {
            [Flag("whatrequires", .bool, "Show the images that are made of this one's layers and more")]
        },
        run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        let image = try engine.requireImage(values.arguments[0])
        let layers = try engine.layers(of: image)
        Output.printLine("Image ID: \(image.id.short)")
        Output.printLine("Tags:     [\(image.names.joined(separator: " "))]")
        Output.printLine("Size:     \(Human.size(image.size))")
        if values.bool("whatrequires") {
            try printUsers(of: image, engine)
            return 0
        }
        if layers.isEmpty {
            Output.printLine("No Image Layers")
            return 0
        }
        Output.printLine("Image Layers")
        let sizes = layers.map { Human.size($0.size) }
        let width = sizes.map(\.count).max()!
        for (index, layer) in layers.enumerated() {
            var line = index == layers.count - 1 ? "└──" : "├──"
            line += " ID: \(layer.diffID.short) Size: "
            line += String(repeating: " ", count: width - sizes[index].count) + sizes[index]
            if !layer.topOf.isEmpty { line += " Top Layer of: [\(layer.topOf.joined(separator: " "))]" }
            if layer.sharedBy > 0 {
                line += " Shared with \(layer.sharedBy) other image\(layer.sharedBy == 1 ? "" : "s")"
            }
            Output.printLine(line)
        }
        return 0
    }

    private static func printUsers(of image: ImageRecord, _ engine: Engine) throws {
        let users = try engine.store.images().filter {
            $0.id != image.id && $0.diffIDs.count >= image.diffIDs.count
                && $0.diffIDs.starts(with: image.diffIDs)
        }
        Output.printLine("Required by")
        for (index, user) in users.enumerated() {
            let name = user.names.isEmpty ? "<none>" : user.names.joined(separator: " ")
            Output.printLine(
                "\(index == users.count - 1 ? "└──" : "├──") ID: \(user.id.short) Size: \(Human.size(user.size)) Tags: [\(name)]"
            )
        }
    }
}
