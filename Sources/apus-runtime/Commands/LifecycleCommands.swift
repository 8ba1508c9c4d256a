import CommandGrammar
import ContainerRuntime
import LinuxSystem

enum StartCommand {
    static let command = Command(
        "start", usage: "<container-id>", summary: "executes the user defined process in a created container",
        arguments: .exactly(1), run: run)

    static func run(_ values: Values) throws -> Int32 {
        try values.runtime.start(values.arguments[0])
        return 0
    }
}

enum DeleteCommand {
    static let command = Command(
        "delete", usage: "[command options] <container-id>",
        summary: "delete any resources held by the container often used with detached container",
        arguments: .exactly(1),
        flags: {
            [
                Flag(
                    "force", short: "f", .bool,
                    "forcibly deletes the container if it is still running (uses SIGKILL)")
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let log = try RuntimeLog(values)
        try values.runtime.delete(values.arguments[0], force: values.bool("force")) { log.fail("\($0)") }
        return 0
    }
}

enum KillCommand {
    static let command = Command(
        "kill", usage: "<container-id> [signal]",
        summary: "kill sends the specified signal (default: SIGTERM) to the container's init process",
        arguments: .between(1, 2),
        flags: { [Flag("all", short: "a", .bool, "send the signal to all processes in the container")] },
        run: run)

    static func run(_ values: Values) throws -> Int32 {
        let name = values.arguments.count > 1 ? values.arguments[1] : "SIGTERM"
        // 0 sends none, and asks whether there is a process.
        guard let signal = name == "0" ? 0 : SignalName.number(name) else {
            throw RuntimeError(.invalidConfig, "unknown signal \"\(name)\"")
        }
        try values.runtime.kill(values.arguments[0], signal: signal, all: values.bool("all"))
        return 0
    }
}

enum PauseCommand {
    static let command = Command(
        "pause", usage: "<container-id>", summary: "pause suspends all processes inside the container",
        arguments: .exactly(1)
    ) { values in
        try values.runtime.pause(values.arguments[0])
        return 0
    }
}

enum ResumeCommand {
    static let command = Command(
        "resume", usage: "<container-id>",
        summary: "resumes all processes that have been previously paused", arguments: .exactly(1)
    ) { values in
        try values.runtime.resume(values.arguments[0])
        return 0
    }
}
