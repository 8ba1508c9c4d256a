/// A convention by which programs call the kernel. The raw value is the ABI's
/// column in `SyscallTable`.
enum SyscallABI: Int, CaseIterable {
    case x86_64, x32, i386, arm64, arm

    /// What `seccomp_data.arch` says (linux/audit.h). x32 shares its value with
    /// x86_64 and is told apart by bit 30 of the number.
    var auditArchitecture: UInt32 {
        switch self {
        case .x86_64, .x32: 0xC000_003E
        case .i386: 0x4000_0003
        case .arm64: 0xC000_00B7
        case .arm: 0x4000_0028
        }
    }

    /// The first number of the ABI.
    var base: UInt32 { self == .x32 ? 0x4000_0000 : 0 }

    /// Whether arguments have 32 bits, so that their upper halves are always zero.
    /// x32 passes whole registers.
    var isNarrow: Bool { self == .i386 || self == .arm }

    static func named(_ name: String) -> ABIName {
        switch name {
        case "SCMP_ARCH_NATIVE": .native
        case "SCMP_ARCH_X86_64": .known(.x86_64)
        case "SCMP_ARCH_X32": .known(.x32)
        case "SCMP_ARCH_X86": .known(.i386)
        case "SCMP_ARCH_AARCH64": .known(.arm64)
        case "SCMP_ARCH_ARM": .known(.arm)
        case "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL",
            "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64",
            "SCMP_ARCH_PPC64LE", "SCMP_ARCH_S390", "SCMP_ARCH_S390X", "SCMP_ARCH_PARISC",
            "SCMP_ARCH_PARISC64", "SCMP_ARCH_RISCV64", "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K",
            "SCMP_ARCH_SH", "SCMP_ARCH_SHEB":
            .foreign
        default: .unknown
        }
    }

    enum ABIName: Equatable {
        case native
        case known(SyscallABI)
        /// Of a machine that we do not run on: no call can ever come by it.
        case foreign
        case unknown
    }
}

/// A kind of processor and the ABIs that its kernel may serve.
enum SyscallMachine {
    case x86_64, arm64

    static var current: SyscallMachine {
        #if arch(arm64)
            .arm64
        #else
            .x86_64
        #endif
    }

    /// The native one first. Those that share an audit architecture are neighbours.
    var abis: [SyscallABI] {
        switch self {
        case .x86_64: [.x86_64, .x32, .i386]
        case .arm64: [.arm64, .arm]
        }
    }

    /// x86_64 or arm64, as Docker's profile names processors.
    var native: SyscallABI { self == .x86_64 ? .x86_64 : .arm64 }
}
