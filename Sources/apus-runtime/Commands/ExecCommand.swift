import CommandGrammar
import ContainerRuntime
import JSONText
import LinuxSystem
import OCISpec

enum ExecCommand {
    static let command = Command(
        "exec", usage: "[command options] <container-id> <command> [command options]",
        summary: "execute new process inside the container", arguments: .atLeast(1), interspersed: false,
        flags: { flags }, run: run)

    private static var flags: [Flag] {
        [
            Flag(
                "console-socket", .string("value"),
                "path to an AF_UNIX socket which will receive a file descriptor referencing the master end of the console's pseudoterminal"
            ),
            Flag("cwd", .string("value"), "current working directory in the container"),
            Flag("env", short: "e", .list("value"), "set environment variables"),
            Flag("tty", short: "t", .bool, "allocate a pseudo-TTY"),
            Flag("user", short: "u", .string("value"), "UID (format: <uid>[:<gid>])"),
            Flag("additional-gids", short: "g", .commaList("value"), "additional gids"),
            Flag("process", short: "p", .string("value"), "path to the process.json", completing: .files),
            Flag("detach", short: "d", .bool, "detach from the container's process"),
            Flag(
                "pidfd-socket", .string("value"),
                "path to an AF_UNIX socket which will receive a file descriptor referencing the exec process"
            ),
            Flag("pid-file", .string("value"), "specify the file to write the process id to"),
            Flag("process-label", .string("value"), "set the asm process label for the process"),
            Flag("apparmor", .string("value"), "set the apparmor profile for the process"),
            Flag("no-new-privs", .bool, "set the no new privileges value for the process"),
            Flag("cap", short: "c", .list("value"), "add a capability to the bounding set for the process"),
            Flag(
                "preserve-fds", .uint, default: "0",
                "pass N additional file descriptors to the container (stdio + $LISTEN_FDS + N in total)"),
            Flag(
                "cgroup", .list("value"),
                "run the process in an (existing) sub-cgroup(s). Format is [<controller>:]<cgroup>"),
            CreateCommand.traceFlag,
            Flag("ignore-paused", .bool, "allow exec in a paused container"),
            Flag("no-subreaper", .bool, "disable the use of the subreaper", hidden: true),
        ]
    }

    static func run(_ values: Values) throws -> Int32 {
        let id = values.arguments[0]
        let listening = SocketActivation.descriptorCount
        let preserved = Int32(clamping: values.uint("preserve-fds") ?? 0) + listening
        try SocketActivation.check(preserved)
        let runtime = try values.tracedRuntime
        let isDetached = values.bool("detach")
        let socket = values.string("console-socket").flatMap { $0.isEmpty ? nil : $0 }
        let opened = try runtime.container(id)
        let spec = try process(values, opened.config)
        if isDetached, spec.terminal, socket == nil {
            throw RuntimeError(
                .invalidConfig,
                "cannot allocate tty if the runtime will detach without setting console socket")
        }
        if !isDetached, socket != nil {
            throw RuntimeError(
                .invalidConfig, "cannot use console socket if the runtime will not detach or allocate tty")
        }
        if !isDetached { ForegroundProcess.prepare(subreaper: !values.bool("no-subreaper")) }
        var options = ExecOptions(
            consoleSocket: socket, pidFile: values.string("pid-file").flatMap { $0.isEmpty ? nil : $0 },
            pidfdSocket: values.string("pidfd-socket").flatMap { $0.isEmpty ? nil : $0 },
            preservedDescriptors: preserved, ignoresPaused: values.bool("ignore-paused"),
            cgroups: try cgroups(values.list("cgroup")))
        options.keepsLineEnds = !isDetached
        var container: CreatedContainer
        do throws(RuntimeError) {
            container = try runtime.exec(spec, in: opened, options: options)
            runtime.printTrace()
        } catch {
            runtime.printTrace()
            throw error
        }
        return isDetached ? 0 : try ForegroundProcess.wait(&container)
    }

