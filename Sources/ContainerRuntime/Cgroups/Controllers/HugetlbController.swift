internal import LinuxSystem
internal import OCISpec

/// Documentation/admin-guide/cgroup-v1/hugetlb.rst; cgroup-v2.rst ("HugeTLB").
enum HugetlbController: CgroupController {
    static let legacyName = "hugetlb"
    static let unifiedName: String? = "hugetlb"

    static func isAsked(_ resources: LinuxResources) -> Bool { !resources.hugepageLimits.isEmpty }

    static func setLegacy(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        try set(resources, "limit_in_bytes", in: group)
    }

    static func setUnified(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        try set(resources, "max", in: group)
    }

    private static func set(_ resources: LinuxResources, _ suffix: String, in group: CgroupDirectory)
        throws(CgroupError)
    {
        for limit in resources.hugepageLimits {
            // `2MB`: nothing else makes a file's name of it.
            guard !limit.pageSize.isEmpty, limit.pageSize.utf8.allSatisfy({ isAlphanumeric($0) }) else {
                throw CgroupError(.invalid, "invalid huge page size \"\(limit.pageSize)\"")
            }
            let file = "hugetlb.\(limit.pageSize)"
            do throws(CgroupError) {
                try group.write(String(limit.limit), to: "\(file).\(suffix)")
            } catch  where error.errno == .noEntry {
                throw CgroupError(.invalid, "this machine has no huge pages of \(limit.pageSize)")
            }
            // Reservations, since Linux 5.7: pages asked for and not yet touched.
            do throws(CgroupError) {
                try group.write(String(limit.limit), to: "\(file).rsvd.\(suffix)")
            } catch  where error.errno == .noEntry {}
        }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
}
