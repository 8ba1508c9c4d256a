import JSONText
import LinuxSystem
public import OCISpec

extension Runtime {
    /// Changes the limits of a container's cgroup. What `resources` leaves out stays as it is,
    /// the rules for devices always.
    /// - Throws: `.wrongState` when it has stopped.
    public func update(_ id: String, _ resources: LinuxResources) throws(RuntimeError) {
        var resources = resources
        resources.devices = []
        let directory = try StateDirectory(opening: id, root: root)
        try directory.lock()
        guard let record = try directory.record(), try Self.isAlive(record) else {
            throw RuntimeError(.wrongState, "container not running")
        }
        guard let cgroup = try Self.cgroup(record) else {
            throw RuntimeError(.unsupported, "container \(id) has no cgroup whose limits could change")
        }
        do throws(CgroupError) {
            try cgroup.apply(resources)
        } catch {
            throw RuntimeError(.system, "\(error)")
        }
    }
}
