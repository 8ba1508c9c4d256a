import ContainerRuntime
import OCISpec

/// A bundle's `config.json`, made from an image's configuration
/// (image-spec, conversion.md).
enum BundleConfig {
    /// What every runtime reads.
    private static let version = "1.0.2"

    /// - Parameter root: the image's files, in which users are looked up.
    static func make(
        _ image: ImageConfig, root: Int32, owners: BundleOwners
    ) throws(EngineError) -> RuntimeConfig {
        let defaults = image.config
        let user = try ContainerUser.resolve(defaults.user, root: root)
        var config =
            owners.isRootless ? DefaultConfig.rootless(version) : DefaultConfig.config(version)
        owners.apply(to: &config)
        config.root = RootSpec(path: "rootfs")
        if var process = config.process {
            // Without its own among them the process would have what is denied to that; and who may give
            // files to nobody may have no groups besides.
            let groups = owners.isRootless ? [] : [user.gid] + user.additionalGids.filter { $0 != user.gid }
            process.user = User(uid: user.uid, gid: user.gid, additionalGids: groups)
            let arguments = defaults.entrypoint + defaults.cmd
            if !arguments.isEmpty { process.args = arguments }
            if !defaults.workingDir.isEmpty { process.cwd = PathText.normalized(defaults.workingDir) }
            process.env = environment(process.env, defaults.env, home: user.home)
            config.process = process
        }
        let taken = Set(config.mounts.map(\.destination))
        for volume in defaults.volumes.map(PathText.normalized) where volume != "/" && !taken.contains(volume)
        {
            config.mounts.append(
                MountSpec(
                    destination: volume, type: "tmpfs", source: "none",
                    options: ["rw", "nosuid", "nodev", "noexec", "relatime"]))
        }
        config.annotations = annotations(image)
        return config
    }

    private static func environment(_ base: [String], _ image: [String], home: String) -> [String] {
        func name(_ assignment: String) -> Substring { assignment.prefix { $0 != "=" } }
        let named = Set(image.map(name))
        return base.filter { !named.contains(name($0)) } + image
            + (named.contains("HOME") ? [] : ["HOME=\(home)"])
    }

    /// Labels say more than what follows from the other fields. But those that runtimes act on are
    /// for who runs the container to give: systemd would do on the host what an image says.
    private static func annotations(_ image: ImageConfig) -> [String: String] {
        var annotations: [String: String] = [:]
        for (name, value) in [
            ("os", image.os), ("architecture", image.architecture), ("variant", image.variant),
            ("os.version", image.osVersion), ("os.features", image.osFeatures.joined(separator: ",")),
            ("author", image.author), ("created", image.created), ("stopSignal", image.config.stopSignal),
            ("exposedPorts", image.config.exposedPorts.joined(separator: ",")),
        ] {
            if let value, !value.isEmpty { annotations["org.opencontainers.image.\(name)"] = value }
        }
        let labels = image.config.labels.filter { label in
            !Self.orders.contains { label.key.hasPrefix($0) }
        }
        return annotations.merging(labels) { $1 }
    }

    /// Of runc and ours, CRIU, crun, and Kata Containers.
    private static let orders = [
        "org.systemd.property.", "org.criu.", "run.oci.", "module.wasm.image/", "io.katacontainers.",
    ]
}
