import CommandGrammar
import ContainerEngine
import ContainerStorage
import LayerArchive

enum ImageTreeCommand {
    static let command = Command(
        "tree", usage: "[OPTIONS] IMAGE", summary: "Show the layers of an image, and who shares them",
        arguments: .exactly(1), completing: .objects("images"),
        flags: { [Flag("whatrequires", .bool, "Show all images that are made on top of it")] }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        let image = try engine.requireImage(values.arguments[0])
        let all = try engine.store.images()
        Output.printLine("Image ID: \(image.id.short)")
        Output.printLine("Tags:     [\(image.names.joined(separator: " "))]")
        Output.printLine("Size:     \(Human.size(image.size))")
        if values.bool("whatrequires") {
            Output.printLine("Image ID: \(image.id.short)")
            let above = all.filter { $0.id != image.id && isBase(image.diffIDs, of: $0.diffIDs) }
            Output.print(try children(of: image.diffIDs, above, all, engine.store, indent: ""))
            return 0
        }
        Output.printLine("Image Layers")
        for position in image.diffIDs.indices {
            let chain = Array(image.diffIDs[...position])
            let branch = position == image.diffIDs.count - 1 ? "└── " : "├── "
            Output.printLine(branch + (try line(chain, all, engine.store)))
        }
        return 0
    }

    private static func isBase(_ chain: [Digest], of other: [Digest]) -> Bool {
        other.count > chain.count && Array(other[..<chain.count]) == chain
    }

    /// A chain's highest layer, and the images that end with it.
    private static func line(_ chain: [Digest], _ all: [ImageRecord], _ store: Store) throws -> String {
        let size = try store.layerSize(chain[chain.count - 1])
        let tops = all.filter { $0.diffIDs == chain }.flatMap { $0.names.isEmpty ? ["<none>"] : $0.names }
        return "ID: \(chain[chain.count - 1].short) Size: \(size.map(Human.size) ?? "?")"
            + (tops.isEmpty ? "" : " Top Layer of: [\(tops.joined(separator: " "))]")
    }

    private static func children(
        of chain: [Digest], _ above: [ImageRecord], _ all: [ImageRecord], _ store: Store, indent: String
    ) throws -> String {
        var text = ""
        var next: [[Digest]] = []
        for image in above {
            let longer = Array(image.diffIDs[...chain.count])
            if !next.contains(longer) { next.append(longer) }
        }
        for (position, longer) in next.enumerated() {
            let isLast = position == next.count - 1
            text += indent + (isLast ? "└── " : "├── ") + (try line(longer, all, store)) + "\n"
            text += try children(
                of: longer, above.filter { isBase(longer, of: $0.diffIDs) }, all, store,
                indent: indent + (isLast ? "    " : "│   "))
        }
        return text
    }
}
