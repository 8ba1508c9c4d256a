import CommandGrammar
import ContainerRuntime
import JSONText
import LinuxSystem
import OCISpec

enum SpecCommand {
    static let command = Command(
        "spec", usage: "[command options]", summary: "create a new specification file", arguments: .none,
        flags: {
            [
                Flag(
                    "bundle", short: "b", .string("value"), default: "",
                    "path to the root of the bundle directory", completing: .directories),
                Flag("rootless", .bool, "generate a configuration for a rootless container"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        var directory = values.string("bundle") ?? ""
        if directory.isEmpty { directory = "." }
        // The first: the program has a flag of that name, too, which takes a value.
        let isRootless = values.bool("rootless")
        let version = RuntimeProgram.specVersion
        let config = isRootless ? DefaultConfig.rootless(version) : DefaultConfig.config(version)
        try write(config.json.text(indent: "\t") + "\n", to: "\(directory)/config.json")
        return 0
    }

    private static func write(_ text: String, to path: String) throws(RuntimeError) {
        do throws(SystemError) {
            let file = try File.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o666)
            try FD.writeAll(file.raw, text)
        } catch {
            throw error.errno == .exists
                ? RuntimeError(.invalidConfig, "File config.json exists. Remove it first")
                : RuntimeError(.system, "write the specification", cause: error)
        }
    }
}
