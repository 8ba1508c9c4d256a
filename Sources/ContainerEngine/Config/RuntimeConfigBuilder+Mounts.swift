import JSONText
import LinuxSystem
import OCISpec

extension RuntimeConfigBuilder {
    /// The kernel's file systems first, then the container's own files, then
    /// what the user asked for, shallow before deep so that nothing is hidden.
    func mounts() throws(EngineError) -> [MountSpec] {
        let userMounts = try userMounts()
        let covered = Set(userMounts.map(\.destination))
        var mounts = (systemMounts() + files()).filter { !covered.contains($0.destination) }
        mounts += userMounts.sorted {
            $0.destination.utf8.count(where: { $0 == UInt8(ascii: "/") })
                < $1.destination.utf8.count(where: { $0 == UInt8(ascii: "/") })
        }
        return mounts
    }

    private func systemMounts() -> [MountSpec] {
        var mounts: [MountSpec] = []
        mounts.append(
            spec.pidMode == .host
                ? MountSpec(
                    destination: "/proc", type: "bind", source: "/proc",
                    options: ["rbind", "nosuid", "noexec", "nodev"])
                : MountSpec(
                    destination: "/proc", type: "proc", source: "proc",
                    options: ["nosuid", "noexec", "nodev"]))
        mounts.append(
            MountSpec(
                destination: "/dev", type: "tmpfs", source: "tmpfs",
                options: ["nosuid", "strictatime", "mode=755", "size=65536k"]))
        mounts.append(
            MountSpec(
                destination: "/dev/pts", type: "devpts", source: "devpts",
                options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]))
        let ownsNetwork = spec.network == .bridge || spec.network == .none
        mounts.append(
            // sysfs shows a network, and only that network's owner may mount it.
            namespacePaths[.user] != nil && !ownsNetwork
                ? MountSpec(
                    destination: "/sys", type: "bind", source: "/sys",
                    options: ["rbind", "nosuid", "noexec", "nodev", "ro"])
                : MountSpec(
                    destination: "/sys", type: "sysfs", source: "sysfs",
                    options: ["nosuid", "noexec", "nodev", spec.privileged ? "rw" : "ro"]))
        mounts.append(
            MountSpec(
                destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
                options: ["nosuid", "noexec", "nodev", spec.privileged ? "rw" : "ro"]))
        if spec.ipcMode == .host {
            // Not every host mounts both.
            for path in ["/dev/mqueue", "/dev/shm"] where File.exists(path) {
                mounts.append(
                    MountSpec(
                        destination: path, type: "bind", source: path,
                        options: ["rbind", "nosuid", "noexec", "nodev"]))
            }
        } else {
            mounts.append(
                MountSpec(
                    destination: "/dev/mqueue", type: "mqueue", source: "mqueue",
                    options: ["nosuid", "noexec", "nodev"]))
            mounts.append(
                MountSpec(
                    destination: "/dev/shm", type: "tmpfs", source: "shm",
                    options: ["nosuid", "noexec", "nodev", "mode=1777", "size=\(spec.shmSize)"]))
        }
        return mounts
    }

    private func files() -> [MountSpec] {
        var mounts = ["hosts", "hostname", "resolv.conf"].map { name in
            MountSpec(
                destination: "/etc/\(name)", type: "bind", source: "\(directory)/\(name)",
                options: ["bind", "rprivate"] + (spec.readOnlyRootfs ? ["ro"] : []))
        }
        if let initProgram {
            mounts.append(
                MountSpec(
                    destination: "/sbin/apus-init", type: "bind", source: initProgram,
                    options: ["bind", "ro", "nosuid", "nodev", "rprivate"]))
        }
        return mounts
    }

    private func userMounts() throws(EngineError) -> [MountSpec] {
        try spec.mounts.mapTyped { request throws(EngineError) -> MountSpec in
            switch request.kind {
            case .tmpfs:
                let given = request.options
                let standard = ["rw", "noexec", "nosuid", "nodev"].filter { option in
                    let opposite = option == "rw" ? "ro" : String(option.dropFirst(2))
                    return !given.contains(opposite)
                }
                return MountSpec(
                    destination: request.destination, type: "tmpfs", source: "tmpfs",
                    options: standard + given + (request.readOnly ? ["ro"] : []))
            case .volume, .bind:
                let source = request.kind == .bind ? request.source : volumePaths[request.destination]
                guard let source else {
                    throw EngineError(
                        .failed, "volume \(request.source) for \(request.destination) is not prepared")
                }
                guard (try? File.status(source)) != nil else {
                    throw EngineError(.notFound, "bind source path \(source) does not exist: create it first")
                }
                var options = request.options.filter {
                    $0 != "nocopy" && $0 != "nonrecursive" && $0 != "rbind"
                }
                options.insert(request.options.contains("nonrecursive") ? "bind" : "rbind", at: 0)
                let propagations = ["private", "rprivate", "shared", "rshared", "slave", "rslave"]
                if !options.contains(where: propagations.contains) { options.append("rprivate") }
                options.append(request.readOnly ? "ro" : "rw")
                // A volume's files belong to whom the container says, as its own do.
                if request.kind == .volume, namespacePaths[.user] != nil { options.append("idmap") }
                return MountSpec(
                    destination: request.destination, type: "bind", source: source, options: options)
            }
        }
    }
}
