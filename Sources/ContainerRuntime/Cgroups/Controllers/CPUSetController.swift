internal import LinuxSystem
internal import OCISpec

/// cpusets(7); cgroup-v2.rst ("Cpuset").
enum CPUSetController: CgroupController {
    static let legacyName = "cpuset"
    static let unifiedName: String? = "cpuset"

    static func isAsked(_ resources: LinuxResources) -> Bool {
        !(resources.cpu?.cpus ?? "").isEmpty || !(resources.cpu?.mems ?? "").isEmpty
    }

    static func setLegacy(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        try set(resources, in: group)
    }

    static func setUnified(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        try set(resources, in: group)
    }

    private static func set(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        if let cpus = resources.cpu?.cpus, !cpus.isEmpty { try group.write(cpus, to: "cpuset.cpus") }
        if let mems = resources.cpu?.mems, !mems.isEmpty { try group.write(mems, to: "cpuset.mems") }
    }

    /// A new v1 cpuset is empty and lets no process in: what is still empty is
    /// taken from the group above.
    static func inherit(_ group: CgroupDirectory) throws(CgroupError) {
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if try !isEmpty(group.read(file)) { continue }
            let above = String(group.path[..<(group.path.lastIndex(of: "/") ?? group.path.startIndex)])
            let inherited: String
            do throws(SystemError) {
                inherited = try File.readText("\(above)/\(file)")
            } catch {
                throw CgroupError(error, "read \(above)/\(file)")
            }
            try group.write(inherited, to: file)
        }
    }

    private static func isEmpty(_ text: String) -> Bool { text.isEmpty || text == "\n" }
}
