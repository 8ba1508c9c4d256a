import LinuxSystem
public import OCISpec

/// A container's user namespace, and a network namespace that belongs to it,
/// so that the container's root may do there what root may.
struct UserNamespaces {
    let user: SharedDescriptor
    /// Empty, and not set up.
    let network: SharedDescriptor

    /// A process that is born in the namespaces holds them until they are open.
    static func make(users: [IDMapping], groups: [IDMapping]) throws(EngineError) -> UserNamespaces {
        try engineErrors("make the user namespace") {
            let go = try FD.pipe()
            let ready = try FD.pipe()
            let (waiting, telling) = (go.reading.raw, ready.writing.raw)
            let child = try Clone.process(flags: UInt64(CLONE_NEWUSER)) {
                // Dies with its parent, should that be killed before it kills this.
                _ = linux_syscall(Int(SYS_prctl), Int(PR_SET_PDEATHSIG), Int(SIGKILL), 0, 0, 0, 0)
                var byte: UInt8 = 0
                _ = read(waiting, &byte, 1)
                let result = linux_syscall(Int(SYS_unshare), Int(CLONE_NEWNET), 0, 0, 0, 0, 0)
                byte = UInt8(truncatingIfNeeded: -result)
                _ = write(telling, &byte, 1)
                while true { pause() }
            }
            let process = "/proc/\(child.pid)"
            do {
                try File.write(text(users), to: process + "/uid_map")
                try File.write(text(groups), to: process + "/gid_map")
                var byte: UInt8 = 1
                _ = try retrying("write") { write(go.writing.raw, &byte, 1) }
                _ = try retrying("read") { read(ready.reading.raw, &byte, 1) }
                if byte != 0 { throw SystemError("create network namespace", "", Errno(Int32(byte))) }
                let namespaces = UserNamespaces(
                    user: SharedDescriptor(try File.open(process + "/ns/user")),
                    network: SharedDescriptor(try File.open(process + "/ns/net")))
                child.abandon()
                return namespaces
            } catch {
                child.abandon()
                throw error
            }
        }
    }

    private static func text(_ mappings: [IDMapping]) -> String {
        mappings.map { "\($0.containerID) \($0.hostID) \($0.size)\n" }.joined()
    }
}

extension IDMapping {
    /// Reads `CONTAINER:HOST[:SIZE]`, as `--uidmap` has it.
    public init(parsing text: String, flag: String) throws(EngineError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { UInt32($0) }
        guard (2...3).contains(parts.count), let container = parts[0], let host = parts[1],
            let size = parts.count == 3 ? parts[2] : 1, size > 0,
            !container.addingReportingOverflow(size).overflow, !host.addingReportingOverflow(size).overflow
        else { throw EngineError(.invalid, "invalid --\(flag) \"\(text)\": use CONTAINER:HOST[:SIZE]") }
        self.init(containerID: container, hostID: host, size: size)
    }
}
