internal import LinuxSystem

/// What a group uses at the moment. nil is what this kernel does not tell.
public struct CgroupStats: Equatable, Sendable {
    /// Bytes.
    public var memoryUsage: UInt64?
    public var memoryPeak: UInt64?
    /// nil also when there is no limit.
    public var memoryLimit: UInt64?
    /// Page cache that could be dropped, to be taken off the usage as Docker does.
    public var memoryInactiveFile: UInt64?
    public var swapUsage: UInt64?
    /// Processes that were killed for want of memory.
    public var oomKills: UInt64?
    public var pids: UInt64?
    public var pidsLimit: UInt64?
    /// Nanoseconds.
    public var cpuUsage: UInt64?
    public var cpuUser: UInt64?
    public var cpuSystem: UInt64?
    public var throttledPeriods: UInt64?
    public var throttledTime: UInt64?

    public init() {}
}

extension Cgroup {
    /// Whether the kernel killed a process of the group for want of memory.
    public var oomKilled: Bool { oomKillCount > 0 }

    public var oomKillCount: UInt64 {
        if let memory = legacy("memory") {
            return (try? memory.number("oom_kill", in: "memory.oom_control")) ?? nil ?? 0
        }
        return (try? unified?.number("oom_kill", in: "memory.events")) ?? nil ?? 0
    }

    public func stats() -> CgroupStats {
        var stats = CgroupStats()
        stats.oomKills = oomKillCount
        if layout == .unified, let unified {
            stats.readUnified(unified)
        } else {
            if let memory = legacy("memory") { stats.readMemory(memory) }
            if let pids = legacy("pids") { stats.readPids(pids) }
            if let cpuacct = legacy("cpuacct") { stats.readTimes(cpuacct) }
            if let cpu = legacy("cpu") {
                stats.throttledPeriods = cpu.value("nr_throttled", in: "cpu.stat")
                stats.throttledTime = cpu.value("throttled_time", in: "cpu.stat")
            }
        }
        return stats
    }
}

extension CgroupDirectory {
    fileprivate func value(_ file: String) -> UInt64? { (try? number(file)) ?? nil }
    fileprivate func value(_ name: String, in file: String) -> UInt64? {
        (try? number(name, in: file)) ?? nil
    }
}

extension CgroupStats {
    fileprivate mutating func readUnified(_ group: CgroupDirectory) {
        memoryUsage = group.value("memory.current")
        memoryPeak = group.value("memory.peak")
        memoryLimit = group.value("memory.max")
        memoryInactiveFile = group.value("inactive_file", in: "memory.stat")
        swapUsage = group.value("memory.swap.current")
        readPids(group)
        // Microseconds.
        cpuUsage = group.value("usage_usec", in: "cpu.stat").map { $0 * 1000 }
        cpuUser = group.value("user_usec", in: "cpu.stat").map { $0 * 1000 }
        cpuSystem = group.value("system_usec", in: "cpu.stat").map { $0 * 1000 }
        throttledPeriods = group.value("nr_throttled", in: "cpu.stat")
        throttledTime = group.value("throttled_usec", in: "cpu.stat").map { $0 * 1000 }
    }

    fileprivate mutating func readMemory(_ group: CgroupDirectory) {
        memoryUsage = group.value("memory.usage_in_bytes")
        memoryPeak = group.value("memory.max_usage_in_bytes")
        // No limit is the largest multiple of a page: nothing that a machine has.
        memoryLimit = group.value("memory.limit_in_bytes").flatMap { $0 >= 1 << 60 ? nil : $0 }
        memoryInactiveFile = group.value("total_inactive_file", in: "memory.stat")
        if let both = group.value("memory.memsw.usage_in_bytes"), let memoryUsage, both >= memoryUsage {
            swapUsage = both - memoryUsage
        }
    }

    fileprivate mutating func readPids(_ group: CgroupDirectory) {
        pids = group.value("pids.current")
        pidsLimit = group.value("pids.max")
    }

    fileprivate mutating func readTimes(_ group: CgroupDirectory) {
        cpuUsage = group.value("cpuacct.usage")
        // Clock ticks of 1/100 s.
        cpuUser = group.value("user", in: "cpuacct.stat").map { $0 * 10_000_000 }
        cpuSystem = group.value("system", in: "cpuacct.stat").map { $0 * 10_000_000 }
    }
}
