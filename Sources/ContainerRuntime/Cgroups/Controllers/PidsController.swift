internal import OCISpec

/// Documentation/admin-guide/cgroup-v1/pids.rst.
enum PidsController: CgroupController {
    static let legacyName = "pids"
    static let unifiedName: String? = "pids"

    static func isAsked(_ resources: LinuxResources) -> Bool { resources.pids?.limit != nil }

    static func setLegacy(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        guard let limit = resources.pids?.limit else { return }
        // None at all could not run anything: 0 counts as 1, which systemd's property needs too.
        try group.write(limit < 0 ? "max" : String(max(1, limit)), to: "pids.max")
    }

    static func setUnified(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        try setLegacy(resources, in: group)
    }
}
