import JSONText
public import LinuxSystem
public import OCISpec

extension Runtime {
    /// - Throws: `.notFound`.
    public func state(_ id: String) throws(RuntimeError) -> RuntimeState {
        let directory = try StateDirectory(opening: id, root: root)
        return try Self.state(directory, try directory.record())
    }

    /// A container as `list` shows it.
    public struct Summary: Sendable {
        public var state: RuntimeState
        public var rootfs: String
        /// RFC 3339.
        public var created: String
        public var owner: String
    }

    /// - Throws: `.notFound`.
    public func summary(_ id: String) throws(RuntimeError) -> Summary {
        let directory = try StateDirectory(opening: id, root: root)
        return try Self.summary(directory)
    }

    private static func summary(_ directory: borrowing StateDirectory) throws(RuntimeError) -> Summary {
        let record = try directory.record()
        return Summary(
            state: try state(directory, record), rootfs: record?.rootfs ?? "", created: record?.created ?? "",
            owner: record?.owner ?? "")
    }

    /// All containers, by their names. One that vanishes meanwhile is left out.
    public func list() throws(RuntimeError) -> [Summary] {
        let names: [String]
        do throws(SystemError) {
            names = try File.names(in: root)
        } catch  where error.errno == .noEntry {
            return []
        } catch {
            throw RuntimeError(.system, "list containers", cause: error)
        }
        var summaries: [Summary] = []
        for name in names.sorted() {
            do throws(RuntimeError) {
                let directory = try StateDirectory(opening: name, root: root)
                summaries.append(try Self.summary(directory))
            } catch  where error.code == .notFound || error.code == .invalidID {
            }
        }
        return summaries
    }

    /// The processes of a container, as the caller's PID namespace numbers them.
    public func processes(_ id: String) throws(RuntimeError) -> [pid_t] {
        let directory = try StateDirectory(opening: id, root: root)
        guard let record = try directory.record(), let cgroup = try Self.cgroup(record) else { return [] }
        guard !cgroup.isRefused else {
            throw RuntimeError(
                .unsupported, "container \(id) has no cgroup that could tell its processes")
        }
        do throws(CgroupError) {
            return try cgroup.pids()
        } catch {
            throw RuntimeError(.system, "\(error)")
        }
    }

    // MARK: -

    static func state(
        _ directory: borrowing StateDirectory, _ record: StateRecord?
    ) throws(RuntimeError) -> RuntimeState {
        guard let record else {
            return RuntimeState(
                ociVersion: "1.3.0", id: directory.id, status: missingStatus(directory), pid: 0, bundle: "/")
        }
        let status = try status(directory, record)
        return RuntimeState(
            ociVersion: record.ociVersion, id: record.id, status: status,
            pid: status == .stopped ? 0 : record.pid, bundle: record.bundle, annotations: record.annotations)
    }

    static func status(
        _ directory: borrowing StateDirectory, _ record: StateRecord
    ) throws(RuntimeError) -> RuntimeState.Status {
        guard record.pid > 0 else { return missingStatus(directory) }
        guard try isAlive(record) else { return .stopped }
        if directory.isWaitingForStart { return .created }
        if isFrozen(try cgroup(record, isForFreezing: true)) { return .paused }
        return .running
    }

    /// Without a process it is being made, or the runtime that made it was killed.
    private static func missingStatus(_ directory: borrowing StateDirectory) -> RuntimeState.Status {
        if directory.tryLock() {
            directory.unlock()
            return .stopped
        }
        return .creating
    }

    /// Whether the very process that was recorded still runs.
    static func isAlive(_ record: StateRecord) throws(RuntimeError) -> Bool {
        guard record.pid > 0 else { return false }
        let status = try during("inspect process \(record.pid)") { () throws(SystemError) in
            try ProcessStatus.read(record.pid)
        }
        guard let status else { return false }
        return status.isAlive && status.startTime == record.startTime
    }

    /// A descriptor of the recorded process, or nil when it has ended.
    static func open(_ record: StateRecord) throws(RuntimeError) -> Descriptor? {
        guard record.pid > 0 else { return nil }
        let pidfd: Descriptor
        do throws(SystemError) {
            pidfd = try Pidfd.open(record.pid)
        } catch  where error.errno == .noProcess {
            return nil
        } catch {
            throw RuntimeError(.system, "open the container's process", cause: error)
        }
        // Looked at after it was opened: now the number cannot be another's.
        if try isAlive(record) { return pidfd }
        return nil
    }

    static func isFrozen(_ cgroup: Cgroup?) -> Bool {
        guard let cgroup, let state = try? cgroup.freezerState else { return false }
        return state != .thawed
    }

    /// nil when none was made.
    static func cgroup(_ record: StateRecord, isForFreezing: Bool = false) throws(RuntimeError) -> Cgroup? {
        guard let recorded = record.cgroup else { return nil }
        do throws(CgroupError) {
            return try Cgroup.load(recorded, isForFreezing: isForFreezing)
        } catch {
            throw RuntimeError(.system, "\(error)")
        }
    }
}