    /// `CONTROLLER,…:PATH` of each, or a path for all controllers.
    private static func cgroups(_ arguments: [String]) throws(RuntimeError) -> [String: String] {
        var paths: [String: String] = [:]
        for argument in arguments {
            func wrong(_ why: String) -> RuntimeError {
                RuntimeError(.invalidConfig, "invalid --cgroup argument: \(argument) (\(why))")
            }
            guard let colon = argument.firstIndex(of: ":") else {
                guard arguments.count == 1 else { throw wrong("missing <controller>: prefix") }
                paths[""] = argument
                continue
            }
            for part in argument[..<colon].split(separator: ",", omittingEmptySubsequences: false) {
                let controller = String(part)
                guard !controller.isEmpty else { throw wrong("empty <controller> prefix") }
                guard paths[controller] == nil else {
                    throw wrong("controller \(controller) specified multiple times")
                }
                paths[controller] = String(argument[argument.index(after: colon)...])
            }
        }
        return paths
    }

    /// The file's description, or the container's own process with what the flags change.
    private static func process(
        _ values: Values, _ config: RuntimeConfig
    ) throws(RuntimeError) -> ProcessSpec {
        if let path = values.string("process"), !path.isEmpty {
            do {
                return try ProcessSpec(
                    json: try JSON(parsing: try File.read(path, limit: 16 << 20), refusingNUL: true))
            } catch {
                throw RuntimeError(.invalidConfig, "read \(path): \(error)")
            }
        }
        guard values.arguments.count > 1 else {
            throw RuntimeError(.invalidConfig, "process args cannot be empty")
        }
        guard var spec = config.process else {
            throw RuntimeError(.invalidConfig, "process must be specified")
        }
        spec.args = Array(values.arguments.dropFirst())
        spec.terminal = values.bool("tty")
        if let cwd = values.string("cwd"), !cwd.isEmpty { spec.cwd = cwd }
        if let profile = values.string("apparmor") { spec.apparmorProfile = profile }
        if let label = values.string("process-label") { spec.selinuxLabel = label }
        if values.isSet("no-new-privs") { spec.noNewPrivileges = values.bool("no-new-privs") }
        spec.env += values.list("env")
        if let user = values.string("user"), !user.isEmpty { try set(user, of: &spec) }
        for text in values.list("additional-gids") {
            guard let gid = UInt32(text) else {
                throw RuntimeError(.invalidConfig, "additional-gids: \"\(text)\" is no group ID")
            }
            spec.user.additionalGids.append(gid)
        }
        add(values.list("cap"), to: &spec)
        return spec
    }

    private static func set(_ user: String, of spec: inout ProcessSpec) throws(RuntimeError) {
        let parts = user.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2, let uid = UInt32(parts[0]) else {
            throw RuntimeError(.invalidConfig, "parsing \"\(user)\" as int for uid failed: invalid syntax")
        }
        spec.user.uid = uid
        if parts.count == 2 {
            guard let gid = UInt32(parts[1]) else {
                throw RuntimeError(
                    .invalidConfig, "parsing \"\(parts[1])\" as int for gid failed: invalid syntax")
            }
            spec.user.gid = gid
        }
    }

    private static func add(_ names: [String], to spec: inout ProcessSpec) {
        guard !names.isEmpty else { return }
        var capabilities = spec.capabilities ?? Capabilities()
        func adding(_ list: [String]?) -> [String] {
            (list ?? []) + names.filter { !(list ?? []).contains($0) }
        }
        capabilities.bounding = adding(capabilities.bounding)
        capabilities.effective = adding(capabilities.effective)
        capabilities.permitted = adding(capabilities.permitted)
        // Inheritable too when they are to be ambient, which the kernel asks for.
        if capabilities.ambient != nil, capabilities.inheritable != nil {
            capabilities.inheritable = adding(capabilities.inheritable)
            capabilities.ambient = adding(capabilities.ambient)
        }
        spec.capabilities = capabilities
    }
}
