internal import OCISpec

/// The limits of a container as properties of its unit (systemd.resource-control(5)), so that
/// systemd, which owns the group, does not set others. What it has no property for is in the
/// group's own files alone.
struct UnitProperties {
    typealias Property = SystemdManager.Property

    private(set) var list: [Property] = []
    /// The limits as the files have to have them to agree with the properties.
    private(set) var resources: LinuxResources
    private let isUnified: Bool
    private let version: () -> Int

    /// - Parameters:
    ///   - resources: a quota and a period that belong together are both there.
    ///   - version: systemd's.
    init(_ resources: LinuxResources, isUnified: Bool, version: @escaping () -> Int) throws(CgroupError) {
        self.resources = resources
        self.isUnified = isUnified
        self.version = version
        try addMemory()
        addCPU()
        addBlockIO()
        if let limit = resources.pids?.limit {
            // 0 is not accepted.
            add("TasksMax", limit < 0 ? .max : max(1, UInt64(limit)))
        }
        try addCPUSets(resources.cpu?.cpus, resources.cpu?.mems)
        if isUnified {
            try addUnified()
        } else if !resources.unified.isEmpty {
            throw CgroupError(.invalid, "invalid configuration: unified resources need cgroup v2")
        }
    }

    mutating func add(_ name: String, _ number: UInt64) { list.append(Property(name, .uint64(number))) }

    /// -1 is no limit.
    private static func limit(_ value: Int64) -> UInt64 { value < 0 ? .max : UInt64(value) }

    // MARK: - Memory

    private mutating func addMemory() throws(CgroupError) {
        guard let memory = resources.memory else { return }
        if let limit = memory.limit, limit != 0 {
            add(isUnified ? "MemoryMax" : "MemoryLimit", Self.limit(limit))
        }
        guard isUnified else { return }
        if let reservation = memory.reservation, reservation != 0 {
            add("MemoryLow", Self.limit(reservation))
        }
        let swap = try MemoryController.unifiedSwap(
            limit: memory.limit == 0 ? nil : memory.limit, swap: memory.swap == 0 ? nil : memory.swap)
        if let swap { add("MemorySwapMax", Self.limit(swap)) }
    }

    // MARK: - CPU

    private mutating func addCPU() {
        guard let cpu = resources.cpu else { return }
        // A weight of 0 is SCHED_IDLE for the whole group, since systemd 252.
        if isUnified, cpu.idle == 1, version() >= 252 {
            add("CPUWeight", 0)
        } else if let shares = cpu.shares, shares != 0 {
            if isUnified {
                add("CPUWeight", CPUController.weight(shares: shares))
            } else {
                add("CPUShares", shares)
            }
        }
        if let quota = addQuota(cpu.quota ?? 0, cpu.period ?? 0) { resources.cpu?.quota = quota }
    }

    private static let defaultPeriod: UInt64 = 100_000

    /// - Parameter quota: 0 is not given, or no limit when the period is.
    /// - Returns: the quota as systemd has it in force, when it has rounded it up.
    private mutating func addQuota(_ quota: Int64, _ period: UInt64) -> Int64? {
        if period != 0, version() >= 242 { add("CPUQuotaPeriodUSec", period) }
        guard quota != 0 || period != 0 else { return nil }
        guard quota > 0 else {
            add("CPUQuotaPerSecUSec", .max)
            return nil
        }
        // systemd keeps whole percents: what asks for less gets a little more, as with runc.
        let period = period == 0 ? Self.defaultPeriod : period
        let product = UInt64(quota).multipliedFullWidth(by: 1_000_000)
        guard product.high < period else {
            add("CPUQuotaPerSecUSec", .max)
            return nil
        }
        let perSecond = period.dividingFullWidth(product).quotient
        let percent: UInt64 = 10_000
        guard perSecond % percent != 0, perSecond < .max - percent else {
            add("CPUQuotaPerSecUSec", perSecond)
            return nil
        }
        let rounded = (perSecond / percent + 1) * percent
        add("CPUQuotaPerSecUSec", rounded)
        return Int64(clamping: rounded.multipliedReportingOverflow(by: period).partialValue / 1_000_000)
    }

    private mutating func addCPUSets(_ cpus: String?, _ mems: String?) throws(CgroupError) {
        for (name, list) in [("AllowedCPUs", cpus), ("AllowedMemoryNodes", mems)] {
            guard let list, !list.isEmpty, version() >= 244 else { continue }
            guard let bits = Self.bits(list) else {
                throw CgroupError(.invalid, "invalid list \"\(list)\" of a cpuset")
            }
            self.list.append(Property(name, .bytes(bits)))
        }
    }

    /// A bit each, the lowest first, in no more bytes than it takes; nil when the list is none.
    static func bits(_ list: String) -> [UInt8]? {
        let parts = list.split(whereSeparator: { $0 == "," || $0 == "\n" }).filter { part in
            part.contains { $0 != " " }
        }
        guard !parts.isEmpty, let set = NumberSet(list: parts.joined(separator: ",")) else { return nil }
        var bytes: [UInt8] = []
        for word in set.words {
            for shift in stride(from: UInt64(0), to: 64, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: word >> shift))
            }
        }
        while bytes.last == 0 { bytes.removeLast() }
        return bytes
    }

    // MARK: - Block I/O

    private mutating func addBlockIO() {
        guard let weight = resources.blockIO?.weight, weight != 0 else { return }
        if isUnified {
            add("IOWeight", BlockIOController.unified(weight: weight))
        } else {
            add("BlockIOWeight", UInt64(weight))
        }
    }

    // MARK: - Files of cgroup v2

    private static let memoryFiles = [
        "memory.high": "MemoryHigh", "memory.low": "MemoryLow", "memory.min": "MemoryMin",
        "memory.max": "MemoryMax", "memory.swap.max": "MemorySwapMax",
    ]

    private mutating func addUnified() throws(CgroupError) {
        let files = resources.unified
        let isIdle = Self.trimmed(files["cpu.idle"] ?? "") == "1" && version() >= 252
        for (file, text) in files.sorted(by: { $0.key < $1.key }) {
            let text = Self.trimmed(text)
            func number(_ text: String) throws(CgroupError) -> UInt64 {
                guard let number = UInt64(text) else {
                    throw CgroupError(.invalid, "unified resource \"\(file)\" value invalid: \"\(text)\"")
                }
                return number
            }
            func limit() throws(CgroupError) -> UInt64 { text == "max" ? .max : try number(text) }
            switch file {
            case "cpu.idle": if isIdle { add("CPUWeight", 0) }
            case "cpu.max":
                let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
                guard (1...2).contains(words.count) else {
                    throw CgroupError(.invalid, "unified resource \"\(file)\" value invalid: \"\(text)\"")
                }
                let quota = words[0] == "max" ? 0 : Int64(clamping: try number(words[0]))
                let period = words.count == 2 ? try number(words[1]) : Self.defaultPeriod
                if let rounded = addQuota(quota, period) { resources.unified[file] = "\(rounded) \(period)" }
            case "cpu.weight": if !isIdle { add("CPUWeight", try number(text)) }
            case "cpuset.cpus": try addCPUSets(text, nil)
            case "cpuset.mems": try addCPUSets(nil, text)
            case "pids.max": add("TasksMax", max(1, try limit()))
            default: if let name = Self.memoryFiles[file] { add(name, try limit()) }
            }
        }
    }

    private static func trimmed(_ text: String) -> String {
        let inner = text.drop(while: \.isWhitespace)
        return String(
            inner[..<(inner.lastIndex { !$0.isWhitespace }.map(inner.index(after:)) ?? inner.startIndex)])
    }
}
