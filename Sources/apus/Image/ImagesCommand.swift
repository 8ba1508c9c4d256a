import CommandGrammar
import ContainerEngine
import ContainerMonitor
import ContainerStorage
import GoTemplate
import JSONText
import LayerArchive
import LinuxSystem

enum ImagesCommand {
    static let command = Command(
        "images", usage: "[OPTIONS] [NAME[:TAG]]", summary: "List images", arguments: .atMost(1),
        completing: .objects("images"),
        flags: {
            [
                Flag(
                    "all", short: "a", .bool,
                    "Show all images (there are no intermediate ones; for compatibility)"),
                Flag("digests", .bool, "Show digests"),
                Flag(
                    "filter", short: "f", .list("KEY=VALUE"),
                    "Show only images that match: before, dangling, id, label, reference, since, until"),
                Flag("format", .string("TEMPLATE"), "Print by a Go template, or json"),
                Flag("no-trunc", .bool, "Do not truncate output"),
                Flag("noheading", short: "n", .bool, "Leave the heading out"),
                Flag("quiet", short: "q", .bool, "Show IDs only"),
                Flag(
                    "sort", .choice(["created", "id", "repository", "size", "tag"]),
                    "Sort by: created (the newest first), id, repository, size, tag"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        engine.sweep()
        var images = try engine.store.images()
        for text in values.list("filter") {
            let filter = try ImageFilter(text, engine)
            images = try images.filter(filter.matches)
        }
        var rows: [(id: String, json: JSON)] = []
        let truncate = !values.bool("no-trunc")
        for line in sorted(images.flatMap(lines), by: values.string("sort")) {
            if let wanted = values.arguments.first,
                !ImageFilter.matches(wanted, repository: line.repository, tag: line.tag)
            {
                continue
            }
            let id = truncate ? String(line.image.id.hex.prefix(12)) : line.image.id.description
            rows.append((id, row(line.image, id: id, repository: line.repository, tag: line.tag)))
        }
        if values.bool("quiet") {
            var seen: Set<String> = []
            for row in rows where seen.insert(row.id).inserted { Output.printLine(row.id) }
            return 0
        }
        let standard =
            values.bool("digests")
            ? #"table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"#
            : #"table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"#
        let format = try ListingFormat(
            values.string("format"), default: standard,
            headings: [
                "Repository": "REPOSITORY", "Tag": "TAG", "ID": "IMAGE ID", "CreatedSince": "CREATED",
                "CreatedAt": "CREATED AT", "Size": "SIZE", "Digest": "DIGEST",
            ])
        Output.print(try format.render(rows.map(\.json), heading: !values.bool("noheading")))
        return 0
    }

    private typealias Line = (image: ImageRecord, repository: String, tag: String)

    private static func lines(of image: ImageRecord) -> [Line] {
        names(of: image).map { (image, $0.repository, $0.tag) }
    }

    /// As podman does; equal ones stay as they were.
    private static func sorted(_ lines: [Line], by key: String?) -> [Line] {
        func created(_ line: Line) -> Timestamp {
            line.image.created.flatMap(Timestamp.init(parsing:)) ?? Timestamp(seconds: 0)
        }
        func isBefore(_ left: Line, _ right: Line) -> Bool {
            switch key {
            case "created": created(right) < created(left)
            case "id": left.image.id.hex < right.image.id.hex
            case "repository": left.repository < right.repository
            case "size": left.image.size < right.image.size
            case "tag": left.tag < right.tag
            default: false
            }
        }
        return lines.sorted(by: isBefore)
    }

    /// One line a name; one with `<none>` for an image without any.
    static func names(of image: ImageRecord) -> [(repository: String, tag: String)] {
        if image.names.isEmpty { return [("<none>", "<none>")] }
        return image.names.map { name in
            guard let colon = name.lastIndex(of: ":"), !name[colon...].contains("/") else {
                return (name, "<none>")
            }
            return (String(name[..<colon]), String(name[name.index(after: colon)...]))
        }
    }

    private static func row(_ image: ImageRecord, id: String, repository: String, tag: String) -> JSON {
        let created = image.created.flatMap(Timestamp.init(parsing:))
        return [
            "Repository": .string(repository), "Tag": .string(tag), "ID": .string(id),
            "CreatedSince": .string(created.map { Human.age($0, .now) + " ago" } ?? "N/A"),
            "CreatedAt": .string(created.map(Human.local) ?? "N/A"), "Size": .string(Human.size(image.size)),
            "Digest": .string(image.manifestDigest.description),
        ]
    }
}
