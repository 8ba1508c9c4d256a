internal import OCISpec

/// Documentation/admin-guide/cgroup-v1/rdma.rst; the same file in v2.
enum RdmaController: CgroupController {
    static let legacyName = "rdma"
    static let unifiedName: String? = "rdma"

    static func isAsked(_ resources: LinuxResources) -> Bool { !resources.rdma.isEmpty }

    static func setLegacy(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        let lines = resources.rdma.sorted { $0.key < $1.key }.map { device, limits in
            var line = device
            if let handles = limits.hcaHandles { line += " hca_handle=\(handles)" }
            if let objects = limits.hcaObjects { line += " hca_object=\(objects)" }
            return line
        }
        try group.write(lines, to: "rdma.max")
    }

    static func setUnified(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        try setLegacy(resources, in: group)
    }
}
