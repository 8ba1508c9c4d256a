import LinuxSystem
import OCISpec

/// User namespaces and their mappings (user_namespaces(7)).
enum UserNamespace {
    static func writeMaps(of pid: pid_t, uids: [IDMapping], gids: [IDMapping]) throws(RuntimeError) {
        let isUser = geteuid() != 0
        if isUser, gids.isOnly(getegid()) {
            // Who may map only itself must give up setgroups(2) first.
            try during("deny setgroups in the user namespace") { () throws(SystemError) in
                try File.write("deny", to: "/proc/\(pid)/setgroups")
            }
        }
        try writeMap(gids, of: pid, to: "gid_map", orBy: isUser ? .groups : nil)
        try writeMap(uids, of: pid, to: "uid_map", orBy: isUser ? .users : nil)
    }

    private static func writeMap(
        _ mappings: [IDMapping], of pid: pid_t, to file: String, orBy tool: MappingTool?
    ) throws(RuntimeError) {
        do throws(SystemError) {
            try File.write(text(mappings), to: "/proc/\(pid)/\(file)")
        } catch {
            let what = "map the IDs of the user namespace"
            guard error.errno == .notPermitted, let tool else {
                throw RuntimeError(.system, what, cause: error)
            }
            do throws(RuntimeError) {
                try tool.map(pid, mappings)
            } catch {
                throw error.under(what)
            }
        }
    }

    private static func text(_ mappings: [IDMapping]) -> String {
        mappings.map { "\($0.containerID) \($0.hostID) \($0.size)\n" }.joined()
    }

    /// Keeps the processes of a user namespace that is to be entered from looking into this one
    /// (see `Runtime.hide`, which other users than root cannot do from the start: they need what
    /// /proc has of them).
    static func hideBeforeEntering() {
        _ = linux_syscall(Int(SYS_prctl), Int(PR_SET_DUMPABLE), 0, 0, 0, 0, 0)
    }

    /// What has failed when `child` throws anything but an error of clone3(2).
    static let entering = "enter the user namespace"

    /// Makes a child in a user namespace that exists already.
    ///
    /// Whoever enters a user namespace cannot come back, so a helper enters it and
    /// makes the child, as its sibling (CLONE_PARENT). It shares our descriptors:
    /// the child's pidfd is ours as soon as it is made.
    /// - Parameters:
    ///   - namespace: nil when the child makes its own.
    ///   - before: what the helper does with the host's rights.
    ///   - body: makes the child, with CLONE_PARENT, in the helper.
    static func child(
        of namespace: Int32?, before: () throws(SystemError) -> Void,
        _ body: () throws(SystemError) -> ChildProcess
    ) throws(SystemError) -> ChildProcess {
        // Not blocking: the helper has ended when it is read.
        let answer = try FD.pipe(nonBlocking: true)
        let writing = answer.writing.raw
        let helper = try Clone.process(flags: UInt64(CLONE_FILES)) {
            var words: [Int32] = [0, -1, 0, 0]
            do throws(SystemError) {
                try before()
                if let namespace {
                    hideBeforeEntering()
                    try Namespace.join(namespace, kinds: LinuxNamespace.Kind.user.flag)
                }
                let child = try body()
                words = [child.pid, child.pidfd.take(), 0, 0]
            } catch {
                words[2] = error.errno.rawValue
                words[3] = error.operation == "clone3" ? 1 : 0
            }
            words.withUnsafeBytes { _ = write(writing, $0.baseAddress, $0.count) }
            _exit(0)
        }
        _ = try Spawn.wait(helper.pid)
        var words: [Int32] = [0, -1, 0, 0]
        let size = words.count * MemoryLayout<Int32>.size
        let count = words.withUnsafeMutableBytes { read(answer.reading.raw, $0.baseAddress, size) }
        guard count == size else { throw SystemError(entering, "", .io) }
        guard words[2] == 0 else {
            throw SystemError(words[3] == 1 ? "clone3" : entering, "", Errno(words[2]))
        }
        return ChildProcess(pid: words[0], pidfd: Descriptor(owning: words[1]))
    }

    /// A user namespace that exists for its mapping only, as idmapped mounts want it.
    static func make(uids: [IDMapping], gids: [IDMapping]) throws(RuntimeError) -> Descriptor {
        guard !uids.isEmpty, !gids.isEmpty else {
            throw RuntimeError(.invalidConfig, "an idmapped mount needs uidMappings and gidMappings")
        }
        let child = try during("make a user namespace") { () throws(SystemError) in
            try Clone.process(flags: UInt64(UInt32(bitPattern: LinuxNamespace.Kind.user.flag))) {
                // Dies with its parent, should that be killed before it kills this.
                _ = linux_syscall(Int(SYS_prctl), Int(PR_SET_PDEATHSIG), Int(SIGKILL), 0, 0, 0, 0)
                while true { pause() }
            }
        }
        do throws(RuntimeError) {
            try writeMaps(of: child.pid, uids: uids, gids: gids)
            let pid = child.pid
            let namespace = try during("open the user namespace") { () throws(SystemError) in
                try File.open("/proc/\(pid)/ns/user", O_RDONLY)
            }
            child.abandon()
            return namespace
        } catch {
            child.abandon()
            throw error
        }
    }
}

extension [IDMapping] {
    /// Maps this ID of the host's and no other.
    func isOnly(_ id: UInt32) -> Bool { count == 1 && self[0].hostID == id && self[0].size == 1 }
}
