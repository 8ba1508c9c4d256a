public import LinuxSystem

/// Why a seccomp profile cannot be used.
public enum SeccompError: Error, Equatable, CustomStringConvertible {
    case unknownArchitecture(String)
    case unknownFlag(String)
    /// errnoRet was given for an action that carries no number, or is above 65535.
    case badErrno(UInt32, action: String)
    case argumentIndex(UInt32, syscall: String)
    case notifyAsDefault
    /// The process that hands the listener over needs this call itself.
    case notifyOn(String)
    case notifyWithoutListener
    /// The kernel takes 4,096 instructions (linux/bpf_common.h).
    case tooLarge(instructions: Int)
    case system(SystemError)

    public var description: String {
        switch self {
        case .unknownArchitecture(let name): "seccomp: unknown architecture \"\(name)\""
        case .unknownFlag(let name): "seccomp: unknown flag \"\(name)\""
        case .badErrno(let value, let action): "seccomp: errnoRet \(value) is not possible with \(action)"
        case .argumentIndex(let index, let syscall):
            "seccomp: \(syscall) has a condition on argument \(index), but arguments are 0 to 5"
        case .notifyAsDefault: "seccomp: SCMP_ACT_NOTIFY cannot be the default action"
        case .notifyOn(let name): "seccomp: SCMP_ACT_NOTIFY cannot be used for the \(name) syscall"
        case .notifyWithoutListener: "seccomp: SCMP_ACT_NOTIFY is used, but listenerPath is not set"
        case .tooLarge(let count):
            "seccomp: the profile needs \(count) instructions, more than the kernel's 4096"
        case .system(let error): "seccomp: \(error)"
        }
    }
}
