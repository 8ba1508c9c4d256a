import CommandGrammar
import JSONText
import LinuxSystem
import OCISpec

enum FeaturesCommand {
    static let command = Command(
        "features", usage: "", summary: "show the enabled features", arguments: .none, run: run)

    static func run(_ values: Values) throws -> Int32 {
        Output.print(features.text(indent: "    "))
        return 0
    }

    /// The Features Structure of the specification (features.md).
    private static var features: JSON {
        [
            "ociVersionMin": "1.0.0",
            "ociVersionMax": .string(RuntimeProgram.specVersion),
            "hooks": [
                "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
            ],
            "mountOptions": .array(mountOptions.sorted().map { .string($0) }),
            "linux": [
                "namespaces": .array(
                    LinuxNamespace.Kind.allCases.map(\.rawValue).sorted().map { .string($0) }),
                "capabilities": .array(Capability.allKnown.map { .string($0.description) }),
                "cgroup": ["v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true],
                "seccomp": [
                    "enabled": true,
                    "actions": [
                        "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
                        "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE",
                        "SCMP_ACT_TRAP",
                    ],
                    "archs": .array(architectures.map { .string($0) }),
                    "knownFlags": filterFlags,
                    "supportedFlags": filterFlags,
                    "operators": [
                        "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
                        "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
                    ],
                ],
                "apparmor": ["enabled": true],
                "selinux": ["enabled": true],
                "intelRdt": ["enabled": true, "schemata": true, "monitoring": true],
                "mountExtensions": ["idmap": ["enabled": true]],
                "netDevices": ["enabled": true],
                "memoryPolicy": [
                    "modes": [
                        "MPOL_BIND", "MPOL_DEFAULT", "MPOL_INTERLEAVE", "MPOL_LOCAL", "MPOL_PREFERRED",
                        "MPOL_PREFERRED_MANY", "MPOL_WEIGHTED_INTERLEAVE",
                    ],
                    "flags": ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"],
                ],
            ],
        ]
    }

    /// Those of machines that we do not run on are known too: no call ever comes by them.
    private static let architectures = [
        "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64",
        "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32",
        "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_RISCV64", "SCMP_ARCH_S390",
        "SCMP_ARCH_S390X", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64",
    ]

    private static let filterFlags: JSON = [
        "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    ]

    private static let mountOptions: [String] = {
        let attributes = [
            "atime", "dev", "diratime", "exec", "noatime", "nodev", "nodiratime", "noexec", "nosuid",
            "nosymfollow", "relatime", "ro", "rw", "strictatime", "suid", "symfollow",
        ]
        let propagation = ["private", "shared", "slave", "unbindable"]
        return attributes + attributes.map { "r" + $0 } + propagation + propagation.map { "r" + $0 } + [
            "async", "bind", "defaults", "dirsync", "idmap", "lazytime", "loud", "mand", "nolazytime",
            "nomand", "iversion", "noiversion", "norelatime", "nostrictatime", "rbind", "remount", "ridmap",
            "rnorelatime", "rnostrictatime", "silent", "sync", "tmpcopyup",
        ]
    }()
}
