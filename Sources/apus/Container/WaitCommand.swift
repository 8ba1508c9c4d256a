import CommandGrammar
import ContainerEngine
import ContainerMonitor

enum WaitCommand {
    static let command = Command(
        "wait", usage: "CONTAINER [CONTAINER...]",
        summary: "Block until one or more containers stop, then print their exit codes",
        arguments: .atLeast(1), completing: .objects("containers"), run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        return forEach(values.arguments) { name in
            Output.printLine(String(try engine.wait(engine.find(name))))
        }
    }
}

enum AttachCommand {
    static let command = Command(
        "attach", usage: "[OPTIONS] CONTAINER", summary: "Attach to a running container",
        arguments: .exactly(1), completing: .objects("containers"),
        flags: {
            [
                Flag("detach-keys", .string("KEYS"), default: "ctrl-p,ctrl-q", "Key sequence for detaching"),
                Flag("no-stdin", .bool, "Do not attach standard input"),
                Flag("sig-proxy", .bool, default: "true", "Pass signals on to the container"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        let record = try engine.find(values.arguments[0])
        return try engine.attach(
            record, streams: AttachedStreams(stdin: !values.bool("no-stdin")),
            detachKeys: DetachKeys.parse(values), signalProxy: values.bool("sig-proxy"))
    }
}

enum PortCommand {
    static let command = Command(
        "port", usage: "CONTAINER [PORT[/PROTOCOL]]", summary: "List a container's published ports",
        arguments: .between(1, 2), completing: .objects("containers"), run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        let record = try engine.find(values.arguments[0])
        let ports = try engine.publishedPorts(of: record)
        guard values.arguments.count == 2 else {
            for port in ports { Output.printLine("\(port.container) -> \(port.host)") }
            return 0
        }
        var wanted = values.arguments[1]
        if !wanted.contains("/") { wanted += "/tcp" }
        let matching = ports.filter { $0.container == wanted }
        guard !matching.isEmpty else {
            throw EngineError(.notFound, "no public port \"\(wanted)\" published for \(values.arguments[0])")
        }
        for port in matching { Output.printLine(port.host) }
        return 0
    }
}
