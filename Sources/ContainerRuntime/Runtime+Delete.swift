import JSONText
import LinuxSystem
import OCISpec

extension Runtime {
    /// Removes what was made for a container.
    /// - Parameters:
    ///   - force: kills its processes first, and takes away what a killed
    ///     runtime left of it; then a container that does not exist is no error.
    ///   - warn: told about failures of poststop hooks, which change nothing.
    /// - Throws: `.wrongState` while its command runs, without `force`.
    public func delete(
        _ id: String, force: Bool = false, warn: (RuntimeError) -> Void = { _ in }
    ) throws(RuntimeError) {
        do throws(RuntimeError) {
            try remove(try StateDirectory(opening: id, root: root), force: force, warn)
        } catch  where error.code == .notFound && force {
        }
    }

    func remove(
        _ directory: borrowing StateDirectory, force: Bool, _ warn: (RuntimeError) -> Void
    ) throws(RuntimeError) {
        let id = directory.id
        if force, let record = try directory.record() { try kill(record) }
        if force {
            lockPatiently(directory)
        } else if !directory.tryLock() {
            throw RuntimeError(.wrongState, "cannot delete container \(id) that is not stopped: creating")
        }
        // Read again: the lock's last holder may have gone further.
        guard let record = try directory.record() else {
            try directory.remove(root: root)
            return
        }
        // A container that was only created has run nothing: as runc does, it goes without force.
        if force || directory.isWaitingForStart { try kill(record) }
        var stopped = try Self.state(directory, record)
        if stopped.status != .stopped {
            // It is our own lock that makes it look unfinished.
            guard record.pid == 0 else {
                throw RuntimeError(
                    .wrongState,
                    "cannot delete container \(id) that is not stopped: \(stopped.status.rawValue)")
            }
            stopped.status = .stopped
        }
        try removeCgroup(record)
        try record.resctrl?.remove()
        let hooks = record.hasPoststopHooks ? try? Self.config(directory).hooks : nil
        try directory.remove(root: root)
        for hook in hooks?.poststop ?? [] {
            do throws(RuntimeError) {
                try HookRunner.run([hook], "poststop", state: stopped)
            } catch {
                warn(error)
            }
        }
    }

    /// Kills the first process, and the others, and waits until they are gone.
    private func kill(_ record: StateRecord) throws(RuntimeError) {
        if let process = try Self.open(record) {
            try? Pidfd.send(SIGKILL, to: process.raw)
            let cgroup = try Self.cgroup(record)
            if Self.isFrozen(cgroup) { try? cgroup?.thaw() }
            let hasEnded = try during("wait for container \(record.id)") { () throws(SystemError) in
                try Pidfd.waitForEnd(process.raw, milliseconds: 10_000)
            }
            guard hasEnded else {
                throw RuntimeError(.wrongState, "container init still running")
            }
        }
    }

    /// A runtime that makes the container sees its process die and lets go.
    private func lockPatiently(_ directory: borrowing StateDirectory) {
        for _ in 0..<500 {
            if directory.tryLock() { return }
            usleep(10_000)
        }
    }

    private func removeCgroup(_ record: StateRecord) throws(RuntimeError) {
        do throws(CgroupError) {
            guard let recorded = record.cgroup, !Cgroup.removeEmpty(recorded) else { return }
            let cgroup = try Cgroup.load(recorded)
            // Without a PID namespace of their own, others may have outlived the first process; and
            // that itself may not have seen yet that its runtime was killed.
            do throws(CgroupError) {
                try cgroup.delete(patience: 0)
            } catch  where error.code == .inUse {
                try cgroup.kill()
                try cgroup.delete()
            }
        } catch {
            throw RuntimeError(.system, "\(error)")
        }
    }
}
