internal import OCISpec

/// Documentation/admin-guide/cgroup-v1/pids.rst.
enum PidsController: CgroupController {
    static let legacyName = "pids"
    static let unifiedName: String? = "pids"

    static func isAsked(_ resources: LinuxResources) -> Bool { (resources.pids?.limit ?? 0) != 0 }

    static func setLegacy(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        guard let limit = resources.pids?.limit else { return }
        try group.write(limit < 0 ? "max" : String(limit), to: "pids.max")
    }

    static func setUnified(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        try setLegacy(resources, in: group)
    }
}
