import CommandGrammar
import ContainerEngine
import GoTemplate
import JSONText

enum VolumeCreateCommand {
    static let command = Command(
        "create", usage: "[OPTIONS] [NAME]", summary: "Create a volume", arguments: .atMost(1),
        flags: { [Flag("label", short: "l", .list("KEY=VALUE"), "Set metadata on the volume")] },
        run: { values in
            let labels = try CreateFlags.pairs(values.list("label"), flag: "label", bare: true)
            Output.printLine(
                try GlobalFlags.engine(values).createVolume(values.arguments.first, labels: labels))
            return 0
        })
}

enum VolumeListCommand {
    static let command = Command(
        "ls", aliases: ["list"], summary: "List volumes",
        flags: {
            [
                Flag("format", .string("TEMPLATE"), "Print by a Go template, or json"),
                Flag("quiet", short: "q", .bool, "Show names only"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let rows = try GlobalFlags.engine(values).volumes()
        if values.bool("quiet") {
            for row in rows { Output.printLine(row["Name"]?.string ?? "") }
            return 0
        }
        let format = try ListingFormat(
            values.string("format"), default: #"table {{.Driver}}\t{{.Name}}"#,
            headings: [
                "Driver": "DRIVER", "Name": "VOLUME NAME", "Mountpoint": "MOUNTPOINT", "Labels": "LABELS",
                "CreatedAt": "CREATED AT", "Scope": "SCOPE",
            ])
        Output.print(try format.render(rows))
        return 0
    }
}

enum VolumeInspectCommand {
    static let command = Command(
        "inspect", usage: "[OPTIONS] VOLUME [VOLUME...]", summary: "Show the details of volumes",
        arguments: .atLeast(1), completing: .objects("volumes"),
        flags: { [Flag("format", short: "f", .string("TEMPLATE"), "Print by a Go template, or json")] },
        run: { values in
            let engine = try GlobalFlags.engine(values)
            return try InspectCommand.inspect(values) { try engine.inspectVolume($0) }
        })
}

enum VolumeRemoveCommand {
    static let command = Command(
        "rm", aliases: ["remove"], usage: "[OPTIONS] VOLUME [VOLUME...]", summary: "Remove volumes",
        arguments: .atLeast(1), completing: .objects("volumes"),
        flags: { [Flag("force", short: "f", .bool, "Remove the containers that use the volume too")] },
        run: { values in
            let engine = try GlobalFlags.engine(values)
            return forEach(values.arguments) { name in
                try engine.removeVolume(name, force: values.bool("force"))
                Output.printLine(name)
            }
        })
}

enum VolumePruneCommand {
    static let command = Command(
        "prune", summary: "Remove volumes that no container uses",
        flags: { [Flag("force", short: "f", .bool, "Do not ask for confirmation")] }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        if !values.bool("force") {
            Output.print(
                "WARNING! This will remove all volumes not used by at least one container.\nAre you sure you want to continue? [y/N] "
            )
            guard let answer = readLine(), ["y", "Y", "yes"].contains(answer) else { return 0 }
        }
        for name in try engine.pruneVolumes() { Output.printLine(name) }
        return 0
    }
}
