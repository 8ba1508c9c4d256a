import CommandGrammar
import ContainerEngine
import ContainerMonitor

enum StartCommand {
    static let command = Command(
        "start", usage: "[OPTIONS] CONTAINER [CONTAINER...]", summary: "Start one or more stopped containers",
        arguments: .atLeast(1), completing: .objects("containers"),
        flags: {
            [
                Flag("attach", short: "a", .bool, "Attach to the output and forward signals"),
                Flag("detach-keys", .string("KEYS"), default: "ctrl-p,ctrl-q", "Key sequence for detaching"),
                Flag("interactive", short: "i", .bool, "Attach standard input"),
                Flag("sig-proxy", .bool, default: "true", "Pass signals on to the container"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        let attach = values.bool("attach") || values.bool("interactive")
        if attach {
            guard values.arguments.count == 1 else {
                throw EngineError(.invalid, "one container at a time can be started and attached to")
            }
            let record = try engine.find(values.arguments[0])
            if try engine.state(of: record).isRunning {
                return try engine.attach(
                    record, streams: AttachedStreams(stdin: values.bool("interactive")),
                    detachKeys: DetachKeys.parse(values), signalProxy: values.bool("sig-proxy"))
            }
            return try engine.startAttached(
                record, streams: AttachedStreams(stdin: values.bool("interactive")),
                detachKeys: DetachKeys.parse(values), signalProxy: values.bool("sig-proxy"))
        }
        return forEach(values.arguments) { name in
            let record = try engine.find(name)
            try engine.start(record)
            Output.printLine(name)
        }
    }
}

enum RestartCommand {
    static let command = Command(
        "restart", usage: "[OPTIONS] CONTAINER [CONTAINER...]", summary: "Restart one or more containers",
        arguments: .atLeast(1), completing: .objects("containers"),
        flags: {
            [
                Flag(
                    "time", short: "t", aliases: ["timeout"], .int,
                    "Seconds to wait before killing the container")
            ]
        },
        run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        return forEach(values.arguments) { name in
            let record = try engine.find(name)
            if try engine.state(of: record).status != .exited {
                try engine.stop(record, timeout: values.int("time"))
            }
            try engine.start(record)
            Output.printLine(name)
        }
    }
}
