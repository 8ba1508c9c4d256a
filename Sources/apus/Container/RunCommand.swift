import CommandGrammar
import ContainerEngine
import ContainerMonitor
import LinuxSystem

enum RunCommand {
    static let command = Command(
        "run", usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
        summary: "Create and run a new container from an image",
        description:
            "Creates a container from an image, fetching the image first when it is not here, and starts it. Without --detach the container's output is shown and its exit code is the command's. Exit codes: 125 when apus itself fails, 126 when the command cannot be executed, 127 when it is not found, else the container's own.",
        examples: [
            "apus run --rm -it debian bash", "apus run -d -p 8080:80 --name web nginx",
            "apus run --rm -v data:/data -m 256m --cpus 0.5 alpine sh -c 'df /data'",
        ],
        arguments: .atLeast(1), interspersed: false, completing: .objects("images"),
        flags: {
            CreateFlags.flags() + [
                Flag("attach", short: "a", .list("STREAM"), "Attach to stdin, stdout or stderr"),
                Flag("detach", short: "d", .bool, "Run the container in the background and print its ID"),
                Flag("detach-keys", .string("KEYS"), default: "ctrl-p,ctrl-q", "Key sequence for detaching"),
                Flag("sig-proxy", .bool, default: "true", "Pass signals on to the container"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let spec = try CreateFlags.spec(values, isRun: true)
        let detach = values.bool("detach")
        let streams = try AttachedStreams(values.list("attach"), detach: detach, openStdin: spec.openStdin)
        if spec.terminal, !detach, streams.stdin, spec.openStdin, isatty(STDIN_FILENO) == 0 {
            throw EngineError(.invalid, "the input device is not a TTY: leave --tty out")
        }
        let keys = try DetachKeys.parse(values)
        let engine = try GlobalFlags.engine(values)
        let record = try CreateCommand.create(spec, values, engine)
        if detach {
            do {
                try engine.start(record)
            } catch {
                if spec.autoRemove { try? engine.remove(record, force: true, volumes: true) }
                throw error
            }
            Output.printLine(record.id)
            return 0
        }
        do {
            return try engine.startAttached(
                record, streams: streams, detachKeys: keys, signalProxy: values.bool("sig-proxy"))
        } catch {
            if spec.autoRemove { try? engine.remove(record, force: true, volumes: true) }
            throw error
        }
    }
}
