internal import LinuxSystem

/// The way into a group for the process that takes it: open files, so that a
/// child needs neither paths nor memory to get in.
public final class CgroupEntrance {
    /// The v1 `tasks` files, to each of which the thread writes `0`.
    public let tasks: [Int32]
    /// The v2 `cgroup.procs` file, for one that was not cloned into the group; or -1.
    public let unified: Int32
    /// Whether the v2 hierarchy may refuse.
    private let isUnifiedOptional: Bool

    init(tasks: consuming [Int32], unified: Int32, isUnifiedOptional: Bool = false) {
        self.tasks = tasks
        self.unified = unified
        self.isUnifiedOptional = isUnifiedOptional
    }

    /// Takes over the `tasks` files that came from another process.
    init(receiving files: inout PassedDescriptors) {
        var tasks: [Int32] = []
        while let file = files.takeFirst() { tasks.append(file.take()) }
        self.tasks = tasks
        unified = -1
        isUnifiedOptional = false
    }

    deinit {
        for file in tasks { close(file) }
        if unified >= 0 { close(unified) }
    }

    /// Moves the calling thread, which must be its process's only one, into the
    /// group. Allocates nothing: for use between clone and execve.
    ///
    /// Writing 0 to a v1 `tasks` file is the only move that does not take the
    /// kernel's thread-group lock (cgroup1_tasks_write), whose writers wait for an
    /// RCU grace period.
    /// - Parameter alreadyInUnified: the thread was cloned into the v2 group.
    /// - Returns: 0, or the error number.
    public func enter(alreadyInUnified: Bool) -> Int32 {
        var zero = UInt8(ascii: "0")
        for position in tasks.indices {
            if write(tasks[position], &zero, 1) != 1 { return linux_errno() }
        }
        if !alreadyInUnified, unified >= 0, write(unified, &zero, 1) != 1, !isUnifiedOptional {
            return linux_errno()
        }
        return 0
    }
}

extension Cgroup {
    /// The v2 directory's descriptor for CLONE_INTO_CGROUP (clone3(2)), valid while
    /// this object lives; nil without a v2 hierarchy.
    public var joinTarget: Int32? { isUnifiedOptional ? nil : unified?.raw }

    /// Beside v1, without root's rights, v2 may have let a group be made and yet let no process in:
    /// that takes rights over the group that the process is in, too.
    private var isUnifiedOptional: Bool { isRootless && layout == .hybrid }

    public func openEntrance() throws(CgroupError) -> CgroupEntrance {
        var tasks: [Int32] = []
        var unified: Int32 = -1
        do throws(SystemError) {
            for directory in directories {
                switch directory.version {
                case .v1: tasks.append(try File.open("tasks", at: directory.raw, O_WRONLY).take())
                case .v2:
                    do throws(SystemError) {
                        unified = try File.open("cgroup.procs", at: directory.raw, O_WRONLY).take()
                    } catch  where isUnifiedOptional && CgroupRefusals.isRefusal(error.errno) {}
                }
            }
            return CgroupEntrance(tasks: tasks, unified: unified, isUnifiedOptional: isUnifiedOptional)
        } catch {
            _ = CgroupEntrance(tasks: tasks, unified: unified)
            throw CgroupError(error, "open cgroup \(paths.values.sorted().first ?? "")")
        }
    }

    /// Moves a process into the group.
    /// - Parameter initPid: the container's first process. Where the container has
    ///   made groups of its own, v2 allows no process beside them, and the new one
    ///   goes where the first is.
    public func add(pid: Int32, initPid: Int32? = nil) throws(CgroupError) {
        if isRefused { return }
        if directories.isEmpty { throw CgroupError(.system, "the container's cgroup is gone", .noEntry) }
        if let unit, unit.isUser { return try SystemdManager(isUser: true).attach(pid, to: unit.name) }
        for directory in directories {
            do throws(CgroupError) {
                try directory.write(String(pid), to: "cgroup.procs")
            } catch  where error.errno == .busy && directory.version == .v2 && initPid != nil {
                let inner = try groupOf(initPid!, below: directory)
                try inner.write(String(pid), to: "cgroup.procs")
            }
        }
    }

