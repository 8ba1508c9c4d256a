import LinuxSystem
import OCISpec

extension ProcessPlan {
    /// What the process sets for itself through the host's procfs.
    /// - Parameter isAdjusted: its OOM score is set already.
    func applyToSelf(_ procfs: borrowing Procfs, isAdjusted: Bool = false) throws(RuntimeError) {
        if !isAdjusted { try adjustOOMScore(procfs) }
        try memoryPolicy?.set()
        if let profile = spec.apparmorProfile, !profile.isEmpty {
            try during("apply apparmor profile \(profile)") { () throws(SystemError) in
                try procfs.write("exec \(profile)", to: "thread-self/attr/exec")
            }
        }
        if let label = spec.selinuxLabel, !label.isEmpty {
            try during("apply SELinux label \(label)") { () throws(SystemError) in
                try procfs.write(label, to: "thread-self/attr/exec")
            }
        }
        if let personality {
            try during("set personality") { () throws(SystemError) in
                _ = try checked("personality") {
                    linux_syscall(Int(SYS_personality), Int(personality), 0, 0, 0, 0, 0)
                }
            }
        }
        try applyScheduling()
    }

    func adjustOOMScore(_ procfs: borrowing Procfs) throws(RuntimeError) {
        guard let adjustment = spec.oomScoreAdj else { return }
        try during("set oom_score_adj to \(adjustment)") { () throws(SystemError) in
            try procfs.write(String(adjustment), to: "self/oom_score_adj")
        }
    }

    /// - Parameter procfs: the host's, whose files of this process are still its own.
    func writeOOMScore(below procfs: Int32) throws(SystemError) {
        guard let adjustment = spec.oomScoreAdj else { return }
        try File.write(String(adjustment), to: "self/oom_score_adj", at: procfs)
    }

    private func applyScheduling() throws(RuntimeError) {
        if let priority = spec.ioPriority {
            let kind = Self.ioClasses[priority.class] ?? 0
            try during("set I/O priority") { () throws(SystemError) in
                let ofProcess = 1
                _ = try checked("ioprio_set") {
                    linux_syscall(Int(SYS_ioprio_set), ofProcess, 0, kind << 13 | priority.priority, 0, 0, 0)
                }
            }
        }
        guard let scheduler = spec.scheduler else { return }
        do throws(RuntimeError) {
            try Self.apply(scheduler)
        } catch  where error.cause?.errno == .notPermitted && hasProcessors {
            // sched_setattr(2): a deadline is for processes that may run everywhere.
            throw RuntimeError(
                .system, "process scheduler can't be used together with AllowedCPUs", cause: error.cause)
        }
    }

    private static func apply(_ scheduler: Scheduler) throws(RuntimeError) {
        let policies: [String: UInt32] = [
            "SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_ISO": 4,
            "SCHED_IDLE": 5,
            "SCHED_DEADLINE": 6,
        ]
        let known: [String: UInt64] = [
            "SCHED_FLAG_RESET_ON_FORK": 1, "SCHED_FLAG_RECLAIM": 2, "SCHED_FLAG_DL_OVERRUN": 4,
            "SCHED_FLAG_KEEP_POLICY": 8, "SCHED_FLAG_KEEP_PARAMS": 16, "SCHED_FLAG_UTIL_CLAMP_MIN": 32,
            "SCHED_FLAG_UTIL_CLAMP_MAX": 64,
        ]
        guard let policy = policies[scheduler.policy] else {
            throw RuntimeError(.invalidConfig, "invalid scheduler policy \"\(scheduler.policy)\"")
        }
        var flags: UInt64 = 0
        for name in scheduler.flags {
            guard let flag = known[name] else {
                throw RuntimeError(.invalidConfig, "invalid scheduler flag \"\(name)\"")
            }
            flags |= flag
        }
        // struct sched_attr (sched_setattr(2)): size, policy, flags, nice, priority, three times.
        let size: UInt64 = 48
        var attributes: [UInt64] = [
            size | UInt64(policy) << 32, flags,
            UInt64(UInt32(bitPattern: scheduler.nice)) | UInt64(UInt32(bitPattern: scheduler.priority)) << 32,
            scheduler.runtime, scheduler.deadline, scheduler.period,
        ]
        try during("set scheduler") { () throws(SystemError) in
            _ = try checked("sched_setattr", scheduler.policy) {
                attributes.withUnsafeMutableBytes {
                    linux_syscall(Int(SYS_sched_setattr), 0, Int(bitPattern: $0.baseAddress), 0, 0, 0, 0)
                }
            }
        }
    }

    /// Goes to the working directory, and makes sure that it is one of the container's.
    ///
    /// CVE-2024-21626: a working directory that leads through `/proc/self/fd` could
    /// be one of the host's. Magic links are refused, and the kernel must be able
    /// to name what was found from our root: a directory outside is "(unreachable)".
    mutating func enterWorkingDirectory(root: Int32, making: Bool) throws(RuntimeError) {
        let path = spec.cwd
        do throws(SystemError) {
            try Self.enter(path, root: root, making: making)
        } catch  where error.errno == .accessDenied && spec.user.uid != 0 {
            entersDirectoryAsUser = true
        } catch {
            throw RuntimeError(
                .system, "chdir to cwd (\"\(path)\") set in config.json failed", cause: error)
        }
    }

