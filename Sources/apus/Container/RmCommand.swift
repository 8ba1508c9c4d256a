import CommandGrammar
import ContainerEngine

enum RmCommand {
    static let command = Command(
        "rm", aliases: ["remove"], usage: "[OPTIONS] CONTAINER [CONTAINER...]",
        summary: "Remove one or more containers",
        arguments: .any, completing: .objects("containers"),
        flags: {
            [
                Flag("all", short: "a", .bool, "Remove all containers"),
                Flag(
                    "force", short: "f", .bool,
                    "Kill a container that runs first; no error for one that does not exist"),
                Flag("ignore", short: "i", .bool, "No error for a container that does not exist"),
                Flag(
                    "time", short: "t", .int, "Seconds that --force waits between the stop signal and SIGKILL"
                ),
                Flag("volumes", short: "v", .bool, "Remove its anonymous volumes too"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        return try Selection(values, engine, allStates: true).each { record, name in
            if values.bool("force"), let time = values.int("time") { try engine.stop(record, timeout: time) }
            try engine.remove(record, force: values.bool("force"), volumes: values.bool("volumes"))
            Output.printLine(name)
        }
    }
}

/// What a monitor executes when its container has ended.
enum CleanupCommand {
    static let command = Command(
        "cleanup", usage: "[OPTIONS] CONTAINER", summary: "Take down what a container that has ended left",
        arguments: .exactly(1), hidden: true,
        flags: { [Flag("rm", .bool, "Remove the container too")] }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        try engine.cleanUp(values.arguments[0], remove: values.bool("rm"))
        return 0
    }
}
