import CommandGrammar
import ContainerEngine
import LinuxSystem

enum PruneCommand {
    static let command = Command(
        "prune", summary: "Remove what is not used",
        description:
            "Removes stopped containers, images without a name, what is left of downloads that were cut short and, when asked for, volumes. Artifacts stay: each has a name.",
        flags: {
            [
                Flag(
                    "all", short: "a", .bool,
                    "Remove all images that no container uses, not only those without a name"),
                Flag(
                    "filter", .list("KEY=VALUE"),
                    "Remove only what matches: label=KEY[=VALUE], label!=KEY[=VALUE], until=TIME"),
                Flag("force", short: "f", .bool, "Do not ask for confirmation"),
                Flag("volumes", .bool, "Remove the volumes that no container uses too"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let filter = try filter(values.list("filter"))
        guard filter.until == nil || !values.bool("volumes") else {
            throw EngineError(
                .invalid, "the filter until is not supported with --volumes: volumes have no end of use")
        }
        let engine = try GlobalFlags.engine(values)
        if !values.bool("force") {
            Output.print(
                """
                WARNING! This command removes:
                \t- all stopped containers
                \(values.bool("volumes") ? "\t- all volumes not used by at least one container\n" : "")\
                \t- all \(values.bool("all") ? "images without at least one container associated with them" : "dangling images")
                \t- all unfinished downloads

                Are you sure you want to continue? [y/N] 
                """)
            guard let answer = readLine(), ["y", "Y", "yes"].contains(answer) else { return 0 }
        }
        let pruned = try engine.prune(
            allImages: values.bool("all"), volumes: values.bool("volumes"), filter: filter)
        for (title, lines) in [
            ("Deleted Containers", pruned.containers), ("Deleted Images", pruned.images),
            ("Deleted Volumes", pruned.volumes),
        ] where !lines.isEmpty {
            Output.printLine(title)
            for line in lines { Output.printLine(line) }
        }
        Output.printLine("Total reclaimed space: \(Human.size(pruned.reclaimed))")
        return 0
    }

    static func filter(_ texts: [String]) throws -> PruneFilter {
        var filter = PruneFilter()
        for text in texts {
            let pair = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard pair.count == 2 else {
                throw EngineError(
                    .invalid,
                    "invalid filter \"\(text)\": use label=KEY[=VALUE], label!=KEY[=VALUE] or until=TIME")
            }
            switch pair[0] {
            case "until": filter.until = try LogTime.parse(pair[1], flag: "filter until")
            case "label": filter.labels.append(pair[1])
            case "label!": filter.withoutLabels.append(pair[1])
            default:
                throw EngineError(
                    .invalid,
                    "invalid filter \"\(text)\": use label=KEY[=VALUE], label!=KEY[=VALUE] or until=TIME")
            }
        }
        return filter
    }
}