    private static func enter(_ path: String, root: Int32, making: Bool) throws(SystemError) {
        let directory: Descriptor
        do throws(SystemError) {
            directory = try File.open(inRoot: path, at: root, O_PATH | O_DIRECTORY)
        } catch  where error.errno == .noEntry && making {
            let rootfs = Rootfs(root: try File.open(".", at: root, O_PATH | O_DIRECTORY))
            directory = try rootfs.makeDirectories(path)
        }
        let raw = directory.raw
        _ = try retrying("chdir", path) { fchdir(raw) }
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX) + 16)
        let length = try checked("getcwd", path) {
            buffer.withUnsafeMutableBytes {
                linux_syscall(Int(SYS_getcwd), Int(bitPattern: $0.baseAddress), $0.count, 0, 0, 0, 0)
            }
        }
        guard length > 0, buffer[0] == UInt8(ascii: "/") else {
            throw SystemError("verify that it is inside the container", path, .noEntry)
        }
    }

    /// The file that the command names, as execvp(3) finds it, from inside the container.
    func findCommand() throws(RuntimeError) -> String {
        let command = spec.args[0]
        if command.utf8.contains(UInt8(ascii: "/")) {
            if let problem = Self.problem(with: command) {
                throw problem.under("exec: \"\(command)\"")
            }
            return command
        }
        let path =
            spec.env.last { $0.utf8.starts(with: "PATH=".utf8) }.map { String($0.dropFirst(5)) }
            ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        var found: RuntimeError?
        for directory in path.split(separator: ":", omittingEmptySubsequences: false) {
            let file = directory.isEmpty ? "./\(command)" : "\(directory)/\(command)"
            guard let problem = Self.problem(with: file) else { return file }
            if problem.code == .commandNotExecutable { found = problem }
        }
        throw (found ?? RuntimeError(.commandNotFound, "executable file not found in $PATH"))
            .under("exec: \"\(command)\"")
    }

    private static func problem(with path: String) -> RuntimeError? {
        do throws(SystemError) {
            let status = try File.status(path)
            if status.st_mode & S_IFMT == S_IFDIR {
                return RuntimeError(.commandNotExecutable, "is a directory")
            }
            if status.st_mode & 0o111 == 0 { return RuntimeError(.commandNotExecutable, "permission denied") }
            return nil
        } catch {
            let code: RuntimeError.Code =
                error.errno == .noEntry || error.errno == .notDirectory
                ? .commandNotFound : .commandNotExecutable
            return RuntimeError(code, "stat \(path): \(error.errno)")
        }
    }

    /// Gives the streams to the user, so that the process may open /dev/stdout
    /// again after it has changed user; and replaces a /dev/null of the host's by
    /// the container's, so that this hands nothing of the host's to the container.
    /// - Parameter root: the container's; magic links, which could lead to what is open here, are refused.
    func ownStreams(root: Int32) throws(RuntimeError) {
        for fd in Int32(0)...2 {
            try during("prepare standard streams") { () throws(SystemError) in
                guard let status = try? FD.stat(fd) else { return }
                if Rootfs.isNull(status) {
                    guard let null = try? File.open(inRoot: "/dev/null", at: root, O_RDWR | O_NOFOLLOW),
                        Rootfs.isNull(try FD.stat(null.raw))
                    else { return }
                    _ = try retrying("dup3") { dup3(null.raw, fd, 0) }
                    return
                }
                guard status.st_uid != spec.user.uid else { return }
                let kind = status.st_mode & S_IFMT
                // Never a device or a file of the host's: only what is made for this process.
                guard kind == S_IFIFO || kind == S_IFSOCK || kind == S_IFCHR && spec.terminal else { return }
                fchown(fd, spec.user.uid, status.st_gid)
            }
        }
    }

    /// Each variable once, with the last value that is given; and HOME from the container's user
    /// database, when the config sets none.
    /// - Parameter root: the container's.
    mutating func settleEnvironment(root: Int32) {
        var names = DistinctNames(expecting: spec.env.count)
        var kept: [String] = []
        kept.reserveCapacity(spec.env.count + 1)
        var hasHome = false
        for variable in spec.env.reversed() {
            let name = variable.utf8.prefix { $0 != UInt8(ascii: "=") }
            guard names.insert(name) else { continue }
            if name.elementsEqual("HOME".utf8) {
                // An empty one is none.
                if variable.utf8.count == "HOME=".utf8.count { continue }
                hasHome = true
            }
            kept.append(variable)
        }
        kept.reverse()
        if !hasHome { kept.append("HOME=\(Self.home(of: spec.user.uid, root) ?? "/")") }
        spec.env = kept
    }

    /// Names that are all different. Few are looked through: the type of a set is made at run
    /// time, which takes longer.
    private struct DistinctNames {
        private var few: [Substring.UTF8View] = []
        private var many: Set<Substring>?

        init(expecting count: Int) {
            if count > 64 { many = [] }
        }

        /// - Returns: whether it is new.
        mutating func insert(_ name: Substring.UTF8View) -> Bool {
            if many != nil { return many!.insert(Substring(name)).inserted }
            if few.contains(where: { $0.elementsEqual(name) }) { return false }
            few.append(name)
            return true
        }
    }

    private static func home(of uid: UInt32, _ root: Int32) -> String? {
        guard
            let file = try? File.open(inRoot: "/etc/passwd", at: root, O_RDONLY | O_NONBLOCK | O_NOCTTY),
            let status = try? FD.stat(file.raw), status.st_mode & S_IFMT == S_IFREG,
            let bytes = try? FD.readAll(file.raw, limit: 4 << 20)
        else { return nil }
        let wanted = String(uid)
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            guard fields.count >= 6, fields[2].elementsEqual(wanted.utf8), !fields[5].isEmpty else {
                continue
            }
            return String(decoding: fields[5], as: UTF8.self)
        }
        return nil
    }
}
