/// An instruction of extended BPF, laid out as the kernel's `struct bpf_insn`
/// (linux/bpf.h; Documentation/bpf/standardization/instruction-set.rst).
public struct ExtendedBPFInstruction: Equatable, Sendable {
    public var code: UInt8
    /// The destination register in the lower half, the source in the upper.
    public var registers: UInt8
    public var offset: Int16
    public var immediate: Int32

    public init(
        _ code: UInt8, _ destination: UInt8 = 0, _ source: UInt8 = 0, offset: Int16 = 0, immediate: Int32 = 0
    ) {
        self.code = code
        registers = destination | source << 4
        self.offset = offset
        self.immediate = immediate
    }
}

/// bpf(2), as far as programs on control groups need it.
public enum ExtendedBPF {
    /// BPF_PROG_TYPE_CGROUP_DEVICE.
    public static let deviceProgram: UInt32 = 15
    /// BPF_CGROUP_DEVICE.
    public static let deviceAttachment: UInt32 = 6

    private enum Command {
        static let load = 5
        static let attach = 8
        static let detach = 9
        static let descriptorByID = 13
        static let query = 16
    }

    private static let allowMulti: UInt32 = 1 << 1
    private static let replace: UInt32 = 1 << 2

    /// union bpf_attr; what a command does not use is zero.
    private struct Attributes {
        var bytes = [UInt8](repeating: 0, count: 120)

        mutating func set(_ value: UInt32, at offset: Int) {
            bytes.withUnsafeMutableBytes { $0.storeBytes(of: value, toByteOffset: offset, as: UInt32.self) }
        }
        mutating func set(_ value: UInt64, at offset: Int) {
            bytes.withUnsafeMutableBytes { $0.storeBytes(of: value, toByteOffset: offset, as: UInt64.self) }
        }
        func value(at offset: Int) -> UInt32 {
            bytes.withUnsafeBytes { $0.load(fromByteOffset: offset, as: UInt32.self) }
        }

        mutating func call(_ command: Int) -> Int {
            bytes.withUnsafeMutableBytes {
                linux_syscall(Int(SYS_bpf), command, Int(bitPattern: $0.baseAddress), $0.count, 0, 0, 0)
            }
        }
    }

    /// BPF_PROG_LOAD.
    public static func load(_ program: [ExtendedBPFInstruction], type: UInt32) throws(SystemError)
        -> Descriptor
    {
        let license: StaticString = "Apache-2.0"
        var attributes = Attributes()
        attributes.set(type, at: 0)
        attributes.set(UInt32(program.count), at: 4)
        attributes.set(UInt64(UInt(bitPattern: license.utf8Start)), at: 16)
        return Descriptor(
            owning: Int32(
                try checked("load a BPF program") {
                    program.withUnsafeBytes { instructions in
                        attributes.set(UInt64(UInt(bitPattern: instructions.baseAddress)), at: 8)
                        return attributes.call(Command.load)
                    }
                }))
    }

    /// BPF_PROG_ATTACH, beside other programs. One that is given is replaced at
    /// the same instant.
    /// - Parameter group: a cgroup v2 directory.
    public static func attach(
        _ program: Int32, to group: Int32, type: UInt32, replacing old: Int32? = nil
    ) throws(SystemError) {
        var attributes = Attributes()
        attributes.set(UInt32(group), at: 0)
        attributes.set(UInt32(program), at: 4)
        attributes.set(type, at: 8)
        attributes.set(allowMulti | (old == nil ? 0 : replace), at: 12)
        if let old { attributes.set(UInt32(old), at: 16) }
        _ = try checked("attach a BPF program to a cgroup") { attributes.call(Command.attach) }
    }

    public static func detach(_ program: Int32, from group: Int32, type: UInt32) throws(SystemError) {
        var attributes = Attributes()
        attributes.set(UInt32(group), at: 0)
        attributes.set(UInt32(program), at: 4)
        attributes.set(type, at: 8)
        _ = try checked("detach a BPF program from a cgroup") { attributes.call(Command.detach) }
    }

    /// The identifiers of the programs attached to a group itself (BPF_PROG_QUERY).
    public static func attached(to group: Int32, type: UInt32) throws(SystemError) -> [UInt32] {
        // The kernel allows 64 programs (BPF_CGROUP_MAX_PROGS).
        var identifiers = [UInt32](repeating: 0, count: 64)
        var attributes = Attributes()
        attributes.set(UInt32(group), at: 0)
        attributes.set(type, at: 4)
        attributes.set(UInt32(identifiers.count), at: 24)
        _ = try checked("list the BPF programs of a cgroup") {
            identifiers.withUnsafeMutableBytes {
                attributes.set(UInt64(UInt(bitPattern: $0.baseAddress)), at: 16)
                return attributes.call(Command.query)
            }
        }
        return Array(identifiers.prefix(Int(attributes.value(at: 24))))
    }

    public static func program(_ identifier: UInt32) throws(SystemError) -> Descriptor {
        var attributes = Attributes()
        attributes.set(identifier, at: 0)
        return Descriptor(
            owning: Int32(
                try checked("open BPF program \(identifier)") { attributes.call(Command.descriptorByID) }))
    }
}
