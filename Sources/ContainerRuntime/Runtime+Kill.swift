import JSONText
import LinuxSystem
import OCISpec

extension Runtime {
    /// Sends a signal to a container's first process.
    /// - Parameter all: to all of its processes.
    /// - Throws: `.wrongState` when the container is not running.
    public func kill(_ id: String, signal: Int32, all: Bool = false) throws(RuntimeError) {
        let directory = try StateDirectory(opening: id, root: root)
        guard let record = try directory.record() else {
            throw RuntimeError(.wrongState, "container not running")
        }
        // The end of a first process that shares its PID namespace ends no other process.
        if all || signal == SIGKILL && record.sharesPIDs {
            do throws(RuntimeError) {
                try signalAll(record, signal, mustExist: !all)
                return
            } catch  where !all && rootless.doesWithoutCgroups {
                reporter.warn(
                    "failed to kill all processes, possibly due to lack of cgroup (Hint: enable cgroup v2 delegation): \(error)"
                )
            }
        }
        guard let process = try Self.open(record) else {
            throw RuntimeError(.wrongState, "container not running")
        }
        do throws(SystemError) {
            try Pidfd.send(signal, to: process.raw)
        } catch  where error.errno == .noProcess {
            throw RuntimeError(.wrongState, "container not running")
        } catch {
            throw RuntimeError(.system, "signal container \(id)", cause: error)
        }
        // A frozen process gets the signal when it thaws.
        if signal == SIGKILL, let cgroup = try Self.cgroup(record), Self.isFrozen(cgroup) {
            try? cgroup.thaw()
        }
    }

    private func signalAll(
        _ record: StateRecord, _ signal: Int32, mustExist: Bool
    ) throws(RuntimeError) {
        guard let cgroup = try Self.cgroup(record), cgroup.exists else {
            if mustExist, try Self.cgroup(record)?.isRefused ?? false {
                throw RuntimeError(.unsupported, "the container has no cgroup")
            }
            if mustExist { throw RuntimeError(.wrongState, "container not running") }
            return
        }
        do throws(CgroupError) {
            if signal == SIGKILL { try cgroup.kill() } else { try cgroup.signal(signal) }
        } catch {
            throw RuntimeError(.system, "\(error)")
        }
    }
}
