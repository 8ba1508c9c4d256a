import CommandGrammar
import ContainerRuntime
import LinuxSystem

/// `apus-runtime`: the runtime library behind runc's command line.
enum RuntimeProgram {
    static let version = "0.1.0"
    static let specVersion = "1.3.0"

    static var tree: CommandTree {
        CommandTree(
            program: name, summary: "Open Container Initiative runtime",
            version: "\(name) version \(version)\ncommit: v\(version)\nspec: \(specVersion)", style: .urfave,
            globals: globals,
            groups: [
                CommandTree.Group(
                    "COMMANDS",
                    [
                        CheckpointCommand.command, CreateCommand.command, DeleteCommand.command,
                        EventsCommand.command, ExecCommand.command,
                        FeaturesCommand.command, KillCommand.command, ListCommand.command,
                        PauseCommand.command, PSCommand.command, RestoreCommand.command,
                        ResumeCommand.command, RunCommand.command,
                        SpecCommand.command, StartCommand.command, StateCommand.command,
                        UpdateCommand.command,
                    ])
            ])
    }

    /// As it was called: it may stand in another runtime's place.
    static var name: String {
        let called = CommandLine.arguments.first ?? ""
        let name = called.utf8.lastIndex(of: UInt8(ascii: "/")).map {
            called[called.utf8.index(after: $0)...]
        }
        return name.map(String.init) ?? called
    }

    private static var globals: [Flag] {
        [
            Flag("debug", .bool, "enable debug logging"),
            Flag("log", .string("value"), "set the log file to write logs to (default is '/dev/stderr')"),
            Flag(
                "log-format", .string("value"), default: "text",
                "set the log format ('text' (default), or 'json')"),
            Flag(
                "root", .string("value"), default: defaultRoot,
                "root directory for storage of container state (this should be located in tmpfs)"),
            Flag(
                "criu", .string("value"), default: "criu",
                "path to the criu binary used for checkpoint and restore"),
            Flag("systemd-cgroup", .bool, "enable systemd cgroup support"),
            Flag(
                "rootless", .string("value"), default: "auto",
                "ignore cgroup permission errors ('true', 'false', or 'auto')"),
            Flag(
                "shell-exit-codes", .bool,
                "end with 127 for a command that is not found, 126 for one that cannot be executed, and 125 for any other failure",
                hidden: true),
        ]
    }

    private static var defaultRoot: String { userRoot ?? "/run/apus-runtime" }

    /// Below $XDG_RUNTIME_DIR, for another user than root and for a user namespace's root, who has
    /// it from the user.
    fileprivate static var userRoot: String? {
        guard let directory = getenv("XDG_RUNTIME_DIR").map({ String(cString: $0) }), !directory.isEmpty
        else { return nil }
        if geteuid() == 0 {
            guard Rootless.isInUserNamespace, getenv("USER").map({ String(cString: $0) }) != "root" else {
                return nil
            }
        }
        return directory + "/apus-runtime"
    }

    static func run(_ arguments: [String]) -> Int32 {
        let invocation: Invocation
        do throws(UsageError) {
            invocation = try tree.parse(arguments)
        } catch {
            RuntimeLog().fail("\(error)")
            return 1
        }
        switch invocation {
        case .command(let command, let values):
            return run(command, values)
        case .text(let text):
            Output.print(text, terminator: text.hasSuffix("\n") ? "" : "\n")
            return 0
        case .completion(let words):
            Output.print(tree.candidates(for: words) { _, _ in [] }.text, terminator: "")
            return 0
        case .manual(let directory):
            for page in tree.manualPages() {
                try? File.replace("\(directory)/\(page.name)", with: Array(page.text.utf8), durable: false)
            }
            return 0
        }
    }

    private static func run(_ command: Command, _ values: Values) -> Int32 {
        var log = RuntimeLog()
        do {
            log = try RuntimeLog(values)
            return try command.action?(values) ?? 0
        } catch {
            log.fail("\(error)", plainly: (error as? RuntimeError)?.isOfCommand ?? false)
            return exitCode(of: error, command.name, values)
        }
    }

    private static func exitCode(of error: any Error, _ command: String, _ values: Values) -> Int32 {
        if values.bool("shell-exit-codes") { return (error as? RuntimeError)?.exitCode ?? 125 }
        return command == "exec" ? 255 : 1
    }
}

extension Values {
    var runtime: Runtime { get throws(RuntimeError) { try runtime(nil) } }

    /// For commands with `--trace`.
    var tracedRuntime: Runtime {
        get throws(RuntimeError) { try runtime(bool("trace") ? try Trace() : nil) }
    }

    private func runtime(_ trace: Trace?) throws(RuntimeError) -> Runtime {
        let rootless = try rootless
        if !isSet("root"), let root = RuntimeProgram.userRoot { try Self.prepare(root) }
        var root = string("root") ?? "/run/apus-runtime"
        if root.utf8.first != UInt8(ascii: "/"), let directory = getcwd(nil, 0) {
            root = String(cString: directory) + "/" + root
            free(directory)
        }
        var reporter = try RuntimeLog(self).reporter(debug: bool("debug"))
        reporter.trace = trace
        return Runtime(root: root, reporter: reporter, rootless: rootless)
    }

    /// Whether this runtime is for a user who is not root; nil when that shows itself.
    var isRootless: Bool? {
        get throws(RuntimeError) {
            let text = string("rootless") ?? "auto"
            if text.isEmpty || text.lowercased() == "auto" { return nil }
            guard let isRootless = Quantity.bool(text) else {
                throw RuntimeError(
                    .invalidConfig, "invalid value \"\(text)\" for --rootless: neither a boolean nor auto")
            }
            return isRootless
        }
    }

    /// What `--rootless` says about control groups.
    private var rootless: Rootless {
        get throws(RuntimeError) { Rootless(doesWithoutCgroups: try isRootless) }
    }

    /// The sticky bit keeps it from being cleaned up there for its age (XDG Base Directory
    /// Specification).
    private static func prepare(_ root: String) throws(RuntimeError) {
        do throws(SystemError) {
            try File.makeDirectories(root, mode: 0o700)
            _ = try retrying("chmod", root) { chmod(root, 0o1700) }
        } catch {
            throw RuntimeError(
                .system, "the path in $XDG_RUNTIME_DIR must be writable by the user", cause: error)
        }
    }
}

extension Runtime {
    func printTrace() {
        if let trace { try? FD.writeAll(2, trace.report) }
    }
}

enum Output {
    static func print(_ text: String, terminator: String = "\n") {
        try? FD.writeAll(1, text + terminator)
    }
}