    /// The v2 group that a process is in, when it is this or one below.
    private func groupOf(_ pid: Int32, below directory: CgroupDirectory) throws(CgroupError)
        -> CgroupDirectory
    {
        let text: String
        do throws(SystemError) {
            text = try File.readText("/proc/\(pid)/cgroup")
        } catch {
            throw CgroupError(error, "find the cgroup of process \(pid)")
        }
        let line = text.split(separator: "\n").first { $0.hasPrefix("0::") } ?? "0::/"
        let group = try CgroupPath(String(line.dropFirst(3)))
        // The mount's root is what remains of our path before the group's own part.
        for skipped in 0...group.components.count {
            let below = group.components.dropFirst(skipped)
            for split in (0...below.count).reversed() {
                let upper = below.prefix(split).joined(separator: "/")
                guard directory.path.hasSuffix("/" + upper) else { continue }
                let inner = ([directory.path] + below.dropFirst(split)).joined(separator: "/")
                if let found = try CgroupDirectory.find(inner, .v2, []), try found.pids().contains(pid) {
                    return found
                }
            }
        }
        throw CgroupError(.system, "process \(pid) is not below cgroup \(directory.path)", .noProcess)
    }

    /// The processes in the group.
    /// - Parameter recursive: also those in groups below.
    public func pids(recursive: Bool = true) throws(CgroupError) -> [Int32] {
        guard let directory = listing else { return [] }
        do throws(CgroupError) {
            return try Self.pids(in: directory.raw, directory.path, recursive: recursive, depth: 0)
        } catch  where error.errno == .noEntry || error.errno?.rawValue == ENODEV {
            return []
        }
    }

    /// Where to look for processes: they are in all hierarchies, unless someone
    /// moved them.
    private var listing: CgroupDirectory? {
        if layout == .unified { return unified }
        return legacy("devices") ?? legacy("pids") ?? legacy("memory") ?? directories.first
    }

    /// cgroup.max.depth has no limit by default, but a path has.
    static let depthLimit = 1024

    private static func pids(in directory: Int32, _ path: String, recursive: Bool, depth: Int)
        throws(CgroupError) -> [Int32]
    {
        var found: [Int32] = []
        do throws(SystemError) {
            do throws(SystemError) {
                let text = try File.readText("cgroup.procs", at: directory)
                found = text.split(separator: "\n").compactMap { Int32($0) }
            } catch  where error.errno == .notSupported {
                // A threaded group's processes are counted in the group above.
            }
            guard recursive, depth < depthLimit else { return found }
            for child in try children(of: directory) {
                let opened: Descriptor
                do throws(SystemError) {
                    opened = try File.open(child, at: directory, O_PATH | O_DIRECTORY | O_NOFOLLOW)
                } catch  where error.errno == .noEntry {
                    continue
                }
                do throws(CgroupError) {
                    found += try pids(in: opened.raw, path + "/" + child, recursive: true, depth: depth + 1)
                } catch {
                    // Gone between the listing and the reading.
                    if let errno = error.errno, errno != .noEntry, errno.rawValue != ENODEV {
                        throw SystemError("", "", errno)
                    }
                }
            }
            return found
        } catch {
            throw CgroupError(error, "list the processes of cgroup \(path)")
        }
    }

    /// The groups directly below.
    static func children(of directory: Int32) throws(SystemError) -> [String] {
        // kernfs counts a directory's links as Unix always did: two and one a subdirectory.
        if try File.status(".", at: directory).st_nlink == 2 { return [] }
        return try File.names(inDirectory: directory).filter { name in
            // Files of controllers all have a dot, and the few without are known.
            if name == "tasks" || name == "notify_on_release" || name == "release_agent" { return false }
            guard let status = try? File.status(name, at: directory, followLinks: false) else { return false }
            return status.st_mode & S_IFMT == S_IFDIR
        }
    }
}
