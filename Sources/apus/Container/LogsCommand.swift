import CommandGrammar
import ContainerEngine
import ContainerMonitor

enum LogsCommand {
    static let command = Command(
        "logs", usage: "[OPTIONS] CONTAINER", summary: "Fetch the logs of a container",
        arguments: .exactly(1), completing: .objects("containers"),
        flags: {
            [
                Flag("follow", short: "f", .bool, "Follow log output"),
                Flag(
                    "since", .string("TIME"),
                    "Show logs since a time (2006-01-02T15:04:05Z) or a span before now (10m)"),
                Flag(
                    "tail", short: "n", .string("NUMBER"), default: "all",
                    "Number of lines to show from the end"),
                Flag("timestamps", short: "t", .bool, "Show timestamps"),
                Flag("until", .string("TIME"), "Show logs before a time or a span before now"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        var request = LogsRequest()
        request.follow = values.bool("follow")
        request.timestamps = values.bool("timestamps")
        let tail = values.string("tail") ?? "all"
        if tail != "all" {
            guard let count = Int(tail) else {
                throw EngineError(.invalid, "invalid --tail \"\(tail)\": use a number or all")
            }
            request.tail = count < 0 ? nil : count
        }
        request.since = try values.string("since").map { try LogTime.parse($0, flag: "since") }
        request.until = try values.string("until").map { try LogTime.parse($0, flag: "until") }
        let engine = try GlobalFlags.engine(values)
        try engine.logs(of: engine.find(values.arguments[0]), request)
        return 0
    }
}
