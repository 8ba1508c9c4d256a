import LinuxSystem
import OCISpec

extension Rootless {
    /// Refuses what could only fail later, when half of the container exists.
    func check(_ config: RuntimeConfig) throws(RuntimeError) {
        let linux = config.linux ?? LinuxSpec()
        if !linux.netDevices.isEmpty, isUser || doesWithoutCgroups {
            throw RuntimeError(.invalidConfig, "network devices are not supported for rootless containers")
        }
        guard isUser else { return }
        guard let namespace = linux.namespaces.first(where: { $0.type == .user }) else {
            throw RuntimeError(.invalidConfig, "rootless container requires user namespaces")
        }
        guard config.process?.user.additionalGids.isEmpty ?? true else {
            throw RuntimeError(
                .invalidConfig, "cannot set any additional groups in a rootless container")
        }
        for mount in config.mounts {
            let options = MountOptions(mount.options)
            if options.mapsIDs || !mount.uidMappings.isEmpty || !mount.gidMappings.isEmpty {
                throw RuntimeError(
                    .invalidConfig,
                    "mount \(mount.destination): id-mapped mounts are not supported for rootless containers")
            }
            // A joined namespace's mapping is the kernel's to know.
            guard namespace.path == nil else { continue }
            for (key, value) in options.data {
                try check(key, value, linux)
            }
        }
    }

    private func check(_ key: String, _ value: String, _ linux: LinuxSpec) throws(RuntimeError) {
        guard key == "uid" || key == "gid", let id = UInt32(value) else { return }
        guard !(key == "uid" ? linux.uidMappings : linux.gidMappings).maps(id) else { return }
        throw RuntimeError(
            .invalidConfig,
            "cannot specify \(key)=\(value) mount option for rootless container: user namespaces enabled, but no mapping found for \(key) \(id)"
        )
    }
}

extension [IDMapping] {
    /// Whether the namespace has the ID.
    func maps(_ id: UInt32) -> Bool {
        contains { $0.containerID <= id && UInt64(id) < UInt64($0.containerID) + UInt64($0.size) }
    }
}

extension User {
    /// - Throws: when the container's own user namespace has no such user or group.
    func check(in linux: LinuxSpec) throws(RuntimeError) {
        guard linux.namespaces.contains(where: { $0.type == .user && $0.path == nil }) else { return }
        guard linux.uidMappings.maps(uid) else {
            throw RuntimeError(
                .invalidConfig, "cannot setuid to unmapped uid \(uid) in user namespace")
        }
        guard linux.gidMappings.maps(gid) else {
            throw RuntimeError(
                .invalidConfig, "cannot setgid to unmapped gid \(gid) in user namespace")
        }
    }
}
