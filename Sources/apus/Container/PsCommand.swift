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
        if values.bool("quiet") {
            for summary in summaries {
                Output.printLine(values.bool("no-trunc") ? summary.record.id : summary.record.shortID)
            }
            return 0
        }
        let rows = summaries.map { row($0, truncate: !values.bool("no-trunc")) }
        let labels = Dictionary(
            zip(rows.map { $0["ID"]?.string }, summaries.map(\.labels)),
            uniquingKeysWith: { first, _ in first })
        let format = try ListingFormat(
            values.string("format"),
            default:
                #"table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"#,
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
        "ExitCode": "EXIT CODE", "Restarts": "RESTARTS",
    ]

    /// The fields of `docker ps --format`.
    static func row(_ summary: ContainerSummary, truncate: Bool) -> JSON {
        let record = summary.record
        let now = Timestamp.now
        var command = summary.command
        if truncate, command.count > 20 { command = String(command.prefix(19)) + "…" }
        let state = summary.state
        return [
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
