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
}
