internal import OCISpec

/// Documentation/admin-guide/cgroup-v1/net_cls.rst. v2 marks by BPF instead.
enum NetworkClassController: CgroupController {
    static let legacyName = "net_cls"
    static let unifiedName: String? = nil

    static func isAsked(_ resources: LinuxResources) -> Bool { (resources.network?.classID ?? 0) != 0 }

    static func setLegacy(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        guard let classID = resources.network?.classID else { return }
        try group.write(String(classID), to: "net_cls.classid")
    }

    static func setUnified(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {}
}

/// Documentation/admin-guide/cgroup-v1/net_prio.rst.
enum NetworkPriorityController: CgroupController {
    static let legacyName = "net_prio"
    static let unifiedName: String? = nil

    static func isAsked(_ resources: LinuxResources) -> Bool {
        !(resources.network?.priorities ?? []).isEmpty
    }

    static func setLegacy(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        guard let priorities = resources.network?.priorities else { return }
        try group.write(priorities.map { "\($0.name) \($0.priority)" }, to: "net_prio.ifpriomap")
    }

    static func setUnified(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {}
}
