import CommandGrammar
import ContainerRuntime
import JSONText
import LinuxSystem
import OCISpec

enum StateCommand {
    static let command = Command(
        "state", usage: "<container-id>", summary: "output the state of a container", arguments: .exactly(1),
        run: run)

    static func run(_ values: Values) throws -> Int32 {
        let summary = try values.runtime.summary(values.arguments[0])
        Output.print(summary.json.text(indent: "  "))
        return 0
    }
}

extension Runtime.Summary {
    /// As runc prints it.
    var json: JSON {
        var object = JSONObject()
        object.set("ociVersion", state.ociVersion)
        object.set("id", state.id)
        object.set("pid", state.pid)
        object.set("status", state.status)
        object.set("bundle", state.bundle)
        object.set("rootfs", rootfs)
        object.set("created", created)
        object.set("annotations", nonEmpty: state.annotations)
        object.set("owner", owner == "root" ? "" : owner)
        return .object(object)
    }
}

enum ListCommand {
    static let command = Command(
        "list", usage: "[command options]",
        summary: "lists containers started by apus-runtime with the given root",
        flags: {
            [
                Flag(
                    "format", short: "f", .string("value"), default: "table", "select one of: table or json"),
                Flag("quiet", short: "q", .bool, "display only container IDs"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let runtime = try values.runtime
        if values.isSet("root"), !File.exists(runtime.root) {
            throw RuntimeError(.notFound, "open \(runtime.root): no such file or directory")
        }
        let containers = try runtime.list()
        if values.bool("quiet") {
            for container in containers { Output.print(container.state.id) }
            return 0
        }
        switch values.string("format") ?? "table" {
        case "json":
            Output.print(containers.isEmpty ? "null" : JSON.array(containers.map(\.json)).text())
        case "table":
            var rows = [["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]]
            for container in containers {
                rows.append([
                    container.state.id, String(container.state.pid), container.state.status.rawValue,
                    container.state.bundle, container.created, container.owner,
                ])
            }
            Output.print(table(rows), terminator: "")
        case let other:
            throw RuntimeError(.invalidConfig, "invalid format option: \(other)")
        }
        return 0
    }

    /// Columns at least 12 wide, three spaces between them, as runc has them.
    private static func table(_ rows: [[String]]) -> String {
        let widths = rows[0].indices.map { column in
            max(12, (rows.map { $0[column].count }.max() ?? 0) + 3)
        }
        return rows.map { row in
            row.enumerated().map { column, cell in
                column == row.count - 1
                    ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }.joined() + "\n"
        }.joined()
    }
}

enum PSCommand {
    static let command = Command(
        "ps", usage: "[command options] <container-id> [ps options]",
        summary: "ps displays the processes running inside a container", arguments: .atLeast(1),
        interspersed: false,
        flags: {
            [Flag("format", short: "f", .string("value"), default: "table", "select one of: table or json")]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let pids = try values.runtime.processes(values.arguments[0])
        switch values.string("format") ?? "table" {
        case "json":
            Output.print(JSON.array(pids.sorted().map { .integer(Int64($0)) }).text())
        case "table":
            let options = values.arguments.count > 1 ? Array(values.arguments.dropFirst()) : ["-ef"]
            try printTable(pids, options)
        case let other:
            throw RuntimeError(.invalidConfig, "invalid format option: \(other)")
        }
        return 0
    }

    /// The lines of the host's ps(1) that are about these processes.
    private static func printTable(_ pids: [pid_t], _ options: [String]) throws {
        let output = try FD.pipe()
        let writing = output.writing
        let reading = output.reading
        let pid = try Spawn.start("ps", ["ps"] + options, descriptors: [nil, writing.raw, 2])
        try writing.close()
        let text = String(decoding: try FD.readAll(reading.raw), as: UTF8.self)
        let status = try Spawn.wait(pid)
        guard status.exitCode == 0 else {
            throw RuntimeError(.system, "ps ended with exit status \(status.exitCode)")
        }
        let lines = text.split(separator: "\n")
        guard let header = lines.first,
            let column = header.split(separator: " ").firstIndex(of: "PID")
        else { throw RuntimeError(.system, "couldn't find PID field in ps output") }
        Output.print(String(header))
        for line in lines.dropFirst() {
            let fields = line.split(separator: " ")
            guard column < fields.count, let number = pid_t(fields[column]), pids.contains(number) else {
                continue
            }
            Output.print(String(line))
        }
    }
}
