import CommandGrammar
import ContainerRuntime
import LinuxSystem

enum RunCommand {
    static let command = Command(
        "run", usage: "[command options] <container-id>", summary: "create and run a container",
        arguments: .exactly(1),
        flags: {
            CreateCommand.sharedFlags + [
                Flag("detach", short: "d", .bool, "detach from the container's process"),
                Flag("keep", .bool, "do not delete the container after it exits"),
                Flag(
                    "no-subreaper", .bool,
                    "disable the use of the subreaper used to reap reparented processes"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        do throws(RuntimeError) {
            return try start(values)
        } catch {
            throw error.named("\(RuntimeProgram.name) run failed")
        }
    }

    private static func start(_ values: Values) throws(RuntimeError) -> Int32 {
        let id = values.arguments[0]
        let options = try CreateCommand.options(values)
        let runtime = try values.tracedRuntime
        let isDetached = values.bool("detach")
        if !isDetached { try ForegroundProcess.prepare(values, consoleSocket: options.consoleSocket) }
        var container: CreatedContainer
        do throws(RuntimeError) {
            container = try runtime.run(id, bundle: values.string("bundle") ?? "", options: options)
            runtime.printTrace()
        } catch {
            runtime.printTrace()
            throw error
        }
        if isDetached { return 0 }
        return try ForegroundProcess.finish(
            &container, id, runtime, values, keepsContainer: values.bool("keep"))
    }
}

extension RuntimeError {
    func named(_ operation: String) -> RuntimeError {
        isOfCommand ? self : RuntimeError(code, "\(operation): \(message)", cause: cause)
    }
}
