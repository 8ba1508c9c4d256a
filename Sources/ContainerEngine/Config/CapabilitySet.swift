import LinuxSystem

/// Docker's default capabilities and the arithmetic of `--cap-add`, `--cap-drop`
/// and `--privileged` (capabilities(7)).
public enum CapabilitySet {
    public static let standard = [
        "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
        "CAP_MKNOD", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP",
        "CAP_SETUID", "CAP_SYS_CHROOT",
    ]

    public static let all = [
        "CAP_AUDIT_CONTROL", "CAP_AUDIT_READ", "CAP_AUDIT_WRITE", "CAP_BLOCK_SUSPEND", "CAP_BPF",
        "CAP_CHECKPOINT_RESTORE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER",
        "CAP_FSETID", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_KILL", "CAP_LEASE", "CAP_LINUX_IMMUTABLE",
        "CAP_MAC_ADMIN", "CAP_MAC_OVERRIDE", "CAP_MKNOD", "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE",
        "CAP_NET_BROADCAST", "CAP_NET_RAW", "CAP_PERFMON", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP",
        "CAP_SETUID", "CAP_SYSLOG", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_CHROOT", "CAP_SYS_MODULE",
        "CAP_SYS_NICE", "CAP_SYS_PACCT", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO", "CAP_SYS_RESOURCE",
        "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_WAKE_ALARM",
    ]

    private static func normalized(_ name: String, flag: String) throws(EngineError) -> String {
        var upper = name.uppercased()
        if upper == "ALL" { return upper }
        if !upper.hasPrefix("CAP_") { upper = "CAP_" + upper }
        guard all.contains(upper) else {
            throw EngineError(.invalid, "invalid capability \"\(name)\" for --\(flag): see capabilities(7)")
        }
        return upper
    }

    /// What a container gets, sorted by name.
    public static func effective(
        add: [String], drop: [String], privileged: Bool
    ) throws(EngineError) -> [String] {
        let added = try add.mapTyped { name throws(EngineError) in try normalized(name, flag: "cap-add") }
        let dropped = try drop.mapTyped { name throws(EngineError) in try normalized(name, flag: "cap-drop") }
        if privileged { return available(all) }
        if let both = added.first(where: { $0 != "ALL" && dropped.contains($0) }) {
            throw EngineError(.invalid, "capability \"\(both)\" cannot be dropped and added")
        }
        var result = Set(standard)
        if added.contains("ALL") { result = Set(available(all)) }
        if dropped.contains("ALL") { result = added.contains("ALL") ? result : [] }
        result.formUnion(added.filter { $0 != "ALL" })
        result.subtract(dropped)
        return result.sorted()
    }

    /// Without those that this process itself lacks in its bounding set: "all"
    /// means all that there are to give.
    private static func available(_ names: [String]) -> [String] {
        guard
            let status = try? File.readText("/proc/self/status"),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("CapBnd:") }),
            let mask = UInt64(line.dropFirst(7).drop { $0 == "\t" || $0 == " " }, radix: 16)
        else { return names }
        return names.filter { name in number(name).map { mask & (1 << $0) != 0 } ?? false }
    }

    private static func number(_ name: String) -> UInt64? {
        // linux/capability.h
        let order = [
            "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
            "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",
            "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
            "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD",
            "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
            "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
        ]
        return order.firstIndex(of: String(name.dropFirst(4))).map { UInt64($0) }
    }
}

extension Array {
    /// `map` with a typed error.
    func mapTyped<Value, Failure: Error>(
        _ transform: (Element) throws(Failure) -> Value
    ) throws(Failure) -> [Value] {
        var result: [Value] = []
        result.reserveCapacity(count)
        for element in self { result.append(try transform(element)) }
        return result
    }
}
