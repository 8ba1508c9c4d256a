import CommandGrammar
import ContainerEngine
import ContainerMonitor
import ContainerStorage
import GoTemplate
import JSONText
import LayerArchive
import LinuxSystem
import OCISpec

enum HistoryCommand {
    static let command = Command(
        "history", usage: "[OPTIONS] IMAGE", summary: "Show the steps that made an image",
        arguments: .exactly(1), completing: .objects("images"),
        flags: {
            [
                Flag("format", .string("TEMPLATE"), "Print by a Go template, or json"),
                Flag(
                    "human", short: "H", .bool, default: "true", "Print sizes and times for people to read"),
                Flag("no-trunc", .bool, "Do not truncate output"),
                Flag("quiet", short: "q", .bool, "Show IDs only"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        let image = try engine.requireImage(values.arguments[0])
        let truncate = !values.bool("no-trunc")
        let id = truncate ? String(image.id.hex.prefix(12)) : image.id.description
        let steps = try engine.history(of: image)
        var rows: [JSON] = []
        for (index, step) in steps.enumerated() {
            rows.append(
                row(step, id: index == 0 ? id : "<missing>", truncate: truncate, human: values.bool("human")))
        }
        if values.bool("quiet") {
            for row in rows { Output.printLine(row["ID"]?.string ?? "") }
            return 0
        }
        let format = try ListingFormat(
            values.string("format"),
            default: #"table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"#,
            headings: [
                "ID": "IMAGE", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT",
                "CreatedBy": "CREATED BY", "Size": "SIZE", "Comment": "COMMENT",
            ])
        Output.print(try format.render(rows, heading: true))
        return 0
    }

    private static func row(_ step: ImageStep, id: String, truncate: Bool, human: Bool) -> JSON {
        let entry = step.entry
        let created = entry.created.flatMap(Timestamp.init(parsing:))
        var command = (entry.createdBy ?? "").replacing("\t", with: " ")
        if truncate, command.count > 45 { command = String(command.prefix(44)) + "…" }
        let at = created.map { Timestamp(seconds: $0.seconds).description } ?? ""
        let since = created.map { human ? Human.age($0, .now) + " ago" : at } ?? "N/A"
        return [
            "ID": .string(id), "CreatedSince": .string(since), "CreatedAt": .string(at),
            "CreatedBy": .string(command),
            "Size": .string(human ? Human.size(step.size) : "\(step.size)"),
            "Comment": .string(entry.comment ?? ""),
        ]
    }
}
