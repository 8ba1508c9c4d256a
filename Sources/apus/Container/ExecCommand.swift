import CommandGrammar
import ContainerEngine
import ContainerMonitor
import LinuxSystem

enum ExecCommand {
    static let command = Command(
        "exec", usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
        summary: "Execute a command in a running container",
        arguments: .atLeast(2), interspersed: false, completing: .objects("containers"),
        flags: {
            [
                Flag("detach", short: "d", .bool, "Run the command in the background"),
                Flag("detach-keys", .string("KEYS"), default: "ctrl-p,ctrl-q", "Key sequence for detaching"),
                Flag("env", short: "e", .list("KEY[=VALUE]"), "Set environment variables"),
                Flag("env-file", .list("FILE"), "Read environment variables from a file", completing: .files),
                Flag("interactive", short: "i", .bool, "Pass standard input on"),
                Flag("privileged", .bool, "Give the command extended privileges"),
                Flag("tty", short: "t", .bool, "Allocate a pseudo-terminal"),
                Flag("user", short: "u", .string("USER[:GROUP]"), "User to run as"),
                Flag("workdir", short: "w", .string("PATH"), "Working directory inside the container"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        var request = ExecRequest(command: Array(values.arguments.dropFirst()))
        request.terminal = values.bool("tty")
        request.openStdin = values.bool("interactive")
        request.detach = values.bool("detach")
        for file in values.list("env-file") { request.environment += try EnvironmentFile.read(file) }
        for entry in values.list("env") { request.environment += EnvironmentFile.expand(entry) }
        request.user = values.string("user")
        request.workingDirectory = values.string("workdir")
        request.privileged = values.bool("privileged")
        request.detachKeys = try DetachKeys.parse(values)
        if request.terminal, request.openStdin, !request.detach, isatty(STDIN_FILENO) == 0 {
            throw EngineError(.invalid, "the input device is not a TTY: leave --tty out")
        }
        let engine = try GlobalFlags.engine(values)
        return try engine.exec(engine.find(values.arguments[0]), request)
    }
}
