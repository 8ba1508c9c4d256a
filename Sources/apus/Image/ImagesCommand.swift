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
                    "Show only images that match: dangling, reference, id"),
                Flag("format", .string("TEMPLATE"), "Print by a Go template, or json"),
                Flag("no-trunc", .bool, "Do not truncate output"),
                Flag("noheading", short: "n", .bool, "Leave the heading out"),
                Flag("quiet", short: "q", .bool, "Show IDs only"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        engine.sweep()
        var images = try engine.store.images()
        for filter in try values.list("filter").map(ImageFilter.init) {
            images = images.filter(filter.matches)
        }
        var rows: [(id: String, json: JSON)] = []
        let truncate = !values.bool("no-trunc")
        for image in images {
            for (repository, tag) in names(of: image) {
                if let wanted = values.arguments.first,
                    !ImageFilter.matches(wanted, repository: repository, tag: tag)
                {
                    continue
                }
                let id = truncate ? String(image.id.hex.prefix(12)) : image.id.description
                rows.append((id, row(image, id: id, repository: repository, tag: tag)))
            }
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

    /// One line a name; one with `<none>` for an image without any.
    private static func names(of image: ImageRecord) -> [(repository: String, tag: String)] {
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

/// One `--filter KEY=VALUE` of `images`.
struct ImageFilter {
    private let key: String
    private let value: String

    init(_ text: String) throws {
        let pair = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard pair.count == 2, ["dangling", "reference", "id"].contains(pair[0]) else {
            throw EngineError(
                .invalid, "invalid filter \"\(text)\": use dangling=true|false, reference=NAME or id=ID")
        }
        (key, value) = (pair[0], pair[1])
    }

    func matches(_ image: ImageRecord) -> Bool {
        switch key {
        case "dangling": image.names.isEmpty == (value == "true" || value == "1")
        case "id": image.id.hex.hasPrefix(value) || image.id.description.hasPrefix(value)
        default:
            image.names.contains { name in
                guard let colon = name.lastIndex(of: ":"), !name[colon...].contains("/") else { return false }
                return Self.matches(
                    value, repository: String(name[..<colon]), tag: String(name[name.index(after: colon)...]))
            }
        }
    }

    /// Whether a name as a person types it, with `*` for any text, means this one.
    static func matches(_ wanted: String, repository: String, tag: String) -> Bool {
        var wantedRepository = wanted
        var wantedTag: String?
        if let colon = wanted.lastIndex(of: ":"), !wanted[colon...].contains("/") {
            wantedRepository = String(wanted[..<colon])
            wantedTag = String(wanted[wanted.index(after: colon)...])
        }
        func glob(_ pattern: Substring, _ text: Substring) -> Bool {
            guard let first = pattern.first else { return text.isEmpty }
            if first == "*" {
                return glob(pattern.dropFirst(), text) || (!text.isEmpty && glob(pattern, text.dropFirst()))
            }
            return text.first == first && glob(pattern.dropFirst(), text.dropFirst())
        }
        if let wantedTag, !glob(wantedTag[...], tag[...]) { return false }
        var candidates = [repository]
        for prefix in ["docker.io/library/", "docker.io/", "localhost/"] where repository.hasPrefix(prefix) {
            candidates.append(String(repository.dropFirst(prefix.count)))
        }
        if let slash = repository.lastIndex(of: "/") {
            candidates.append(String(repository[repository.index(after: slash)...]))
        }
        return candidates.contains { glob(wantedRepository[...], $0[...]) }
    }
}
