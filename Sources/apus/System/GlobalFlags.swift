import CommandGrammar
import ContainerEngine
import ContainerImage

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

    /// For the process that does what others leave; nil when there is no store.
    static func sweeper(_ values: Values) throws -> Engine? {
        do throws(EngineError) {
            return try Engine.open(
                root: values.string("root"), runRoot: values.string("runroot"),
                driver: values.string("storage-driver"), leavesWork: false, mayMake: false)
        } catch  where error.code == .notFound {
            return nil
        }
    }

    /// The stores that `apus:` means: that of the flags, unless it names another.
    static func stores(_ values: Values) -> LocalStores {
        @Sendable func engine(_ root: String?) throws -> Engine {
            guard let root else { return try Self.engine(values) }
            return try Engine.open(root: root, runRoot: nil, driver: nil)
        }
        return LocalStores(
            open: { root in try engine(root).store },
            find: { root, name in
                let engine = try engine(root)
                guard let image = try engine.findImage(name) else {
                    throw ImageError(.notFound, "find apus:\(name)", "there is no such image here")
                }
                return (engine.store, image)
            })
    }
}
