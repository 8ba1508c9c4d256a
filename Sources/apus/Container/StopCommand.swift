import CommandGrammar
import ContainerEngine
import LinuxSystem

enum StopCommand {
    static let command = Command(
        "stop", usage: "[OPTIONS] CONTAINER [CONTAINER...]", summary: "Stop one or more running containers",
        description:
            "Sends the container its stop signal (SIGTERM, or what the image or --stop-signal says) and, when it still runs after the time-out, SIGKILL.",
        arguments: .any, completing: .objects("containers"),
        flags: {
            [
                Flag("all", short: "a", .bool, "Stop all running containers"),
                Flag("ignore", short: "i", .bool, "No error for a container that does not exist"),
                Flag("signal", short: "s", .string("SIGNAL"), "Signal to send first"),
                Flag(
                    "time", short: "t", aliases: ["timeout"], .int,
                    "Seconds to wait before killing the container"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        let signal = try values.string("signal").map(KillCommand.signal)
        return try Selection(values, engine).each { record, name in
            try engine.stop(record, timeout: values.int("time"), signal: signal)
            Output.printLine(name)
        }
    }
}

enum KillCommand {
    static let command = Command(
        "kill", usage: "[OPTIONS] CONTAINER [CONTAINER...]", summary: "Kill one or more running containers",
        arguments: .any, completing: .objects("containers"),
        flags: {
            [
                Flag("all", short: "a", .bool, "Signal all running containers"),
                Flag("signal", short: "s", .string("SIGNAL"), default: "KILL", "Signal to send"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let signal = try signal(values.string("signal") ?? "KILL")
        let engine = try GlobalFlags.engine(values)
        return try Selection(values, engine).each { record, name in
            try engine.kill(record, signal: signal)
            Output.printLine(name)
        }
    }

    static func signal(_ text: String) throws -> Int32 {
        guard let number = SignalName.number(text) else {
            throw EngineError(.invalid, "invalid signal: \(text)")
        }
        return number
    }
}

/// The containers that a command's arguments and `--all` mean.
struct Selection {
    private let engine: Engine
    private var targets: [(record: ContainerRecord, name: String)] = []
    private var failed = false

    init(_ values: Values, _ engine: Engine, allStates: Bool = false) throws {
        self.engine = engine
        let all = values.bool("all")
        guard all != !values.arguments.isEmpty else {
            throw EngineError(
                .invalid,
                all
                    ? "--all and names of containers contradict each other"
                    : "name at least one container, or use --all")
        }
        if all {
            targets = try engine.list(all: allStates).map { ($0.record, $0.record.name) }
            return
        }
        for name in values.arguments {
            do {
                targets.append((try engine.find(name), name))
            } catch  where error.code == .notFound && Selection.ignores(values) {
                continue
            } catch {
                Output.complain(EngineError(error).message)
                failed = true
            }
        }
    }

    private static func ignores(_ values: Values) -> Bool {
        ["stop", "rm"].contains(values.path.last ?? "") && values.bool("ignore")
    }

    func each(_ body: (ContainerRecord, String) throws -> Void) -> Int32 {
        var code: Int32 = failed ? 1 : 0
        for target in targets {
            do {
                try body(target.record, target.name)
            } catch {
                Output.complain(EngineError(error).message)
                code = 1
            }
        }
        return code
    }
}
