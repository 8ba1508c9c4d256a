import LinuxSystem
import OCISpec

/// The processors that the calling process may run on (sched_setaffinity(2)).
enum CPUAffinity {
    /// All that its cpuset allows, now and later: whoever called the runtime may have
    /// restricted that to fewer. Failing changes nothing for the worse.
    static func reset() {
        // The kernel takes what a mask is too short for as forbidden, and ignores what is too long.
        withUnsafeTemporaryAllocation(byteCount: NumberSet.limit / 8, alignment: 8) {
            $0.initializeMemory(as: UInt8.self, repeating: .max)
            _ = set(UnsafeRawBufferPointer($0))
        }
    }

    static func set(_ processors: NumberSet) throws(SystemError) {
        let result = processors.words.withUnsafeBytes { set($0) }
        if result < 0 {
            throw SystemError("sched_setaffinity", processors.hexadecimal, Errno(Int32(-result)))
        }
    }

    private static func set(_ mask: UnsafeRawBufferPointer) -> Int {
        linux_syscall(Int(SYS_sched_setaffinity), 0, mask.count, Int(bitPattern: mask.baseAddress), 0, 0, 0)
    }

    static var current: NumberSet {
        get throws(SystemError) {
            var words = [UInt64](repeating: 0, count: NumberSet.limit / 64)
            _ = try checked("sched_getaffinity") {
                words.withUnsafeMutableBytes {
                    linux_syscall(
                        Int(SYS_sched_getaffinity), 0, $0.count, Int(bitPattern: $0.baseAddress), 0, 0, 0)
                }
            }
            return .kernel(words)
        }
    }

    /// A process that is made in the body starts with these processors.
    static func during<Value: ~Copyable>(
        _ processors: NumberSet?, _ body: () throws(RuntimeError) -> Value
    ) throws(RuntimeError) -> Value {
        guard let processors else { return try body() }
        let own = try ContainerRuntime.during("error setting initial CPU affinity") {
            () throws(SystemError) in
            let own = try current
            try set(processors)
            return own
        }
        do throws(RuntimeError) {
            let value = try body()
            try? set(own)
            return value
        } catch {
            try? set(own)
            throw error
        }
    }
}

extension CPUAffinity {
    /// Of a process that is added to a container (`process.execCPUAffinity`).
    struct Plan {
        /// Until it is in the container's cgroup.
        var initial: NumberSet?
        /// From there on.
        var final: NumberSet?

        init(_ spec: ExecCPUAffinity?) throws(RuntimeError) {
            initial = try Self.set(spec?.initial, "initial")
            final = try Self.set(spec?.final, "final")
        }

        private static func set(_ list: String?, _ name: String) throws(RuntimeError) -> NumberSet? {
            guard let list, !list.isEmpty else { return nil }
            guard let set = NumberSet(list: list) else {
                throw RuntimeError(.invalidConfig, "bad CPU affinity (\(name)): \"\(list)\"")
            }
            return set
        }

        /// In the process, which has joined its cgroup.
        func finish() throws(RuntimeError) {
            if let final {
                try ContainerRuntime.during("error setting final CPU affinity") { () throws(SystemError) in
                    try CPUAffinity.set(final)
                }
            } else if initial == nil {
                CPUAffinity.reset()
            }
        }
    }
}
