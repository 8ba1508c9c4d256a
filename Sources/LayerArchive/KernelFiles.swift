import LinuxSystem

/// File systems whose files are the kernel's: reading one may wait for ever or
/// never end, and writing one acts. They belong to no archive.
public enum KernelFiles {
    /// statfs(2), linux/magic.h: proc, sysfs, cgroup, cgroup2, devpts, mqueue,
    /// securityfs, debugfs, tracefs, bpf, pstore, configfs, efivarfs, binfmt_misc, selinux, nsfs.
    private static let types: Set<UInt32> = [
        0x9FA0, 0x6265_6572, 0x27_E0EB, 0x6367_7270, 0x1CD1, 0x1980_0202, 0x7363_6673, 0x6462_6720,
        0x7472_6163, 0xCAFE_4A11, 0x6165_676C, 0x6265_6570, 0xDE5E_81E4, 0x4249_4E4D, 0xF97C_FF8C,
        0x6E73_6673,
    ]

    /// Whether an open file is on one of them.
    public static func are(on file: Int32) -> Bool {
        var status = statfs()
        guard fstatfs(file, &status) == 0 else { return true }
        return types.contains(UInt32(truncatingIfNeeded: status.f_type))
    }
}
