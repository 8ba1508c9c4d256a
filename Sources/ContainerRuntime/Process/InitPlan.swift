import LinuxSystem
import OCISpec

/// All that the container's first process needs, decided before it exists.
struct InitPlan {
    var id: String
    var bundle: String
    var config: RuntimeConfig
    var rootfs: String
    var process: ProcessPlan
    var mounts: [MountRequest]
    var namespaces: NamespacePlan
    var cgroupMounts: CgroupMounts
    var propagation: Rootfs.Propagation?
    /// What its standard streams become; nil keeps the runtime's.
    var streams: [Int32?]
    var options: CreateOptions
    /// Where `start` is waited for; nil starts at once.
    var startFIFO: HeldDescriptor?
    /// Descriptors of the runtime's that would keep something alive here.
    var foreign: [Int32]
    /// The group was complete before the process was made; otherwise the way into
    /// it comes with the word to go on.
    var entrance: CgroupEntrance?
    var isBornInCgroup: Bool
    /// Whether the runtime may enter the container's mount namespace, and come back: without root
    /// it may not, and in a user namespace its own mounts belong to others.
    var runtimeEnters = true
    var rootless: Rootless
    var reporter: RuntimeReporter

    /// The helper that entered the user namespace has set it: from in there it could not be.
    var isScoreSet: Bool { rootless.isUser && namespaces.joinedUser != nil }

    var linux: LinuxSpec { config.linux ?? LinuxSpec() }
}

extension TimeOffset {
    /// As /proc/PID/timens_offsets takes it (time_namespaces(7)).
    func line(of clock: String) -> String { "\(clock) \(secs) \(nanosecs)" }
}
