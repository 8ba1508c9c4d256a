import CommandGrammar
import ContainerRuntime
import LinuxSystem

enum CreateCommand {
    static let command = Command(
        "create", usage: "[command options] <container-id>", summary: "create a container",
        arguments: .exactly(1), flags: { sharedFlags }, run: run)

    static var sharedFlags: [Flag] {
        [
            Flag(
                "bundle", short: "b", .string("value"),
                "path to the root of the bundle directory, defaults to the current directory",
                completing: .directories),
            Flag(
                "console-socket", .string("value"),
                "path to an AF_UNIX socket which will receive a file descriptor referencing the master end of the console's pseudoterminal"
            ),
            Flag(
                "pidfd-socket", .string("value"),
                "path to an AF_UNIX socket which will receive a file descriptor referencing the init process"
            ),
            Flag("pid-file", .string("value"), "specify the file to write the process id to"),
            Flag(
                "no-pivot", .bool,
                "do not use pivot root to jail process inside rootfs. This should be used whenever the rootfs is on top of a ramdisk"
            ),
            traceFlag,
            Flag("no-new-keyring", .bool, "do not create a new session keyring for the container"),
            Flag(
                "preserve-fds", .uint, default: "0",
                "pass N additional file descriptors to the container (stdio + $LISTEN_FDS + N in total)"),
        ]
    }

    static let traceFlag = Flag(
        "trace", .bool,
        "print to the standard error what is asked of the kernel, step by step, and the time that it takes")

    static func run(_ values: Values) throws -> Int32 {
        do throws(RuntimeError) {
            let options = try options(values)
            let runtime = try values.tracedRuntime
            defer { runtime.printTrace() }
            _ = try runtime.create(
                values.arguments[0], bundle: values.string("bundle") ?? "", options: options)
            return 0
        } catch {
            throw error.named("\(RuntimeProgram.name) create failed")
        }
    }

    static func options(_ values: Values) throws(RuntimeError) -> CreateOptions {
        let listening = SocketActivation.descriptorCount
        let preserved = Int32(clamping: values.uint("preserve-fds") ?? 0) + listening
        try SocketActivation.check(preserved)
        let isDetached = values.path.last == "create" || values.bool("detach")
        var options = CreateOptions(
            consoleSocket: values.string("console-socket").flatMap { $0.isEmpty ? nil : $0 },
            pidFile: values.string("pid-file").flatMap { $0.isEmpty ? nil : $0 },
            pidfdSocket: values.string("pidfd-socket").flatMap { $0.isEmpty ? nil : $0 },
            preservedDescriptors: preserved, noPivot: values.bool("no-pivot"),
            noNewKeyring: values.bool("no-new-keyring"), returnsTerminal: !isDetached,
            environment: SocketActivation.environment(listening))
        options.keepsLineEnds = !isDetached
        options.cgroupManager = try cgroupManager(values)
        return options
    }

    static func cgroupManager(_ values: Values) throws(RuntimeError) -> CgroupManager {
        guard values.bool("systemd-cgroup") else { return .cgroupfs }
        return switch try values.isRootless {
        case nil: .ownSystemd
        case true?: .systemdUser
        case false?: .systemd
        }
    }
}
