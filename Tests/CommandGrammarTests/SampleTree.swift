import CommandGrammar

enum Sample {
    static let run = Command(
        "run", usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
        summary: "Create and run a new container from an image",
        examples: ["apus run -it debian bash"], arguments: .atLeast(1), interspersed: false,
        completing: .objects("images"),
        flags: {
            [
                Flag("detach", short: "d", .bool, "Run container in background"),
                Flag("interactive", short: "i", .bool, "Keep standard input open"),
                Flag("tty", short: "t", .bool, "Allocate a terminal"),
                Flag("rm", .bool, "Remove the container when it ends"),
                Flag("env", short: "e", .list("KEY=VALUE"), "Set environment variables"),
                Flag("cap-add", .commaList, "Add capabilities"),
                Flag("memory", short: "m", .size, "Memory limit"),
                Flag("cpus", .decimal, "Number of CPUs"),
                Flag("network", aliases: ["net"], .string, default: "bridge", "Network to join"),
                Flag("pids-limit", .int, default: "-1", "Process limit"),
                Flag("hostname", short: "h", .string, "Host name"),
                Flag("pull", .choice(["always", "missing", "never"]), default: "missing", "Pull policy"),
                Flag("systemd", .optional("mode", implied: "always"), "Systemd mode"),
                Flag("stop-timeout", .duration, "Time to wait"),
                Flag("old", .string, "Old name", deprecated: "use --new instead"),
                Flag("sig-proxy", .bool, default: "true", "Proxy signals"),
                Flag("volume", short: "v", .list, "Bind a directory", completing: .directories),
            ]
        }, run: { _ in 0 })

    static let ps = Command(
        "ps", summary: "List containers",
        flags: {
            [
                Flag("all", short: "a", .bool, "Show all containers"),
                Flag("last", short: "n", .int, default: "-1", "Show n last"),
                Flag("verbose", .count, "More"),
            ]
        }, run: { _ in 0 })

    static let logs = Command(
        "logs", usage: "[OPTIONS] CONTAINER", summary: "Fetch the logs of a container",
        arguments: .exactly(1), completing: .objects("containers"),
        flags: { [Flag("follow", short: "f", .bool, "Follow log output")] }, run: { _ in 0 })

    static let secret = Command("secret", summary: "Not shown", hidden: true, run: { _ in 0 })

    static let container = Command(
        "container", summary: "Manage containers",
        subcommands: { [run, ps.named("ls", aliases: ["list", "ps"]), logs] })

    static let tree = CommandTree(
        program: "apus", summary: "Run containers", version: "apus version 0.1.0",
        globals: [
            Flag("root", .string("path"), "Where images are kept", completing: .directories),
            Flag("debug", short: "D", .bool, "Say more"),
        ],
        groups: [
            .init("Common Commands", [run, ps]), .init("Management Commands", [container]),
            .init("Commands", [logs, secret]),
        ])

    static let runtime = CommandTree(
        program: "apus-runtime", summary: "OCI runtime", style: .urfave,
        globals: [Flag("root", .string, "State"), Flag("debug", .bool, "Debug")],
        groups: [
            .init(
                "Commands",
                [
                    Command(
                        "run", usage: "[OPTIONS] ID", summary: "Run", arguments: .exactly(1),
                        flags: {
                            [
                                Flag("bundle", short: "b", .string, default: ".", "Bundle"),
                                Flag("detach", short: "d", .bool, "Detach"),
                                Flag("tty", short: "t", .bool, "Terminal"),
                            ]
                        }, run: { _ in 0 }),
                    Command(
                        "exec", usage: "[OPTIONS] ID COMMAND", summary: "Exec", arguments: .atLeast(2),
                        interspersed: false,
                        flags: { [Flag("tty", short: "t", .bool, "Terminal")] }, run: { _ in 0 }),
                ])
        ])

    static func values(_ words: String..., in tree: CommandTree = tree) throws -> Values {
        guard case .command(_, let values) = try tree.parse(words) else { throw NoCommand() }
        return values
    }

    static func text(_ words: String..., in tree: CommandTree = tree) throws -> String {
        guard case .text(let text) = try tree.parse(words) else { throw NoCommand() }
        return text
    }

    /// The refusal of a command line; nil when it was accepted.
    static func refusal(_ words: String..., in tree: CommandTree = tree) -> UsageError? {
        do throws(UsageError) {
            _ = try tree.parse(words)
            return nil
        } catch {
            return error
        }
    }

    struct NoCommand: Error {}
}
