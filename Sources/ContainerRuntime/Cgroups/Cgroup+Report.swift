public import JSONText
internal import LinuxSystem

/// What a group uses, as `runc events --stats` prints it: types/events.go in runc names the members.
/// A member that the kernel does not tell is left out, or 0 where runc always has it.
extension Cgroup {
    public func report() -> JSON {
        var data = JSONObject()
        if layout == .unified, let unified {
            data["cpu"] = unified.unifiedCPU
            data["cpuset"] = unified.cpuset
            data["memory"] = unified.unifiedMemory
            data["pids"] = unified.pidsReport
            data["blkio"] = unified.unifiedIO
        } else {
            data["cpu"] = CgroupDirectory.legacyCPU(cpu: legacy("cpu"), accounting: legacy("cpuacct"))
            data["cpuset"] = legacy("cpuset")?.cpuset ?? .emptyObject
            data["memory"] = legacy("memory")?.legacyMemory ?? .emptyObject
            data["pids"] = legacy("pids")?.pidsReport ?? .emptyObject
            data["blkio"] = legacy("blkio")?.legacyIO ?? .emptyObject
        }
        let hugetlb = legacy("hugetlb") ?? unified
        data["hugetlb"] = hugetlb?.hugePages ?? .emptyObject
        data["intel_rdt"] = .emptyObject
        data["network_interfaces"] = .null
        return .object(data)
    }
}

extension JSON {
    fileprivate static func unsigned(_ value: UInt64) -> JSON {
        Int64(exactly: value).map { .integer($0) } ?? .number(String(value))
    }
}

extension JSONObject {
    /// Leaves out what is not known.
    fileprivate mutating func put(_ name: String, _ value: UInt64?) {
        if let value { self[name] = .unsigned(value) }
    }
}

extension CgroupDirectory {
    private func value(_ file: String) -> UInt64? { (try? number(file)) ?? nil }
    private func text(_ file: String) -> String { (try? read(file)) ?? "" }

