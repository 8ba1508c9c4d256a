import CommandGrammar
import ContainerEngine
import ContainerStorage

enum CheckCommand {
    static let command = Command(
        "check", summary: "Compare what the store holds with what is recorded of it",
        description:
            "Reads every blob and compares it with its digest, every unpacked layer with its archive, and every reference with what it names. What is not as it should be is printed, a line each, and makes the exit code 1. With --repair, what the kept blobs give is made anew; an image of which a blob is lost is removed, so that a new pull brings it whole, or stays for the container that uses it.",
        flags: {
            [
                Flag("quick", short: "q", .bool, "Look whether things are there, and not what is in them"),
                Flag("repair", short: "r", .bool, "Put right what is found"),
            ]
        }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let engine = try GlobalFlags.engine(values)
        engine.sweep()
        let quick = values.bool("quick")
        var damage = try engine.store.check(quick: quick)
        guard values.bool("repair"), !damage.isEmpty else {
            for item in damage { Output.printLine("\(item)") }
            return damage.isEmpty ? 0 : 1
        }
        for item in try engine.store.repair(damage) { Output.printLine("\(item)") }
        damage = try engine.store.check(quick: quick)
        for item in damage { Output.complain("\(item)") }
        return damage.isEmpty ? 0 : 1
    }
}

enum MigrateCommand {
    static let command = Command(
        "migrate", usage: "DRIVER", summary: "Move all images and containers to another storage driver",
        description:
            "DRIVER is overlay, vfs, btrfs or erofs. No container may run. Everything is made for the new driver before the old one is left; a migration that is killed has changed nothing.",
        arguments: .exactly(1), run: run)

    static func run(_ values: Values) throws -> Int32 {
        let name = values.arguments[0]
        guard let driver = SnapshotterName(rawValue: name) else {
            throw EngineError(
                .invalid,
                "there is no storage driver \"\(name)\": use one of \(SnapshotterName.allCases.map(\.rawValue).joined(separator: ", "))"
            )
        }
        let migrated = try GlobalFlags.engine(values).migrate(to: driver)
        Output.printLine("Layers unpacked: \(migrated.layers)\nContainers moved: \(migrated.snapshots)")
        return 0
    }
}
