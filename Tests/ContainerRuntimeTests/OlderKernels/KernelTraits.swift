import LinuxSystem
import Testing

extension Trait where Self == ConditionTrait {
    /// For idmapped mounts, and mounts in the host's mount namespace.
    static var newMounts: Self {
        .enabled(if: !MountStage.isNeeded, "this kernel has no mount_setattr(2) (Linux 5.12)")
    }

    static var openat2: Self {
        .enabled(
            if: linux_syscall(Int(SYS_openat2), -1, 0, 0, 0, 0, 0) != Int(-ENOSYS),
            "this kernel has no openat2(2) to compare with (Linux 5.6)")
    }

    /// For tests that make their child in a cgroup themselves.
    static var birthInCgroups: Self {
        .enabled(
            // Without a size it says EINVAL.
            if: linux_syscall(Int(SYS_clone3), 0, 0, 0, 0, 0, 0) != Int(-ENOSYS),
            "this kernel has no clone3(2) into a cgroup (Linux 5.7)")
    }

    /// For tests that take a descriptor out of their child themselves.
    static var pidfdGetfd: Self {
        .enabled(
            if: linux_syscall(Int(SYS_pidfd_getfd), -1, 0, 0, 0, 0, 0) != Int(-ENOSYS),
            "this kernel has no pidfd_getfd(2) (Linux 5.6)")
    }
}
