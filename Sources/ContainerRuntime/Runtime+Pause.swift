import JSONText
import LinuxSystem
import OCISpec

extension Runtime {
    /// Stops all processes of a running container where they are.
    public func pause(_ id: String) throws(RuntimeError) {
        try change(id, from: [.running, .created], "container not running") { (cgroup) throws(CgroupError) in
            try cgroup.freeze()
        }
    }

    /// Lets them go on.
    public func resume(_ id: String) throws(RuntimeError) {
        try change(id, from: [.paused], "container not paused") { (cgroup) throws(CgroupError) in
            try cgroup.thaw()
        }
    }

    private func change(
        _ id: String, from: [RuntimeState.Status], _ complaint: String,
        _ body: (Cgroup) throws(CgroupError) -> Void
    ) throws(RuntimeError) {
        let directory = try StateDirectory(opening: id, root: root)
        guard let record = try directory.record(), from.contains(try Self.status(directory, record)),
            let cgroup = try Self.cgroup(record)
        else { throw RuntimeError(.wrongState, complaint) }
        guard !cgroup.isRefused else {
            throw RuntimeError(
                .unsupported, "cannot toggle freezer: cgroups not configured for container")
        }
        do throws(CgroupError) {
            try body(cgroup)
        } catch {
            throw RuntimeError(.system, "\(error)")
        }
    }
}
