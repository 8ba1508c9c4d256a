internal import LinuxSystem
internal import OCISpec

/// Documentation/scheduler/sched-bwc.rst, sched-rt-group.rst; cgroup-v2.rst ("CPU").
enum CPUController: CgroupController {
    static let legacyName = "cpu"
    static let unifiedName: String? = "cpu"

    static func isAsked(_ resources: LinuxResources) -> Bool {
        guard let cpu = resources.cpu else { return false }
        return given(cpu.shares) != nil || given(cpu.quota) != nil || given(cpu.period) != nil
            || cpu.burst != nil || given(cpu.realtimeRuntime) != nil || given(cpu.realtimePeriod) != nil
            || cpu.idle != nil
    }

    private static func given<Number: FixedWidthInteger>(_ value: Number?) -> Number? {
        value == 0 ? nil : value
    }

    // MARK: - v1

    static func setLegacy(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        guard let cpu = resources.cpu else { return }
        // Before any process comes: one of a real-time class is let in only then.
        try write(
            given(cpu.realtimePeriod).map { String($0) }, to: "cpu.rt_period_us",
            settledBy: given(cpu.realtimeRuntime).map { String($0) }, "cpu.rt_runtime_us", in: group)
        if let shares = given(cpu.shares) { try group.write(String(shares), to: "cpu.shares") }
        let quota = given(cpu.quota).map { String($0) }
        let burst = cpu.burst.map { String($0) }
        var late: String?
        if let burst {
            do throws(CgroupError) {
                try group.write(burst, to: "cpu.cfs_burst_us")
            } catch  where error.errno == .invalid && quota != nil {
                // More than the quota so far.
                late = burst
            }
        }
        try write(
            given(cpu.period).map { String($0) }, to: "cpu.cfs_period_us", settledBy: quota,
            "cpu.cfs_quota_us", in: group)
        if let late { try group.write(late, to: "cpu.cfs_burst_us") }
        if let idle = cpu.idle { try group.write(String(idle), to: "cpu.idle") }
    }

    /// The kernel checks the ratio of two files at each write, so that the first
    /// may be acceptable only after the second.
    private static func write(
        _ first: String?, to firstFile: String, settledBy second: String?, _ secondFile: String,
        in group: CgroupDirectory
    ) throws(CgroupError) {
        var late: String?
        if let first {
            do throws(CgroupError) {
                try group.write(first, to: firstFile)
            } catch  where error.errno == .invalid && second != nil {
                late = first
            }
        }
        if let second { try group.write(second, to: secondFile) }
        if let late { try group.write(late, to: firstFile) }
    }

    // MARK: - v2

    static func setUnified(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        guard let cpu = resources.cpu else { return }
        if given(cpu.realtimeRuntime) != nil || given(cpu.realtimePeriod) != nil {
            throw CgroupError(.invalid, "cgroup v2 has no real-time limits")
        }
        if let idle = cpu.idle { try group.write(String(idle), to: "cpu.idle") }
        if let shares = given(cpu.shares), cpu.idle != 1 {
            try group.write(String(weight(shares: shares)), to: "cpu.weight")
        }
        var late: String?
        if let burst = cpu.burst.map({ String($0) }) {
            do throws(CgroupError) {
                try group.write(burst, to: "cpu.max.burst")
            } catch  where error.errno == .invalid && given(cpu.quota) != nil {
                late = burst
            }
        }
        if given(cpu.quota) != nil || given(cpu.period) != nil {
            let current =
                group.isNew
                ? [] : try group.read("cpu.max").split(whereSeparator: \.isWhitespace).map(String.init)
            let quota = given(cpu.quota).map { $0 > 0 ? String($0) : "max" } ?? current.first ?? "max"
            let period = given(cpu.period).map { String($0) } ?? current.dropFirst().first ?? "100000"
            try group.write("\(quota) \(period)", to: "cpu.max")
        }
        if let late { try group.write(late, to: "cpu.max.burst") }
    }

    /// v1's shares, 2 to 262,144 around 1,024, as v2's weight, 1 to 10,000 around
    /// 100: the parabola through these three points, on logarithmic scales, as
    /// runc and crun have it since 2025. (The line used before made of the default
    /// 1,024 a weight of 39.)
    static func weight(shares: UInt64) -> UInt64 {
        if shares <= 2 { return 1 }
        if shares >= 262_144 { return 10_000 }
        let logarithm = log2(Double(shares))
        let exponent = (logarithm * logarithm + 125 * logarithm) / 612 - 7.0 / 34
        return UInt64(pow(10, exponent).rounded(.up))
    }
}
