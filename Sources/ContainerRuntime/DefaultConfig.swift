import LinuxSystem
public import OCISpec

/// The config that a bundle has before anybody says more: a shell on a terminal, with few rights.
public enum DefaultConfig {
    public static func config(_ version: String) -> RuntimeConfig {
        var config = RuntimeConfig(ociVersion: version)
        config.process = process
        config.root = RootSpec(path: "rootfs", readonly: true)
        config.hostname = "apus"
        config.mounts = mounts
        config.linux = linux
        return config
    }

    /// For a user who is root of a namespace with no other user, in the host's network.
    public static func rootless(_ version: String) -> RuntimeConfig {
        var config = config(version)
        var linux = linux
        linux.namespaces.removeAll { $0.type == .network }
        linux.namespaces.append(LinuxNamespace(.user))
        linux.uidMappings = [IDMapping(containerID: 0, hostID: geteuid(), size: 1)]
        linux.gidMappings = [IDMapping(containerID: 0, hostID: getegid(), size: 1)]
        linux.resources = nil
        config.linux = linux
        for position in config.mounts.indices {
            if config.mounts[position].destination == "/sys" {
                // A sysfs of its own comes with a network of its own.
                config.mounts[position] = MountSpec(
                    destination: "/sys", type: "none", source: "/sys",
                    options: ["rbind", "nosuid", "noexec", "nodev", "ro"])
            } else {
                config.mounts[position].options.removeAll {
                    $0.utf8.starts(with: "gid=".utf8) || $0.utf8.starts(with: "uid=".utf8)
                }
            }
        }
        return config
    }

    private static var process: ProcessSpec {
        var process = ProcessSpec(
            args: ["sh"],
            env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"], cwd: "/"
        )
        process.terminal = true
        let names = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
        process.capabilities = Capabilities(bounding: names, effective: names, permitted: names)
        process.rlimits = [Rlimit(type: "RLIMIT_NOFILE", soft: 1024, hard: 1024)]
        process.noNewPrivileges = true
        return process
    }

    private static var mounts: [MountSpec] {
        [
            MountSpec(destination: "/proc", type: "proc", source: "proc"),
            MountSpec(
                destination: "/dev", type: "tmpfs", source: "tmpfs",
                options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            MountSpec(
                destination: "/dev/pts", type: "devpts", source: "devpts",
                options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            MountSpec(
                destination: "/dev/shm", type: "tmpfs", source: "shm",
                options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            MountSpec(
                destination: "/dev/mqueue", type: "mqueue", source: "mqueue",
                options: ["nosuid", "noexec", "nodev"]),
            MountSpec(
                destination: "/sys", type: "sysfs", source: "sysfs",
                options: ["nosuid", "noexec", "nodev", "ro"]),
            MountSpec(
                destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
                options: ["nosuid", "noexec", "nodev", "relatime", "ro"]),
        ]
    }

    private static var linux: LinuxSpec {
        var linux = LinuxSpec()
        var resources = LinuxResources()
        resources.devices = [LinuxResources.DeviceRule(allow: false, access: "rwm")]
        linux.resources = resources
        linux.namespaces = [
            LinuxNamespace(.pid), LinuxNamespace(.network), LinuxNamespace(.ipc), LinuxNamespace(.uts),
            LinuxNamespace(.mount),
        ]
        if Cgroup.isUnifiedOnly { linux.namespaces.append(LinuxNamespace(.cgroup)) }
        linux.maskedPaths = [
            "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
            "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
        ]
        linux.readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        return linux
    }
}
