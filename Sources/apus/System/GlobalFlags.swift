import CommandGrammar
import ContainerEngine

/// The flags that stand before a command: which store, whose state.
enum GlobalFlags {
    static let flags = [
        Flag("root", .string("DIR"), "Directory of images, containers and volumes", completing: .directories),
        Flag("runroot", .string("DIR"), "Directory of what is lost at a reboot", completing: .directories),
        Flag("storage-driver", .choice(["overlay", "vfs", "btrfs", "erofs"]), "Storage driver"),
        Flag(
            "cgroup-manager", .choice(["cgroupfs", "systemd"]), default: "cgroupfs",
            "Who makes the control groups of new containers"),
    ]

    /// The engine over the store that the flags name.
    static func engine(_ values: Values) throws -> Engine {
        try Engine.open(
            root: values.string("root"), runRoot: values.string("runroot"),
            driver: values.string("storage-driver"))
    }
}
