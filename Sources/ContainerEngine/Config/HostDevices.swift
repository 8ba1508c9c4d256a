import LinuxSystem
import OCISpec

/// Device nodes of the host that a container is given.
enum HostDevices {
    struct Entry {
        var device: LinuxDevice
        var rule: LinuxResources.DeviceRule
    }

    /// One `--device`; a directory stands for all devices in it.
    static func devices(_ request: DeviceRequest) throws(EngineError) -> [Entry] {
        guard let status = try? File.status(request.hostPath) else {
            throw EngineError(.notFound, "device \(request.hostPath): no such file or directory")
        }
        if status.st_mode & S_IFMT == S_IFDIR {
            let names = (try? File.names(in: request.hostPath)) ?? []
            return names.sorted().compactMap { name in
                entry(
                    host: "\(request.hostPath)/\(name)", container: "\(request.containerPath)/\(name)",
                    permissions: request.permissions)
            }
        }
        guard
            let entry = entry(
                host: request.hostPath, container: request.containerPath, permissions: request.permissions)
        else { throw EngineError(.invalid, "device \(request.hostPath): not a device node") }
        return [entry]
    }

    private static func entry(host: String, container: String, permissions: String) -> Entry? {
        guard let status = try? File.status(host) else { return nil }
        let type: String
        switch status.st_mode & S_IFMT {
        case S_IFCHR: type = "c"
        case S_IFBLK: type = "b"
        default: return nil
        }
        let (major, minor) = (Int64(gnu_dev_major(status.st_rdev)), Int64(gnu_dev_minor(status.st_rdev)))
        return Entry(
            device: LinuxDevice(
                type: type, path: container, major: major, minor: minor,
                fileMode: UInt32(status.st_mode & 0o7777), uid: status.st_uid, gid: status.st_gid),
            rule: LinuxResources.DeviceRule(
                allow: true, type: type, major: major, minor: minor, access: permissions))
    }

    /// Every device below /dev, for `--privileged`, but for those that belong
    /// to the container's own terminal and shared memory.
    static func all() throws(EngineError) -> [LinuxDevice] {
        var found: [LinuxDevice] = []
        func walk(_ directory: String, depth: Int) {
            guard depth < 6, let names = try? File.names(in: directory) else { return }
            for name in names.sorted() {
                let path = "\(directory)/\(name)"
                if depth == 0,
                    ["pts", "shm", "fd", "mqueue", "console", ".udev", ".lxc", "ptmx"].contains(name)
                {
                    continue
                }
                guard let status = try? File.status(path, followLinks: false) else { continue }
                if status.st_mode & S_IFMT == S_IFDIR {
                    walk(path, depth: depth + 1)
                } else if let entry = entry(host: path, container: path, permissions: "rwm"),
                    status.st_mode & S_IFMT != S_IFLNK
                {
                    found.append(entry.device)
                }
            }
        }
        walk("/dev", depth: 0)
        return found
    }
}