    /// The `name number` lines of a file.
    private func pairs(_ file: String) -> [(name: Substring, value: UInt64)] {
        text(file).split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count == 2, let value = UInt64(fields[1]) else { return nil }
            return (fields[0], value)
        }
    }

    private func numbers(_ file: String) -> JSON {
        .array(text(file).split(whereSeparator: \.isWhitespace).compactMap { UInt64($0) }.map(JSON.unsigned))
    }

    // MARK: - CPU

    fileprivate static func legacyCPU(cpu: CgroupDirectory?, accounting: CgroupDirectory?) -> JSON {
        var usage = JSONObject()
        if let accounting {
            usage.put("total", accounting.value("cpuacct.usage"))
            usage["percpu"] = accounting.numbers("cpuacct.usage_percpu")
            usage["percpu_kernel"] = accounting.numbers("cpuacct.usage_percpu_sys")
            usage["percpu_user"] = accounting.numbers("cpuacct.usage_percpu_user")
            // Clock ticks of 1/100 s.
            let times = accounting.pairs("cpuacct.stat")
            usage.put("kernel", (times.first { $0.name == "system" }?.value ?? 0) * 10_000_000)
            usage.put("user", (times.first { $0.name == "user" }?.value ?? 0) * 10_000_000)
        }
        var throttling = JSONObject()
        for (name, value) in cpu?.pairs("cpu.stat") ?? [] {
            switch name {
            case "nr_periods": throttling.put("periods", value)
            case "nr_throttled": throttling.put("throttledPeriods", value)
            case "throttled_time": throttling.put("throttledTime", value)
            default: break
            }
        }
        return ["usage": .object(usage), "throttling": .object(throttling)]
    }

    fileprivate var unifiedCPU: JSON {
        var usage = JSONObject()
        var throttling = JSONObject()
        for (name, value) in pairs("cpu.stat") {
            switch name {
            case "usage_usec": usage.put("total", value * 1000)
            case "system_usec": usage.put("kernel", value * 1000)
            case "user_usec": usage.put("user", value * 1000)
            case "nr_periods": throttling.put("periods", value)
            case "nr_throttled": throttling.put("throttledPeriods", value)
            case "throttled_usec": throttling.put("throttledTime", value * 1000)
            default: break
            }
        }
        var cpu: JSONObject = ["usage": .object(usage), "throttling": .object(throttling)]
        cpu["psi"] = pressure("cpu.pressure")
        return .object(cpu)
    }

    /// cgroup-v2.rst ("PSI"): `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`.
    private func pressure(_ file: String) -> JSON? {
        var kinds = JSONObject()
        for line in text(file).split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard let kind = fields.first else { continue }
            var figures = JSONObject()
            for field in fields.dropFirst() {
                let parts = field.split(separator: "=")
                guard parts.count == 2, Double(parts[1]) != nil else { continue }
                figures[String(parts[0])] = .number(String(parts[1]))
            }
            kinds[String(kind)] = .object(figures)
        }
        return kinds.isEmpty ? nil : .object(kinds)
    }

    /// cpusets(7): `0-2,4`.
    private func list(_ file: String) -> JSON {
        var numbers: [JSON] = []
        for part in text(file).split(whereSeparator: { $0 == "," || $0 == "\n" }) {
            let ends = part.split(separator: "-").compactMap { Int64($0) }
            guard let first = ends.first, let last = ends.last, first <= last, last < 65_536 else { continue }
            numbers += (first...last).map { .integer($0) }
        }
        return .array(numbers)
    }

    fileprivate var cpuset: JSON {
        var report = JSONObject()
        let isUnified = version == .v2
        report["cpus"] = list(isUnified ? "cpuset.cpus.effective" : "cpuset.cpus")
        report["mems"] = list(isUnified ? "cpuset.mems.effective" : "cpuset.mems")
        for name in [
            "cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page",
            "memory_spread_slab", "memory_pressure", "sched_load_balance",
        ] {
            report.put(name, isUnified ? 0 : value("cpuset.\(name)") ?? 0)
        }
        let level = text("cpuset.sched_relax_domain_level").prefix { $0 != "\n" }
        report["sched_relax_domain_level"] = .integer(Int64(level) ?? 0)
        return .object(report)
    }

    // MARK: - Memory

    fileprivate var legacyMemory: JSON {
        var raw = JSONObject()
        for (name, value) in pairs("memory.stat") { raw.put(String(name), value) }
        var report = JSONObject()
        report["cache"] = raw["total_cache"] ?? raw["cache"]
        for (name, prefix) in [
            ("usage", "memory."), ("swap", "memory.memsw."), ("kernel", "memory.kmem."),
            ("kernelTCP", "memory.kmem.tcp."),
        ] {
            guard has("\(prefix)usage_in_bytes") else { continue }
            var entry = JSONObject()
            entry.put("limit", value("\(prefix)limit_in_bytes") ?? 0)
            entry.put("usage", value("\(prefix)usage_in_bytes"))
            entry.put("max", value("\(prefix)max_usage_in_bytes"))
            entry.put("failcnt", value("\(prefix)failcnt") ?? 0)
            report[name] = .object(entry)
        }
        report["raw"] = .object(raw)
        return .object(report)
    }

    fileprivate var unifiedMemory: JSON {
        var raw = JSONObject()
        for (name, value) in pairs("memory.stat") { raw.put(String(name), value) }
        var report = JSONObject()
        report["cache"] = raw["file"]
        let events = pairs("memory.events")
        var entry = JSONObject()
        entry.put("limit", value("memory.max") ?? .max)
        entry.put("usage", value("memory.current"))
        entry.put("max", value("memory.peak"))
        entry.put("failcnt", events.first { $0.name == "max" }?.value ?? 0)
        report["usage"] = .object(entry)
        if has("memory.swap.current") {
            // Both together, as v1 and the specification count.
            let (limit, overflow) = (value("memory.swap.max") ?? .max)
                .addingReportingOverflow(value("memory.max") ?? .max)
            var both = JSONObject()
            both.put("limit", overflow ? .max : limit)
            both.put("usage", (value("memory.swap.current") ?? 0) + (value("memory.current") ?? 0))
            both.put("failcnt", 0)
            report["swap"] = .object(both)
        }
        report["raw"] = .object(raw)
        report["psi"] = pressure("memory.pressure")
        return .object(report)
    }

    fileprivate var pidsReport: JSON {
        var report = JSONObject()
        report.put("current", value("pids.current"))
        report.put("limit", value("pids.max"))
        return .object(report)
    }

    // MARK: - Block I/O

    /// blkio-controller.rst: `8:0 Read 4096`.
    private func entries(_ file: String) -> JSON {
        .array(
            text(file).split(separator: "\n").compactMap { line in
                let fields = line.split(whereSeparator: { $0 == " " || $0 == ":" })
                guard fields.count == 4, let major = UInt64(fields[0]), let minor = UInt64(fields[1]),
                    let value = UInt64(fields[3])
                else { return nil }
                return Self.entry(major, minor, String(fields[2]), value)
            })
    }

    private static func entry(_ major: UInt64, _ minor: UInt64, _ operation: String, _ value: UInt64) -> JSON
    {
        [
            "major": .unsigned(major), "minor": .unsigned(minor), "op": .string(operation),
            "value": .unsigned(value),
        ]
    }

    fileprivate var legacyIO: JSON {
        var report = JSONObject()
        let bfq = has("blkio.bfq.io_service_bytes_recursive")
        report["ioServiceBytesRecursive"] = entries(
            bfq ? "blkio.bfq.io_service_bytes_recursive" : "blkio.throttle.io_service_bytes_recursive")
        report["ioServicedRecursive"] = entries(
            bfq ? "blkio.bfq.io_serviced_recursive" : "blkio.throttle.io_serviced_recursive")
        return .object(report)
    }

    /// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
    fileprivate var unifiedIO: JSON {
        var bytes: [JSON] = []
        var operations: [JSON] = []
        for line in text("io.stat").split(separator: "\n") {
            let fields = line.split(separator: " ")
            let device = fields.first?.split(separator: ":").compactMap { UInt64($0) } ?? []
            guard device.count == 2 else { continue }
            for field in fields.dropFirst() {
                let parts = field.split(separator: "=")
                guard parts.count == 2, let value = UInt64(parts[1]) else { continue }
                switch parts[0] {
                case "rbytes": bytes.append(Self.entry(device[0], device[1], "Read", value))
                case "wbytes": bytes.append(Self.entry(device[0], device[1], "Write", value))
                case "dbytes": bytes.append(Self.entry(device[0], device[1], "Discard", value))
                case "rios": operations.append(Self.entry(device[0], device[1], "Read", value))
                case "wios": operations.append(Self.entry(device[0], device[1], "Write", value))
                case "dios": operations.append(Self.entry(device[0], device[1], "Discard", value))
                default: break
                }
            }
        }
        var report = JSONObject()
        report["ioServiceBytesRecursive"] = .array(bytes)
        report["ioServicedRecursive"] = .array(operations)
        report["psi"] = pressure("io.pressure")
        return .object(report)
    }

    fileprivate var hugePages: JSON {
        var sizes = JSONObject()
        let isUnified = version == .v2
        let suffix = isUnified ? ".current" : ".usage_in_bytes"
        for file in (try? File.names(in: path)) ?? [] {
            guard file.hasPrefix("hugetlb."), file.hasSuffix(suffix), !file.contains(".rsvd") else {
                continue
            }
            let name = String(file.dropFirst("hugetlb.".count).dropLast(suffix.count))
            var entry = JSONObject()
            entry.put("usage", value(file))
            if isUnified {
                entry.put("failcnt", pairs("hugetlb.\(name).events").first { $0.name == "max" }?.value ?? 0)
            } else {
                entry.put("max", value("hugetlb.\(name).max_usage_in_bytes"))
                entry.put("failcnt", value("hugetlb.\(name).failcnt") ?? 0)
            }
            sizes[name] = .object(entry)
        }
        return .object(sizes)
    }
}
