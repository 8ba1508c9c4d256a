import CommandGrammar
import ContainerEngine
import GoTemplate
import JSONText
import LinuxSystem

enum VersionCommand {
    static let command = Command(
        "version", summary: "Show the version",
        flags: { [Flag("format", short: "f", .string("TEMPLATE"), "Print by a Go template, or json")] },
        run: run)

    static func run(_ values: Values) throws -> Int32 {
        let client: JSON = [
            "Version": .string(Application.version), "OsArch": .string("linux/\(Machine.architecture)"),
            "Os": "linux", "Arch": .string(Machine.architecture), "ImplementationVersion": .string("Swift 6"),
        ]
        // There is no daemon: the server of Docker's scripts is this program too.
        if let format = values.string("format") {
            Output.print(
                try ListingFormat(format, default: "json", headings: [:]).render([
                    ["Client": client, "Server": client]
                ]))
        } else {
            Output.printLine("Version:      \(Application.version)")
            Output.printLine("OS/Arch:      linux/\(Machine.architecture)")
        }
        return 0
    }
}

enum InfoCommand {
    static let command = Command(
        "info", summary: "Show what the host and the store are like",
        flags: { [Flag("format", short: "f", .string("TEMPLATE"), "Print by a Go template, or json")] },
        run: run)

    static func run(_ values: Values) throws -> Int32 {
        let info = try GlobalFlags.engine(values).info(
            version: Application.version, cgroupManager: values.string("cgroup-manager") ?? "cgroupfs")
        if let format = values.string("format") {
            Output.print(try ListingFormat(format, default: "json", headings: [:]).render([info]))
        } else {
            Output.printLine(info.text(indent: "    "))
        }
        return 0
    }
}

/// The machine's name for itself in image documents.
enum Machine {
    static var architecture: String {
        #if arch(x86_64)
            "amd64"
        #elseif arch(arm64)
            "arm64"
        #elseif arch(riscv64)
            "riscv64"
        #else
            "unknown"
        #endif
    }
}
