import CommandGrammar
import ContainerEngine
import JSONText
import LayerArchive
import LinuxSystem

enum DiffCommand {
    static let command = Command(
        "diff", usage: "[OPTIONS] CONTAINER|IMAGE", summary: "Show what a container changed of its image",
        description:
            "A line for each file: A (added), C (changed) or D (deleted), and its path. Of an image it shows what its topmost layer changed.",
        arguments: .exactly(1), completing: .objects("containers"), flags: flags,
        run: { values in
            let engine = try GlobalFlags.engine(values)
            let name = values.arguments[0]
            do {
                return try show(try engine.changes(of: engine.find(name)), values)
            } catch let error as EngineError where error.code == .notFound {
                guard try engine.findImage(name) != nil else {
                    throw EngineError(.notFound, "no container or image \"\(name)\" is here")
                }
                return try show(try engine.changes(ofImage: name), values)
            }
        })

    static let imageCommand = Command(
        "diff", usage: "[OPTIONS] IMAGE", summary: "Show what an image's topmost layer changed",
        arguments: .exactly(1), completing: .objects("images"), flags: flags,
        run: { values in
            let engine = try GlobalFlags.engine(values)
            return try show(try engine.changes(ofImage: values.arguments[0]), values)
        })

    @Sendable private static func flags() -> [Flag] {
        [Flag("format", .choice(["json"]), "Print as JSON: the changed, the added and the deleted paths")]
    }

    private static func show(_ changes: TreeChanges, _ values: Values) throws -> Int32 {
        let slash = UInt8(ascii: "/")
        guard values.string("format") == "json" else {
            var bytes: [UInt8] = []
            for change in changes.list {
                bytes += Array(change.kind.rawValue.utf8) + [0x20, slash] + change.path + [0x0A]
            }
            try? FD.writeAll(STDOUT_FILENO, bytes)
            return 0
        }
        var object = JSONObject()
        for (name, kind) in [("changed", TreeChange.Kind.changed), ("added", .added), ("deleted", .deleted)] {
            let paths = changes.list.filter { $0.kind == kind }
                .map { JSON.string("/" + String(decoding: $0.path, as: UTF8.self)) }
            if !paths.isEmpty { object[name] = .array(paths) }
        }
        Output.printLine(JSON.object(object).text())
        return 0
    }
}
