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
            let inherited: String
            do throws(SystemError) {
                inherited = try fill(file, above: group.path)
            } catch {
                throw CgroupError(error, "inherit \(file) of cgroup \(group.path)")
            }
            try group.write(inherited, to: file)
        }
    }

    /// The value of the group above, which has its own from the one above that where someone
    /// made it and left it empty.
    private static func fill(_ file: String, above path: String) throws(SystemError) -> String {
        let above = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        let value = try File.readText("\(above)/\(file)")
        if !isEmpty(value) { return value }
        let inherited = try fill(file, above: above)
        try File.write(inherited, to: "\(above)/\(file)")
        return inherited
    }

    private static func isEmpty(_ text: String) -> Bool { text.isEmpty || text == "\n" }
}
