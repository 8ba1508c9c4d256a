import CommandGrammar
import ContainerEngine
import ContainerStorage
import GoTemplate
import JSONText
import LayerArchive
import LinuxSystem

enum DiskUsageCommand {
    static let command = Command(
        "df", summary: "Show what images, containers and volumes take on the disk",
        description:
            "The size of images is that of their unpacked layers and of the compressed ones that are kept; what several images have counts once. Downloads that were cut short count, too, and can be reclaimed. Artifacts have a row where there are any; what images have too does not count there.",
        flags: {
            [
                Flag("format", .string("TEMPLATE"), "Print by a Go template, or json"),
                Flag("verbose", short: "v", .bool, "Show each image, container and volume"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        if values.bool("verbose"), values.string("format") != nil {
            throw EngineError(.invalid, "--verbose and --format contradict each other")
        }
        let usage = try engine.store.usage()
        let containers = try engine.list(all: true)
        let users = try engine.volumeUsers()
        if values.bool("verbose") { return try printEach(usage, containers, users) }
        func row(_ type: String, _ total: Int, _ active: Int, _ size: Int64, _ reclaimable: Int64) -> JSON {
            let percent = size > 0 ? Int((Double(reclaimable) / Double(size) * 100).rounded()) : 0
            return [
                "Type": .string(type), "Total": .integer(Int64(total)), "TotalCount": .string("\(total)"),
                "Active": .integer(Int64(active)), "Size": .string(Human.size(size)),
                "Reclaimable": .string("\(Human.size(reclaimable)) (\(percent)%)"), "RawSize": .integer(size),
                "RawReclaimable": .integer(reclaimable),
            ]
        }
        let stopped = containers.filter { !$0.state.isRunning }.compactMap { usage.snapshots[$0.record.id] }
        let unused = usage.volumes.filter { users[$0.record.name] == nil }
        let format = try ListingFormat(
            values.string("format"),
            default: #"table {{.Type}}\t{{.Total}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}"#,
            headings: [
                "Type": "TYPE", "Total": "TOTAL", "TotalCount": "TOTAL", "Active": "ACTIVE", "Size": "SIZE",
                "Reclaimable": "RECLAIMABLE",
            ])
        var rows = [
            row(
                "Images", usage.images.count, usage.images.count { $0.containers > 0 }, usage.imagesSize,
                usage.imagesReclaimable),
            row(
                "Containers", containers.count, containers.count { $0.state.isRunning },
                usage.snapshots.values.reduce(0, +), stopped.reduce(0, +)),
            row(
                "Local Volumes", usage.volumes.count, usage.volumes.count - unused.count,
                usage.volumes.reduce(0) { $0 + $1.size }, unused.reduce(0) { $0 + $1.size }),
        ]
        // Podman tells of none: whoever reads three rows finds them.
        if !usage.artifacts.isEmpty {
            rows.append(
                row("Artifacts", usage.artifacts.count, usage.artifacts.count, usage.artifactsSize, 0))
        }
        Output.print(try format.render(rows))
        return 0
    }

    private static func printEach(
        _ usage: StoreUsage, _ containers: [ContainerSummary], _ users: [String: Int]
    ) throws -> Int32 {
        func table(_ title: String, _ columns: KeyValuePairs<String, String>, _ rows: [JSON]) throws {
            Output.printLine("\(title) space usage:\n")
            let body = "table " + columns.map { "{{.\($0.key)}}" }.joined(separator: #"\t"#)
            let headings = Dictionary(columns.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
            Output.print(try ListingFormat(nil, default: body, headings: headings).render(rows))
        }
        try table(
            "Images",
            [
                "Repository": "REPOSITORY", "Tag": "TAG", "ID": "IMAGE ID", "Created": "CREATED",
                "Size": "SIZE",
                "Shared": "SHARED SIZE", "Unique": "UNIQUE SIZE", "Containers": "CONTAINERS",
            ], usage.images.flatMap(rows))
        Output.printLine("")
        try table(
            "Containers",
            [
                "ID": "CONTAINER ID", "Image": "IMAGE", "Command": "COMMAND", "Volumes": "LOCAL VOLUMES",
                "Size": "SIZE", "RunningFor": "CREATED", "Status": "STATUS", "Names": "NAMES",
            ],
            containers.map { summary in
                var row = PsCommand.row(summary, nil, truncate: true).object!
                row["Size"] = .string(Human.size(usage.snapshots[summary.record.id] ?? 0))
                row["Volumes"] = .integer(Int64(summary.record.spec.mounts.count { $0.kind == .volume }))
                return .object(row)
            })
        Output.printLine("")
        try table(
            "Local Volumes", ["Name": "VOLUME NAME", "Links": "LINKS", "Size": "SIZE"],
            usage.volumes.map { volume in
                [
                    "Name": .string(volume.record.name),
                    "Links": .integer(Int64(users[volume.record.name] ?? 0)),
                    "Size": .string(Human.size(volume.size)),
                ]
            })
        if usage.artifacts.isEmpty { return 0 }
        Output.printLine("")
        try table(
            "Artifacts", ["Name": "NAME", "Digest": "DIGEST", "Size": "SIZE"],
            usage.artifacts.map { artifact in
                [
                    "Name": .string(artifact.record.name), "Digest": .string(artifact.record.digest.short),
                    "Size": .string(Human.size(artifact.size)),
                ]
            })
        return 0
    }

    private static func rows(_ image: StoreUsage.Image) -> [JSON] {
        let created = image.record.created.flatMap(Timestamp.init(parsing:))
        return ImagesCommand.names(of: image.record).map { repository, tag in
            [
                "Repository": .string(repository), "Tag": .string(tag), "ID": .string(image.record.id.short),
                "Created": .string(created.map { Human.age($0, .now) } ?? "N/A"),
                "Size": .string(Human.size(image.size)),
                "Shared": .string(Human.size(image.size - image.unique)),
                "Unique": .string(Human.size(image.unique)), "Containers": .integer(Int64(image.containers)),
            ]
        }
    }
}
