public import OCISpec

/// A seccomp profile as a program for the kernel (seccomp(2)).
///
/// What a rule means where the specification leaves it open is what runc does
/// with libseccomp: a rule with the default action is void; a rule without
/// conditions beats those with; conditions on one argument twice are
/// alternatives; unknown names are skipped; and where the default action denies,
/// a call newer than any that the profile names fails with ENOSYS, so that
/// programs fall back to older calls. Of several rules whose conditions hold,
/// the first decides.
public struct SeccompFilter: Sendable {
    public let program: [BPFInstruction]
    /// SECCOMP_FILTER_FLAG_… bits.
    public let flags: UInt32
    /// Whether the flags are our choice, so that a kernel may refuse them.
    let flagsAreOptional: Bool
    /// Whether installing yields a listener.
    public let notifies: Bool

    public static func compile(_ profile: Seccomp) throws(SeccompError) -> SeccompFilter {
        try compile(profile, for: .current)
    }

    static func compile(_ profile: Seccomp, for machine: SyscallMachine) throws(SeccompError) -> SeccompFilter
    {
        let rules = try SeccompRules(profile, for: machine)
        if rules.notifies, profile.listenerPath == nil { throw .notifyWithoutListener }
        var generator = SeccompGenerator(rules)
        let program = try generator.generate(try enabledABIs(profile, machine))
        return SeccompFilter(
            program: program, flags: try flags(profile, notifies: rules.notifies),
            flagsAreOptional: profile.flags == nil, notifies: rules.notifies)
    }

    /// The ABIs that the profile speaks of. The native one always counts, as with
    /// libseccomp: Docker leaves it out on some processors.
    static func enabledABIs(_ profile: Seccomp, _ machine: SyscallMachine) throws(SeccompError)
        -> [SyscallABI]
    {
        var enabled: [SyscallABI] = [machine.native]
        for name in profile.architectures {
            switch SyscallABI.named(name) {
            case .known(let abi): if !enabled.contains(abi) { enabled.append(abi) }
            case .native, .foreign: break
            case .unknown: throw .unknownArchitecture(name)
            }
        }
        return machine.abis.filter(enabled.contains)
    }

    private static func flags(_ profile: Seccomp, notifies: Bool) throws(SeccompError) -> UInt32 {
        var flags: UInt32 = notifies ? Flag.newListener : 0
        // Without word from the profile, do as runc and crun: a filter is no
        // reason to slow the process down by disabling speculative store bypass.
        guard let names = profile.flags else { return flags | Flag.speculationAllowed }
        for name in names {
            switch name {
            // All threads of a process that has one.
            case "SECCOMP_FILTER_FLAG_TSYNC": break
            case "SECCOMP_FILTER_FLAG_LOG": flags |= Flag.log
            case "SECCOMP_FILTER_FLAG_SPEC_ALLOW": flags |= Flag.speculationAllowed
            case "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV":
                // The kernel knows it only together with a listener.
                if notifies { flags |= Flag.waitKillable }
            default: throw .unknownFlag(name)
            }
        }
        return flags
    }

    enum Flag {
        static let log: UInt32 = 1 << 1
        static let speculationAllowed: UInt32 = 1 << 2
        static let newListener: UInt32 = 1 << 3
        static let waitKillable: UInt32 = 1 << 5
    }
}
