public import JSONText
import LinuxSystem

extension Runtime {
    public enum Event: Sendable {
        /// As `runc events` has them.
        case stats(JSON)
        /// A process of the container wanted memory that there was not.
        case outOfMemory
    }

    /// What the container uses at this moment.
    /// - Throws: `.wrongState` when it has stopped.
    public func stats(_ id: String) throws(RuntimeError) -> JSON {
        let directory = try StateDirectory(opening: id, root: root)
        let record = try directory.record()
        return Self.report(try cgroupOfRunning(record, id).cgroup, record?.resctrl)
    }

    /// Tells of a container until it has stopped.
    /// - Parameter interval: milliseconds between two reports of what it uses; more than 0.
    public func events(
        _ id: String, every interval: Int64, _ tell: (Event) throws -> Void
    ) throws {
        let directory = try StateDirectory(opening: id, root: root)
        let record = try directory.record()
        let watched = try cgroupOfRunning(record, id)
        let pidfd = try during("watch container \(id)") { () throws(SystemError) in
            try Pidfd.open(watched.pid)
        }
        var memory = try MemoryEvents(watched.cgroup)
        var next = MonotonicClock.milliseconds + interval
        while true {
            var entries = [
                pollfd(fd: pidfd.raw, events: Int16(POLLIN), revents: 0),
                pollfd(fd: memory?.raw ?? -1, events: Int16(POLLIN), revents: 0),
            ]
            let left = Int32(clamping: max(0, next - MonotonicClock.milliseconds))
            if Pidfd.poll(&entries, milliseconds: left) < 0, Errno.current != .interrupted {
                throw RuntimeError(.system, "watch container \(id)", cause: SystemError("poll", "", .current))
            }
            if entries[1].revents != 0, memory?.take() == true { try tell(.outOfMemory) }
            if entries[0].revents != 0 { return }
            if MonotonicClock.milliseconds >= next {
                next += interval
                try tell(.stats(Self.report(watched.cgroup, record?.resctrl)))
            }
        }
    }

    private static func report(_ cgroup: Cgroup, _ resctrl: ResctrlGroup?) -> JSON {
        let report = cgroup.report()
        guard let resctrl, var data = report.object else { return report }
        data["intel_rdt"] = resctrl.report()
        return .object(data)
    }

    private func cgroupOfRunning(
        _ record: StateRecord?, _ id: String
    ) throws(RuntimeError) -> (cgroup: Cgroup, pid: pid_t) {
        guard let record, try Self.isAlive(record) else {
            throw RuntimeError(.wrongState, "container with id \(id) is not running")
        }
        guard let cgroup = try Self.cgroup(record) else {
            throw RuntimeError(.unsupported, "container \(id) has no cgroup that could tell")
        }
        return (cgroup, record.pid)
    }
}
