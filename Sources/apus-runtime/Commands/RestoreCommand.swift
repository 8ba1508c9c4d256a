import CommandGrammar
import ContainerRuntime
import LinuxSystem

enum RestoreCommand {
    static let command = Command(
        "restore", usage: "[command options] <container-id>",
        summary: "restore a container from a previous checkpoint", arguments: .exactly(1),
        flags: { flags }, run: run)

    private static var flags: [Flag] {
        CRIUFlags.shared("to criu image files for restoring") + [
            Flag(
                "console-socket", .string("value"),
                "path to an AF_UNIX socket which will receive a file descriptor referencing the master end of the console's pseudoterminal"
            ),
            Flag(
                "bundle", short: "b", .string("value"), "path to the root of the bundle directory",
                completing: .directories),
            Flag("detach", short: "d", .bool, "detach from the container's process"),
            Flag("pid-file", .string("value"), "specify the file to write the process id to"),
            Flag(
                "no-subreaper", .bool,
                "disable the use of the subreaper used to reap reparented processes"),
            Flag(
                "no-pivot", .bool,
                "do not use pivot root to jail process inside rootfs. This should be used whenever the rootfs is on top of a ramdisk"
            ),
            Flag(
                "lsm-profile", .string("value"),
                "specify an LSM profile to be used during restore in the form of TYPE:NAME"),
            Flag(
                "lsm-mount-context", .string("value"),
                "specify an LSM mount context to be used during restore"),
        ]
    }

    static func run(_ values: Values) throws -> Int32 {
        do throws(RuntimeError) {
            return try restore(values)
        } catch {
            throw error.named("\(RuntimeProgram.name) restore failed")
        }
    }

    private static func restore(_ values: Values) throws(RuntimeError) -> Int32 {
        let id = values.arguments[0]
        let isDetached = values.bool("detach")
        var options = RestoreOptions(try CRIUFlags.options(values))
        options.securityProfile = values.text("lsm-profile")
        options.securityMountContext = values.text("lsm-mount-context")
        options.consoleSocket = values.text("console-socket")
        options.pidFile = values.text("pid-file")
        options.noPivot = values.bool("no-pivot")
        options.cgroupManager = try CreateCommand.cgroupManager(values)
        options.returnsTerminal = !isDetached
        let runtime = try values.runtime
        if !isDetached { try ForegroundProcess.prepare(values, consoleSocket: options.consoleSocket) }
        var container = try runtime.restore(id, bundle: values.string("bundle") ?? "", options: options)
        if isDetached { return 0 }
        return try ForegroundProcess.finish(&container, id, runtime, values)
    }
}
