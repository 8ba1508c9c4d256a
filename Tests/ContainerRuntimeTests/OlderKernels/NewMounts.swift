import LinuxSystem
import Testing

extension Trait where Self == ConditionTrait {
    /// For idmapped mounts, and mounts in the host's mount namespace.
    static var newMounts: Self {
        .enabled(if: !MountStage.isNeeded, "this kernel has no mount_setattr(2) (Linux 5.12)")
    }
}
