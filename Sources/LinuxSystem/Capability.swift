/// A capability of a process (capabilities(7)).
public struct Capability: Hashable, Sendable, CustomStringConvertible {
    public let number: Int32
    public init(number: Int32) { self.number = number }

    /// In the order of their numbers.
    private static let names: [StaticString] = [
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
        "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",
        "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
        "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD",
        "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
        "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
    ]

    /// Those with a name.
    public static var allKnown: [Capability] {
        (0..<Int32(names.count)).map { Capability(number: $0) }
    }

    /// `CAP_NET_ADMIN`, in upper case as in the OCI documents.
    public init?(name: String) {
        guard name.utf8.starts(with: "CAP_".utf8) else { return nil }
        let rest = name.utf8.dropFirst(4)
        let found = Self.names.firstIndex { known in
            known.utf8CodeUnitCount == rest.count
                && known.withUTF8Buffer { $0.elementsEqual(rest) }
        }
        guard let found else { return nil }
        number = Int32(found)
    }

    public var description: String {
        number < Self.names.count ? "CAP_\(Self.names[Int(number)])" : "CAP_\(number)"
    }
}

/// A set of capabilities, as the kernel's bit mask.
public struct CapabilitySet: Equatable, Sendable {
    public var bits: UInt64
    public init(bits: UInt64 = 0) { self.bits = bits }

    /// Those with a name.
    public static var all: CapabilitySet {
        CapabilitySet(bits: Capability.allKnown.reduce(0) { $0 | 1 << UInt64($1.number) })
    }

    public func contains(_ capability: Capability) -> Bool { bits & 1 << UInt64(capability.number) != 0 }
    public mutating func insert(_ capability: Capability) { bits |= 1 << UInt64(capability.number) }
    public func subtracting(_ other: CapabilitySet) -> CapabilitySet {
        var set = self
        set.bits &= ~other.bits
        return set
    }
    public func intersection(_ other: CapabilitySet) -> CapabilitySet {
        CapabilitySet(bits: bits & other.bits)
    }

    /// The calling thread's permitted set (capget(2)).
    public static func permitted() throws(SystemError) -> CapabilitySet {
        var header: (version: UInt32, pid: Int32) = (0x2008_0522, 0)
        var data: (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0, 0, 0)
        _ = try checked("capget") {
            withUnsafeMutablePointer(to: &header) { header in
                withUnsafeMutablePointer(to: &data) { data in
                    linux_syscall(
                        Int(SYS_capget), Int(bitPattern: header), Int(bitPattern: data), 0, 0, 0, 0)
                }
            }
        }
        return CapabilitySet(bits: UInt64(data.1) | UInt64(data.4) << 32)
    }

    /// Sets the calling thread's three sets (capset(2)).
    public static func replace(
        effective: CapabilitySet, permitted: CapabilitySet, inheritable: CapabilitySet
    ) throws(SystemError) {
        var header: (version: UInt32, pid: Int32) = (0x2008_0522, 0)
        func low(_ set: CapabilitySet) -> UInt32 { UInt32(truncatingIfNeeded: set.bits) }
        func high(_ set: CapabilitySet) -> UInt32 { UInt32(truncatingIfNeeded: set.bits >> 32) }
        var data: (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32) = (
            low(effective), low(permitted), low(inheritable),
            high(effective), high(permitted), high(inheritable)
        )
        _ = try checked("capset") {
            withUnsafeMutablePointer(to: &header) { header in
                withUnsafeMutablePointer(to: &data) { data in
                    linux_syscall(
                        Int(SYS_capset), Int(bitPattern: header), Int(bitPattern: data), 0, 0, 0, 0)
                }
            }
        }
    }

    /// How many capabilities the kernel has, named here or not.
    public static var countInKernel: Int32 {
        var count = Int32(Capability.allKnown.count)
        while count < 64, linux_syscall(Int(SYS_prctl), Int(PR_CAPBSET_READ), Int(count), 0, 0, 0, 0) >= 0 {
            count += 1
        }
        return count
    }
}
