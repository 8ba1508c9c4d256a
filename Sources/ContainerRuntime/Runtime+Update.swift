import JSONText
import LinuxSystem
public import OCISpec

extension Runtime {
    /// Changes the limits of a container's cgroup. What `resources` leaves out stays as it is,
    /// the rules for devices always.
    /// - Parameter intelRdt: schemata of its class of service, which is made where it had none.
    /// - Throws: `.wrongState` when it has stopped.
    public func update(
        _ id: String, _ resources: LinuxResources, intelRdt: IntelRdt? = nil
    ) throws(RuntimeError) {
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
        let group = try intelRdt.map { (config) throws(RuntimeError) in
            try resctrl(of: record, directory, config)
        }
        do throws(CgroupError) {
            try cgroup.apply(resources)
        } catch {
            throw RuntimeError(.system, "\(error)")
        }
        if let group, let intelRdt { try group.set(intelRdt) }
    }

    private func resctrl(
        of record: StateRecord, _ directory: borrowing StateDirectory, _ config: IntelRdt
    ) throws(RuntimeError) -> ResctrlGroup {
        if let group = record.resctrl {
            try group.check(config)
            return group
        }
        guard let group = try Self.resctrl(config, record.id) else {
            throw RuntimeError(.unsupported, "no resctrl file system is mounted")
        }
        var record = record
        record.resctrl = group
        try directory.write(record)
        try group.make(config)
        try group.add(record.pid)
        return group
    }
}
