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
                    "Show only containers that match: id, name, label, status, ancestor, exited, volume"),
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
        let filters = try values.list("filter").map(ContainerFilter.init)
        let last = values.bool("latest") ? 1 : values.int("last")
        let all = values.bool("all") || last != nil || filters.contains(where: \.wantsAllStates)
        var summaries = try engine.list(all: all)
        summaries = try summaries.filter { summary in
            try filters.isEmpty || ContainerFilter.matches(filters, summary)
        }
        if let last, last >= 0 { summaries = Array(summaries.prefix(last)) }
        if values.bool("quiet") {
            for summary in summaries {
                Output.printLine(values.bool("no-trunc") ? summary.record.id : summary.record.shortID)
            }
            return 0
        }
        let format = try ListingFormat(
            values.string("format"),
            default:
                #"table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"#,
            headings: headings)
        let rows = summaries.map { row($0, truncate: !values.bool("no-trunc")) }
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

/// One `--filter KEY=VALUE` of `ps`.
struct ContainerFilter {
    let key: String
    let value: String

    init(_ text: String) throws {
        let pair = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard pair.count == 2 else {
            throw EngineError(.invalid, "invalid filter \"\(text)\": use KEY=VALUE")
        }
        let keys = ["id", "name", "label", "status", "ancestor", "exited", "volume", "network"]
        guard keys.contains(pair[0]) else {
            throw EngineError(.invalid, "invalid filter \"\(pair[0])\": use \(keys.joined(separator: ", "))")
        }
        if pair[0] == "status", !["created", "running", "restarting", "exited", "stopped"].contains(pair[1]) {
            throw EngineError(
                .invalid, "invalid filter \"\(text)\": a status is created, running, restarting or exited")
        }
        if pair[0] == "exited", Int32(pair[1]) == nil {
            throw EngineError(.invalid, "invalid filter \"\(text)\": an exit code is a number")
        }
        (key, value) = (pair[0], pair[1] == "stopped" ? "exited" : pair[1])
    }

    var wantsAllStates: Bool { key == "status" || key == "exited" }

    /// Values of one key are alternatives; keys all have to match.
    static func matches(_ filters: [ContainerFilter], _ summary: ContainerSummary) throws -> Bool {
        for key in Set(filters.map(\.key)) {
            let alternatives = filters.filter { $0.key == key }
            // Docker's labels are the exception: each must match.
            let matching = alternatives.filter { $0.matches(summary) }
            if key == "label" ? matching.count != alternatives.count : matching.isEmpty { return false }
        }
        return true
    }

    private func matches(_ summary: ContainerSummary) -> Bool {
        let record = summary.record
        switch key {
        case "id": return record.id.hasPrefix(value)
        case "name": return record.name.contains(value)
        case "status": return summary.state.status.rawValue == value
        case "exited": return summary.state.status == .exited && summary.state.exitCode == Int32(value)
        case "volume": return record.spec.mounts.contains { $0.source == value || $0.destination == value }
        case "network": return record.spec.network.text == value
        case "ancestor":
            return record.imageName == value || record.imageID.hasPrefix(value)
                || record.imageID.hasPrefix("sha256:" + value)
                || record.imageName.split(separator: ":").first.map(String.init) == value
                || record.imageName.hasSuffix("/" + value) || record.imageName.hasSuffix("/\(value):latest")
        default:
            let pair = value.split(separator: "=", maxSplits: 1).map(String.init)
            guard let label = summary.labels[pair[0]] else { return false }
            return pair.count == 1 || label == pair[1]
        }
    }
}
