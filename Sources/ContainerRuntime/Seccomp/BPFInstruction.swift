/// An instruction of classic BPF, laid out as the kernel's `struct sock_filter`
/// (linux/filter.h).
public struct BPFInstruction: Equatable, Sendable {
    public var code: UInt16
    /// Instructions to skip when a jump's condition holds, and when it doesn't.
    public var jt: UInt8
    public var jf: UInt8
    public var k: UInt32

    public init(_ code: UInt16, jt: UInt8 = 0, jf: UInt8 = 0, k: UInt32) {
        self.code = code
        self.jt = jt
        self.jf = jf
        self.k = k
    }
}

/// The operations of classic BPF that seccomp filters use (linux/bpf_common.h).
public enum BPFCode {
    /// Loads the word at offset k of `seccomp_data`.
    public static let load: UInt16 = 0x20
    public static let and: UInt16 = 0x54
    public static let jump: UInt16 = 0x05
    public static let jumpEqual: UInt16 = 0x15
    public static let jumpGreater: UInt16 = 0x25
    public static let jumpGreaterOrEqual: UInt16 = 0x35
    public static let `return`: UInt16 = 0x06
}

/// What a filter may answer (linux/seccomp.h).
enum SeccompReturn {
    static let killProcess: UInt32 = 0x8000_0000
    static let killThread: UInt32 = 0
    static let trap: UInt32 = 0x0003_0000
    static let errno: UInt32 = 0x0005_0000
    static let notify: UInt32 = 0x7FC0_0000
    static let trace: UInt32 = 0x7FF0_0000
    static let log: UInt32 = 0x7FFC_0000
    static let allow: UInt32 = 0x7FFF_0000
}
