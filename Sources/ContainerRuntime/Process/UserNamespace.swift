import LinuxSystem
import OCISpec

/// User namespaces and their mappings (user_namespaces(7)).
enum UserNamespace {
    static func writeMaps(of pid: pid_t, uids: [IDMapping], gids: [IDMapping]) throws(RuntimeError) {
        try during("map the IDs of the user namespace") { () throws(SystemError) in
            if geteuid() != 0 {
                // Who may map only itself must give up setgroups(2) first.
                try File.write("deny", to: "/proc/\(pid)/setgroups")
            }
            try File.write(text(gids), to: "/proc/\(pid)/gid_map")
            try File.write(text(uids), to: "/proc/\(pid)/uid_map")
        }
    }

    private static func text(_ mappings: [IDMapping]) -> String {
        mappings.map { "\($0.containerID) \($0.hostID) \($0.size)\n" }.joined()
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
