import LinuxSystem
import OCISpec

extension ProcessPlan {
    /// What the kernel would cut down silently, ignore, or refuse when half of the container exists.
    static func check(_ spec: ProcessSpec) throws(RuntimeError) {
        for (name, id) in [("uid", spec.user.uid), ("gid", spec.user.gid)] where id == .max {
            // To setresuid(2) it means: leave it as it is.
            throw RuntimeError(.invalidConfig, "invalid process.user.\(name): \(id)")
        }
        if let scheduler = spec.scheduler { try check(scheduler) }
        if let priority = spec.ioPriority {
            guard (0...7).contains(priority.priority) else {
                throw RuntimeError(.invalidConfig, "invalid ioPriority.priority: \(priority.priority)")
            }
            guard ioClasses[priority.class] != nil else {
                throw RuntimeError(.invalidConfig, "invalid ioPriority.class: \"\(priority.class)\"")
            }
        }
        if let label = spec.selinuxLabel, !label.isEmpty, !SecurityModule.hasSELinux {
            throw RuntimeError(
                .unsupported,
                "process.selinuxLabel is \"\(label)\", but SELinux is not enabled on this machine")
        }
        if let profile = spec.apparmorProfile, !profile.isEmpty, !SecurityModule.hasAppArmor {
            throw RuntimeError(
                .unsupported,
                "process.apparmorProfile is \"\(profile)\", but AppArmor is not enabled on this machine")
        }
    }

    /// ioprio_set(2)
    static let ioClasses = ["IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3]

    /// sched_setattr(2)
    private static func check(_ scheduler: Scheduler) throws(RuntimeError) {
        let policy = scheduler.policy
        guard !policy.isEmpty else {
            throw RuntimeError(.invalidConfig, "scheduler policy is required")
        }
        if policy == "SCHED_OTHER" || policy == "SCHED_BATCH", !(-20...19).contains(scheduler.nice) {
            throw RuntimeError(
                .invalidConfig,
                "invalid scheduler.nice: \(scheduler.nice) when scheduler.policy is \(policy)")
        }
        if scheduler.priority != 0, policy != "SCHED_FIFO", policy != "SCHED_RR" {
            throw RuntimeError(
                .invalidConfig,
                "scheduler.priority can only be specified for the policies SCHED_FIFO and SCHED_RR")
        }
        let hasTimes = scheduler.runtime != 0 || scheduler.deadline != 0 || scheduler.period != 0
        if hasTimes, policy != "SCHED_DEADLINE" {
            throw RuntimeError(
                .invalidConfig,
                "scheduler runtime/deadline/period can only be specified for the policy SCHED_DEADLINE")
        }
    }
}
