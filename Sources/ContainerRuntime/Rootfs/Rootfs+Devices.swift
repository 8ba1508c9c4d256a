import LinuxSystem
import OCISpec

extension Rootfs {
    /// What every container has (config-linux.md, "Default Devices").
    static let defaultDevices: [LinuxDevice] = [
        LinuxDevice(type: "c", path: "/dev/null", major: 1, minor: 3, fileMode: 0o666),
        LinuxDevice(type: "c", path: "/dev/zero", major: 1, minor: 5, fileMode: 0o666),
        LinuxDevice(type: "c", path: "/dev/full", major: 1, minor: 7, fileMode: 0o666),
        LinuxDevice(type: "c", path: "/dev/tty", major: 5, minor: 0, fileMode: 0o666),
        LinuxDevice(type: "c", path: "/dev/random", major: 1, minor: 8, fileMode: 0o666),
        LinuxDevice(type: "c", path: "/dev/urandom", major: 1, minor: 9, fileMode: 0o666),
    ]

    private static let links: [(name: String, target: String)] = [
        ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx"),
    ]

    /// Makes the device nodes and links in /dev. The umask is 0.
    /// - Parameter binding: bind the host's nodes, because a user namespace may make none.
    func makeDevices(_ devices: [LinuxDevice], binding: Bool) throws(RuntimeError) {
        let directory = try during("open /dev") { () throws(SystemError) in try makeDirectories("/dev") }
        for device in Self.defaultDevices where !devices.contains(where: { $0.path == device.path }) {
            try make(device, in: directory.raw, String(device.path.dropFirst(5)), binding: binding)
        }
        for device in devices {
            let (parent, name) = Self.split(Self.clean(device.path))
            guard name != "ptmx" || parent != "/dev" else { continue }
            if parent == "/dev" {
                try make(device, in: directory.raw, name, binding: binding)
            } else {
                let opened = try during("make the directory of device \(device.path)") {
                    () throws(SystemError) in try makeDirectories(parent)
                }
                try make(device, in: opened.raw, name, binding: binding)
            }
        }
        try during("make links in /dev") { () throws(SystemError) in
            if File.exists("/proc/kcore") { try link("core", to: "/proc/kcore", in: directory.raw) }
            for (name, target) in Self.links { try link(name, to: target, in: directory.raw) }
        }
    }

    private func link(_ name: String, to target: String, in directory: Int32) throws(SystemError) {
        do throws(SystemError) {
            try File.makeSymbolicLink(to: target, name, at: directory)
        } catch  where error.errno == .exists {
            // An image's own /dev/ptmx would be the host's terminals.
            guard name == "ptmx" else { return }
            try File.unlink(name, at: directory)
            try File.makeSymbolicLink(to: target, name, at: directory)
        }
    }

    private func make(
        _ device: LinuxDevice, in directory: Int32, _ name: String, binding: Bool
    ) throws(RuntimeError) {
        let kind: mode_t
        switch device.type {
        case "c", "u": kind = S_IFCHR
        case "b": kind = S_IFBLK
        case "p": kind = S_IFIFO
        default:
            throw RuntimeError(.invalidConfig, "device \(device.path): unknown type \"\(device.type)\"")
        }
        if binding, kind != S_IFIFO {
            try bind(device, in: directory, name)
            return
        }
        let number = gnu_dev_makedev(
            UInt32(truncatingIfNeeded: device.major), UInt32(truncatingIfNeeded: device.minor))
        let mode = mode_t(device.fileMode ?? 0o666) & 0o7777
        do throws(SystemError) {
            _ = try retrying("mknod", device.path) { mknodat(directory, name, kind | mode, number) }
            let (uid, gid) = (device.uid ?? 0, device.gid ?? 0)
            if uid != 0 || gid != 0 {
                _ = try retrying("chown", device.path) {
                    fchownat(directory, name, uid, gid, AT_SYMLINK_NOFOLLOW)
                }
            }
        } catch  where error.errno == .exists {
        } catch  where error.errno == .notPermitted {
            try bind(device, in: directory, name)
        } catch {
            throw RuntimeError(.system, "make device", cause: error)
        }
    }

    private func bind(_ device: LinuxDevice, in directory: Int32, _ name: String) throws(RuntimeError) {
        try during("bind device \(device.path)") { () throws(SystemError) in
            let host = try Mount.clone(device.path)
            do throws(SystemError) {
                _ = try File.open(name, at: directory, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDONLY, mode: 0o666)
            } catch  where error.errno == .exists {}
            try Mount.attach(host.raw, onto: name, at: directory)
        }
    }
}
