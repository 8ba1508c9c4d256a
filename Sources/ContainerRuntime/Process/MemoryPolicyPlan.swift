import LinuxSystem
import OCISpec

/// `linux.memoryPolicy`, in set_mempolicy(2)'s terms. Programs that the process executes keep it.
struct MemoryPolicyPlan {
    private var mode: Int
    private var nodes: NumberSet?

    // linux/mempolicy.h
    private static let modes = [
        "MPOL_DEFAULT", "MPOL_PREFERRED", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_LOCAL",
        "MPOL_PREFERRED_MANY", "MPOL_WEIGHTED_INTERLEAVE",
    ]
    private static let flags = [
        "MPOL_F_NUMA_BALANCING": 1 << 13, "MPOL_F_RELATIVE_NODES": 1 << 14, "MPOL_F_STATIC_NODES": 1 << 15,
    ]

    init(_ policy: MemoryPolicy) throws(RuntimeError) {
        guard let mode = Self.modes.firstIndex(of: policy.mode) else {
            throw RuntimeError(.invalidConfig, "invalid memory policy mode \"\(policy.mode)\"")
        }
        self.mode = mode
        for name in policy.flags {
            guard let flag = Self.flags[name] else {
                throw RuntimeError(.invalidConfig, "invalid memory policy flag \"\(name)\"")
            }
            self.mode |= flag
        }
        guard !policy.nodes.isEmpty else { return }
        guard let nodes = NumberSet(list: policy.nodes) else {
            throw RuntimeError(.invalidConfig, "invalid memory policy node in \"\(policy.nodes)\"")
        }
        if policy.mode == "MPOL_DEFAULT" || policy.mode == "MPOL_LOCAL" {
            throw RuntimeError(
                .invalidConfig,
                "memory policy \(policy.mode): mode requires 0 nodes but got \(nodes.count)")
        }
        self.nodes = nodes
    }

    func set() throws(RuntimeError) {
        try during("set memory policy") { () throws(SystemError) in
            let words = nodes?.words ?? []
            _ = try checked("set_mempolicy") {
                words.withUnsafeBytes {
                    // The kernel takes one bit off the count.
                    linux_syscall(
                        Int(SYS_set_mempolicy), mode, Int(bitPattern: words.isEmpty ? nil : $0.baseAddress),
                        words.isEmpty ? 0 : $0.count * 8 + 1, 0, 0, 0)
                }
            }
        }
    }
}
