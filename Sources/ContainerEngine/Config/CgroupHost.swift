import LinuxSystem

/// What the host's control groups offer; asked once a process.
public enum CgroupHost {
    /// cgroup v2 alone is mounted at /sys/fs/cgroup (cgroups(7)).
    public static let isUnified: Bool = {
        var status = statfs()
        return statfs("/sys/fs/cgroup", &status) == 0 && status.f_type == 0x6367_7270
    }()

    /// Memory plus swap can be limited. v2 has the file only below the root.
    static let limitsSwap: Bool =
        isUnified
        ? File.exists("/proc/swaps") && !((try? File.names(in: "/sys/fs/cgroup")) ?? []).isEmpty
            && ((try? File.names(in: "/sys/fs/cgroup")) ?? []).contains {
                File.exists("/sys/fs/cgroup/\($0)/memory.swap.max")
            }
        : File.exists("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes")
}
