import CommandGrammar
import ContainerRuntime
import JSONText
import LinuxSystem

enum EventsCommand {
    static let command = Command(
        "events", usage: "[command options] <container-id>",
        summary:
            "display container events such as OOM notifications, cpu, memory, and IO usage statistics",
        arguments: .exactly(1),
        flags: {
            [
                Flag("interval", .duration("value"), default: "5s", "set the stats collection interval"),
                Flag("stats", .bool, "display the container's stats then exit"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let id = values.arguments[0]
        let interval = values.duration("interval") ?? .seconds(5)
        let milliseconds = Int64(min(interval / .milliseconds(1), 1e9))
        guard interval > .zero else {
            throw RuntimeError(.invalidConfig, "duration interval must be greater than 0")
        }
        if values.bool("stats") {
            try print(.stats(values.runtime.stats(id)), id)
        } else {
            try values.runtime.events(id, every: max(1, milliseconds)) { try print($0, id) }
        }
        return 0
    }

    private static func print(_ event: Runtime.Event, _ id: String) throws {
        let line: JSON =
            switch event {
            case .stats(let data): ["type": "stats", "id": .string(id), "data": data]
            case .outOfMemory: ["type": "oom", "id": .string(id)]
            }
        try FD.writeAll(1, line.text() + "\n")
    }
}
