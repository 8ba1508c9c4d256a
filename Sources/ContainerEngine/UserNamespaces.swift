import ContainerStorage
import LinuxSystem
public import OCISpec

/// A container's user namespace, and a network namespace that belongs to it,
/// so that the container's root may do there what root may.
struct UserNamespaces {
    let user: SharedDescriptor
    /// Empty, and not set up.
    let network: SharedDescriptor

    static func make(users: [IDMapping], groups: [IDMapping]) throws(EngineError) -> UserNamespaces {
        try engineErrors("make the user namespace") {
            try withProcess(of: nil) { process in
                try File.write(text(users), to: process + "/uid_map")
                try File.write(text(groups), to: process + "/gid_map")
            } then: { process in
                UserNamespaces(
                    user: SharedDescriptor(try File.open(process + "/ns/user")),
                    network: SharedDescriptor(try File.open(process + "/ns/net")))
            }
        }
    }

    /// A user namespace that is there, by its file.
    static func join(_ path: String) throws(EngineError) -> UserNamespaces {
        try engineErrors("join the user namespace \(path)") {
            let user = SharedDescriptor(try File.open(path))
            return try withProcess(of: user.raw) { _ in
            } then: { process in
                UserNamespaces(
                    user: user, network: SharedDescriptor(try File.open(process + "/ns/net")))
            }
        }
    }

    /// How a user namespace that is there maps IDs, seen from here.
    static func mappings(
        ofPath path: String
    ) throws(EngineError) -> (users: [IDMapping], groups: [IDMapping]) {
        let (users, groups) = try engineErrors("user namespace \(path)") {
            let user = try File.open(path)
            return try withProcess(of: user.raw) { _ in
            } then: { process in
                (try mappings(process + "/uid_map"), try mappings(process + "/gid_map"))
            }
        }
        guard users.host(0) != nil, groups.host(0) != nil else {
            throw EngineError(
                .invalid, "user namespace \(path): it has no user and group 0, which the container needs")
        }
        return (users, groups)
    }

    private static func mappings(_ path: String) throws(SystemError) -> [IDMapping] {
        try File.readText(path).split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ").compactMap { UInt32($0) }
            return fields.count == 3
                ? IDMapping(containerID: fields[0], hostID: fields[1], size: fields[2]) : nil
        }
    }

    /// Calls with a process of a user namespace, and of a network namespace
    /// that belongs to it. It holds both as long.
    /// - Parameters:
    ///   - namespace: open on the one to join; nil for a new one.
    ///   - prepare: called before the process makes its network namespace.
    private static func withProcess<Value>(
        of namespace: Int32?, prepare: (String) throws -> Void, then body: (String) throws -> Value
    ) throws -> Value {
        let go = try FD.pipe()
        let ready = try FD.pipe()
        let (waiting, telling) = (go.reading.raw, ready.writing.raw)
        let joined = namespace ?? -1
        let child = try Clone.process(flags: joined < 0 ? UInt64(CLONE_NEWUSER) : 0) {
            hide()
            var byte: UInt8 = 0
            _ = read(waiting, &byte, 1)
            var result = 0
            if joined >= 0 {
                result = linux_syscall(Int(SYS_setns), Int(joined), Int(CLONE_NEWUSER), 0, 0, 0, 0)
                // The change of credentials took it back (prctl(2)).
                hide()
            }
            if result == 0 {
                result = linux_syscall(Int(SYS_unshare), Int(CLONE_NEWNET), 0, 0, 0, 0, 0)
            }
            byte = UInt8(truncatingIfNeeded: -result)
            _ = write(telling, &byte, 1)
            while true { pause() }
        }
        let process = "/proc/\(child.pid)"
        do {
            try prepare(process)
            var byte: UInt8 = 1
            _ = try retrying("write") { write(go.writing.raw, &byte, 1) }
            _ = try retrying("read") { read(ready.reading.raw, &byte, 1) }
            if byte != 0 {
                throw SystemError(
                    "enter the user namespace and make a network namespace", "", Errno(Int32(byte)))
            }
            let value = try body(process)
            child.abandon()
            return value
        } catch {
            child.abandon()
            throw error
        }
    }

    private static func hide() {
        // Dies with its parent, should that be killed before it kills this.
        _ = linux_syscall(Int(SYS_prctl), Int(PR_SET_PDEATHSIG), Int(SIGKILL), 0, 0, 0, 0)
        // What is open here is not for those who have rights in that namespace.
        _ = linux_syscall(Int(SYS_prctl), Int(PR_SET_DUMPABLE), 0, 0, 0, 0, 0)
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
