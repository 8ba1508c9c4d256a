import CommandGrammar
import ContainerEngine
import ContainerMonitor
import GoTemplate
import JSONText
import LinuxSystem

enum PsCommand {
    static let command = Command(
        "ps", summary: "List containers", arguments: .none,
        flags: {
            [
                Flag("all", short: "a", .bool, "Show all containers, not only those that run"),
                Flag(
                    "filter", short: "f", .list("KEY=VALUE"),
                    "Show only containers that match: \(ContainerFilter.Key.list)"),
                Flag("format", .string("TEMPLATE"), "Print by a Go template, or json"),
                Flag("last", short: "n", .int, "Show the last created containers, in all states"),
                Flag("latest", short: "l", .bool, "Show the latest created container"),
                Flag("no-trunc", .bool, "Do not truncate output"),
                Flag("noheading", .bool, "Leave the heading out"),
                Flag("quiet", short: "q", .bool, "Show IDs only"),
                Flag("size", short: "s", .bool, "Show what the containers' files take"),
                Flag(
                    "sort",
                    .choice(["command", "created", "id", "image", "names", "runningfor", "size", "status"]),
                    "Sort by: command, created (the oldest first), id, image, names, runningfor, size, status"
                ),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        let filters = try values.list("filter").map { try ContainerFilter($0, engine) }
        let last = values.bool("latest") ? 1 : values.int("last")
        let all = values.bool("all") || last != nil || filters.contains(where: \.key.wantsAllStates)
        var summaries = try engine.list(all: all)
        summaries = summaries.filter { ContainerFilter.match($0, filters) }
        if let last, last >= 0 { summaries = Array(summaries.prefix(last)) }
        let key = values.string("sort")
        let wantsSize = values.bool("size") || values.string("format")?.contains(".Size") == true
        var sizes: [String: ContainerSize] = [:]
        if wantsSize || key == "size" {
            for summary in summaries {
                // One that is removed meanwhile has none.
                sizes[summary.record.id] = try? engine.size(of: summary.record)
            }
        }
        summaries = sorted(summaries, by: key, sizes)
        if values.bool("quiet") {
            for summary in summaries {
                Output.printLine(values.bool("no-trunc") ? summary.record.id : summary.record.shortID)
            }
            return 0
        }
        let rows = summaries.map { summary in
            let size = wantsSize ? sizes[summary.record.id] ?? ContainerSize(own: 0, total: 0) : nil
            return row(summary, size, truncate: !values.bool("no-trunc"))
        }
        let labels = Dictionary(
            zip(rows.map { $0["ID"]?.string }, summaries.map(\.labels)),
            uniquingKeysWith: { first, _ in first })
        let format = try ListingFormat(
            values.string("format"),
            default:
                #"table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"#
                + (values.bool("size") ? #"\t{{.Size}}"# : ""),
            headings: headings,
            methods: [
                "Label": { (arguments) throws(Template.FunctionError) in
                    guard arguments.count == 2, let name = arguments[1]?.string else {
                        throw Template.FunctionError("use .Label \"KEY\"")
                    }
                    return .string(labels[arguments[0]?["ID"]?.string]?[name] ?? "")
                }
            ])
        Output.print(try format.render(rows, heading: !values.bool("noheading")))
        return 0
    }

    private static let headings = [
        "ID": "CONTAINER ID", "Image": "IMAGE", "Command": "COMMAND", "CreatedAt": "CREATED AT",
        "RunningFor": "CREATED", "Ports": "PORTS", "State": "STATE", "Status": "STATUS", "Names": "NAMES",
        "Labels": "LABELS", "Mounts": "MOUNTS", "Networks": "NETWORKS", "ImageID": "IMAGE ID", "Pid": "PID",
        "ExitCode": "EXIT CODE", "Restarts": "RESTARTS", "Size": "SIZE",
    ]

    /// As podman does; equal ones stay as they were.
    private static func sorted(
        _ summaries: [ContainerSummary], by key: String?, _ sizes: [String: ContainerSize]
    ) -> [ContainerSummary] {
        func started(_ summary: ContainerSummary) -> Timestamp {
            summary.state.startedAt ?? Timestamp(seconds: 0)
        }
        func size(_ summary: ContainerSummary) -> Int64 { sizes[summary.record.id]?.total ?? 0 }
        func isBefore(_ left: ContainerSummary, _ right: ContainerSummary) -> Bool {
            switch key {
            case "command": left.command < right.command
            case "created": left.record.created < right.record.created
            case "id": left.record.id < right.record.id
            case "image": left.record.imageName < right.record.imageName
            case "names": left.record.name < right.record.name
            case "runningfor": started(left) < started(right)
            case "size": size(left) < size(right)
            case "status": left.state.status.rawValue < right.state.status.rawValue
            default: false
            }
        }
        return summaries.sorted(by: isBefore)
    }

    /// The fields of `docker ps --format`.
    static func row(_ summary: ContainerSummary, _ size: ContainerSize?, truncate: Bool) -> JSON {
        let record = summary.record
        let now = Timestamp.now
        var command = summary.command
        if truncate, command.count > 20 { command = String(command.prefix(19)) + "…" }
        let state = summary.state
        var row: JSONObject = [
            "ID": .string(truncate ? record.shortID : record.id), "Image": .string(record.imageName),
            "Command": .string("\"\(command)\""), "CreatedAt": .string(Human.local(record.created)),
            "RunningFor": .string(Human.age(record.created, now) + " ago"),
            "Ports": .string(summary.ports), "State": .string(state.status.rawValue),
            "Status": .string(status(state, now: now)), "Names": .string(record.name),
            "Labels": .string(
                summary.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(
                    separator: ",")),
            "Mounts": .string(
                record.spec.mounts.map { $0.source.isEmpty ? $0.destination : $0.source }.joined(
                    separator: ",")),
            "Networks": .string(record.spec.network.text), "ImageID": .string(record.imageID),
            "Pid": .integer(Int64(state.pid)), "ExitCode": .integer(Int64(state.exitCode)),
            "Restarts": .integer(Int64(state.restartCount)),
        ]
        if let size {
            row["Size"] = .string("\(Human.size(size.own)) (virtual \(Human.size(size.total)))")
        }
        return .object(row)
    }

    private static func status(_ state: ContainerState, now: Timestamp) -> String {
        func age(_ time: Timestamp?) -> String { time.map { Human.age($0, now) } ?? "an unknown time" }
        switch state.status {
        case .created: return "Created"
        case .running: return "Up " + age(state.startedAt)
        case .restarting: return "Restarting (\(state.exitCode)) \(age(state.finishedAt)) ago"
        case .exited: return "Exited (\(state.exitCode)) \(age(state.finishedAt)) ago"
        }
    }
}
