internal import LinuxSystem
internal import OCISpec

/// A container's unit before it is started.
final class CgroupUnitPlan {
    let unit: SystemdUnit
    private let id: String
    private let annotated: [SystemdManager.Property]
    /// systemd was asked to start it, and did not refuse because there is another of the name.
    private(set) var hasStarted = false

    init(
        cgroupsPath: String?, id: String, annotations: [String: String], isUser: Bool
    ) throws(CgroupError) {
        unit = try SystemdUnit(cgroupsPath: cgroupsPath, id: id, isUser: isUser)
        self.id = id
        annotated = try SystemdManager.Property.all(in: annotations)
    }

    /// The group's place, the same in all hierarchies.
    func place(in layout: CgroupLayout) throws(CgroupError) -> CgroupPath {
        if unit.isUser, layout.kind != .unified {
            throw CgroupError(.invalid, "cannot use rootless systemd cgroups manager on cgroup v1")
        }
        guard unit.isUser else {
            try SystemdManager.requireRunning()
            return try unit.place(below: "/")
        }
        // Not kept open: the container's process would inherit the connection.
        return try unit.place(below: try SystemdManager(isUser: true).controlGroup())
    }

    /// Has systemd make the group with its limits, and put the process into it.
    /// - Returns: the limits that are to be written to the group's own files.
    func start(
        _ resources: LinuxResources, _ layout: Cgroup.Layout, around pid: Int32
    ) throws(CgroupError) -> LinuxResources {
        let manager = try SystemdManager(isUser: unit.isUser)
        let isUnified = layout == .unified
        let limits = try UnitProperties(resources, isUnified: isUnified, version: manager.version)
        let devices = try DeviceRules(resources.devices).properties(isUnified: isUnified)
        hasStarted = true
        do throws(CgroupError) {
            try manager.start(
                unit.name,
                base(pid, isUnified) + annotated + limits.list + devices
                    + oomPolicy(resources, manager.version))
        } catch {
            // Then it is another's.
            if error.code == .inUse { hasStarted = false }
            throw error
        }
        return limits.resources
    }

    private func base(_ pid: Int32, _ isUnified: Bool) -> [SystemdManager.Property] {
        [
            .init("Description", .string("apus container \(id)")),
            .init("Slice", .string(unit.slice)),
            .init("Delegate", .boolean(true)),
            .init("PIDs", .array(of: "u", [.uint32(UInt32(bitPattern: pid))])),
            .init("MemoryAccounting", .boolean(true)),
            .init("CPUAccounting", .boolean(true)),
            .init(isUnified ? "IOAccounting" : "BlockIOAccounting", .boolean(true)),
            .init("TasksAccounting", .boolean(true)),
            .init("DefaultDependencies", .boolean(false)),
            // Whoever would take note of a failure may have been killed.
            .init("CollectMode", .string("inactive-or-failed")),
        ]
    }

    /// A scope that runs does not take it any more.
    private func oomPolicy(
        _ resources: LinuxResources, _ version: () -> Int
    ) throws(CgroupError) -> [SystemdManager.Property] {
        guard let group = resources.unified["memory.oom.group"], version() >= 253 else { return [] }
        switch group.split(whereSeparator: \.isWhitespace).first {
        case "0": return [.init("OOMPolicy", .string("continue"))]
        case "1": return [.init("OOMPolicy", .string("kill"))]
        default: return []
        }
    }
}

extension Cgroup {
    /// Changes the unit's limits.
    /// - Returns: those that are to be written to the group's own files.
    func setProperties(
        of unit: SystemdUnit, _ resources: LinuxResources
    ) throws(CgroupError) -> LinuxResources {
        let isUnified = layout == .unified
        // Before systemd has set a limit that ends the container.
        if isUnified, let memory = resources.memory, let unified {
            try MemoryController.checkUsage(memory, in: unified)
        }
        let manager = try SystemdManager(isUser: unit.isUser)
        let limits = try UnitProperties(
            try completingQuota(resources), isUnified: isUnified, version: manager.version)
        try manager.set(unit.name, limits.list)
        return limits.resources
    }

    /// systemd has the ratio of quota and period: the one that is left out is as it was.
    private func completingQuota(_ resources: LinuxResources) throws(CgroupError) -> LinuxResources {
        var resources = resources
        let (quota, period) = (resources.cpu?.quota ?? 0, resources.cpu?.period ?? 0)
        guard (quota == 0) != (period == 0) else { return resources }
        var current: [String] = []
        if let group = legacy("cpu") {
            current = [try group.read("cpu.cfs_quota_us"), try group.read("cpu.cfs_period_us")]
        } else if let unified {
            current = try unified.read("cpu.max").split(separator: " ").map(String.init)
        }
        let numbers = current.map { $0.prefix { $0 != "\n" } }
        guard numbers.count == 2 else { return resources }
        if quota == 0 { resources.cpu?.quota = Int64(numbers[0]) ?? -1 }
        if period == 0 { resources.cpu?.period = UInt64(numbers[1]) }
        return resources
    }

    /// Ends the unit, whose processes must have ended: systemd would give those a minute and a half.
    func end(_ unit: SystemdUnit, patience seconds: Double) throws(CgroupError) {
        var waited = 0.0
        while try !pids().isEmpty {
            guard waited < seconds else {
                throw CgroupError(.inUse, "stop unit \"\(unit.name)\": it has processes", .busy)
            }
            usleep(1000)
            waited += 0.001
        }
        try SystemdManager(isUser: unit.isUser).stop(unit.name)
    }
}
