internal import LinuxSystem
internal import OCISpec

/// Documentation/admin-guide/cgroup-v1/memory.rst, cgroup-v2.rst ("Memory").
/// A value of 0 counts as not given, as it does with the other runtimes.
enum MemoryController: CgroupController {
    static let legacyName = "memory"
    static let unifiedName: String? = "memory"

    static func isAsked(_ resources: LinuxResources) -> Bool {
        guard let memory = resources.memory else { return false }
        return given(memory.limit) != nil || given(memory.reservation) != nil || given(memory.swap) != nil
            || memory.swappiness != nil || memory.disableOOMKiller == true
    }

    private static func given(_ value: Int64?) -> Int64? { value == 0 ? nil : value }

    // MARK: - v1

    static func setLegacy(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        guard let memory = resources.memory else { return }
        let limit = given(memory.limit)
        var swap = given(memory.swap)
        // No limit for memory means none for both together.
        if limit == -1, swap == nil, group.has(Legacy.both) { swap = -1 }
        // The kernel holds memory <= both at every moment: the one that makes room first.
        if let swap, limit != nil, !group.isNew, try raises(swap, in: group) {
            try writeBoth(swap, in: group)
            if let limit { try writeLimit(limit, in: group) }
        } else {
            if let limit { try writeLimit(limit, in: group) }
            if let swap { try writeBoth(swap, in: group) }
        }
        if let reservation = given(memory.reservation) {
            try group.write(String(reservation), to: "memory.soft_limit_in_bytes")
        }
        if memory.disableOOMKiller == true { try group.write("1", to: "memory.oom_control") }
        if let swappiness = memory.swappiness {
            guard swappiness <= 100 else {
                throw CgroupError(.invalid, "memory swappiness \(swappiness) is not from 0 to 100")
            }
            try group.write(String(swappiness), to: "memory.swappiness")
        }
    }

    private enum Legacy {
        static let limit = "memory.limit_in_bytes"
        static let both = "memory.memsw.limit_in_bytes"
    }

    private static func raises(_ swap: Int64, in group: CgroupDirectory) throws(CgroupError) -> Bool {
        if swap == -1 { return true }
        guard let current = try group.number(Legacy.limit) else { return false }
        return current < UInt64(swap)
    }

    private static func writeLimit(_ limit: Int64, in group: CgroupDirectory) throws(CgroupError) {
        do throws(CgroupError) {
            try group.write(String(limit), to: Legacy.limit)
        } catch  where error.errno == .busy {
            let usage = try group.number("memory.usage_in_bytes") ?? 0
            throw CgroupError(
                .inUse, "cannot set the memory limit to \(limit): \(usage) bytes are in use", .busy)
        }
    }

    private static func writeBoth(_ swap: Int64, in group: CgroupDirectory) throws(CgroupError) {
        do throws(CgroupError) {
            try group.write(String(swap), to: Legacy.both)
        } catch  where error.errno == .noEntry {
            if swap == -1 { return }
            throw CgroupError(
                .controllerMissing, "cannot limit swap: the kernel does not account for it", .noEntry)
        }
    }

    // MARK: - v2

    static func setUnified(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        guard let memory = resources.memory else { return }
        if memory.disableOOMKiller == true {
            throw CgroupError(.invalid, "cgroup v2 cannot disable the OOM killer")
        }
        if memory.swappiness != nil { throw CgroupError(.invalid, "cgroup v2 has no swappiness") }
        let limit = given(memory.limit)
        if !group.isNew { try checkUsage(memory, in: group) }
        if let swap = try unifiedSwap(limit: limit, swap: given(memory.swap)) {
            do throws(CgroupError) {
                try group.write(text(swap), to: "memory.swap.max")
            } catch  where error.errno == .noEntry {
                if swap != -1 {
                    throw CgroupError(
                        .controllerMissing, "cannot limit swap: the kernel does not account for it", .noEntry)
                }
            }
        }
        if let limit { try group.write(text(limit), to: "memory.max") }
        if let reservation = given(memory.reservation) {
            try group.write(text(reservation), to: "memory.low")
        }
    }

    /// - Throws: when a limit that is to be checked is below what is in use.
    static func checkUsage(_ memory: LinuxResources.Memory, in group: CgroupDirectory) throws(CgroupError) {
        if memory.checkBeforeUpdate == true, let limit = memory.limit, limit > 0,
            let usage = try group.number("memory.current"), usage > UInt64(limit)
        {
            throw CgroupError(.inUse, "cannot set the memory limit to \(limit): \(usage) bytes are in use")
        }
    }

    private static func text(_ value: Int64) -> String { value < 0 ? "max" : String(value) }

    /// v1 and the specification limit memory and swap together, v2 swap alone.
    static func unifiedSwap(limit: Int64?, swap: Int64?) throws(CgroupError) -> Int64? {
        if limit == -1, swap == nil { return -1 }
        guard let swap, swap > 0 else { return swap }
        guard let limit, limit > 0 else {
            throw CgroupError(.invalid, "a swap limit needs a memory limit")
        }
        guard swap >= limit else {
            throw CgroupError(
                .invalid, "the limit of memory and swap (\(swap)) is below that of memory (\(limit))")
        }
        return swap - limit
    }
}
