import LinuxSystem

/// What the kernel holds: what a container that has gone must not leave there.
enum Kernel {
    struct Census {
        var links: Set<String>
        var cgroups: Set<String>
        var namespaces: Set<String>

        func newer(than before: Census) -> [String] {
            links.subtracting(before.links).map { "network device \($0)" }
                + cgroups.subtracting(before.cgroups).map { "cgroup \($0)" }
        }
    }

    static func census() -> Census {
        let links = (try? File.names(in: "/sys/class/net")) ?? []
        // The bridge stays: it belongs to the host, not to a container.
        return Census(
            links: Set(
                links.filter {
                    $0.hasPrefix("veth")
                        || $0.hasPrefix("apus") && access("/sys/class/net/\($0)/bridge", F_OK) != 0
                }),
            cgroups: cgroups(), namespaces: [])
    }

    /// The groups of containers in every hierarchy; that of all monitors stays.
    private static func cgroups() -> Set<String> {
        var found: Set<String> = []
        // cgroup v2 alone has its groups right there.
        for hierarchy in ((try? File.names(in: "/sys/fs/cgroup")) ?? []) + ["."] {
            for parent in ["apus", "machine.slice", "libpod_parent", "system.slice"] {
                for name in (try? File.names(in: "/sys/fs/cgroup/\(hierarchy)/\(parent)")) ?? []
                where name != "monitor" && name != "conmon"
                    && (parent != "system.slice" || name.hasPrefix("apus-") && name.hasSuffix(".scope"))
                    && access("/sys/fs/cgroup/\(hierarchy)/\(parent)/\(name)/cgroup.procs", F_OK) == 0
                {
                    found.insert("\(hierarchy)/\(parent)/\(name)")
                }
            }
        }
        return found
    }

    static func mounts() -> [String] {
        ((try? File.readText("/proc/self/mountinfo")) ?? "").split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            return fields.count > 4 ? String(fields[4]) : nil
        }
    }

    /// `PID command line` of the processes whose command line has a text.
    static func processes(mentioning text: String) -> [String] {
        var found: [String] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        for name in (try? File.names(in: "/proc")) ?? [] {
            guard let pid = pid_t(name), pid != getpid() else { continue }
            let fd = open("/proc/\(name)/cmdline", O_RDONLY | O_CLOEXEC)
            guard fd >= 0 else { continue }
            let count = read(fd, &buffer, buffer.count)
            close(fd)
            guard count > 0 else { continue }
            let line = String(decoding: buffer[..<count].map { $0 == 0 ? 0x20 : $0 }, as: UTF8.self)
            if line.contains(text) { found.append("\(name) \(line)") }
        }
        return found
    }

    static func exists(_ pid: pid_t) -> Bool { kill(pid, 0) == 0 || Errno.current != .noProcess }

    /// A field of /proc/PID/status.
    static func status(_ pid: pid_t, _ field: String) -> String? {
        ((try? File.readText("/proc/\(pid)/status")) ?? "").split(separator: "\n")
            .first { $0.hasPrefix(field + ":") }
            .map { $0.dropFirst(field.count + 1).trimmed }
    }

    static func children(of pid: pid_t) -> [pid_t] {
        ((try? File.readText("/proc/\(pid)/task/\(pid)/children")) ?? "").split(separator: " ").compactMap {
            pid_t($0)
        }
    }

    /// Kibibytes of a process' own share of memory.
    static func proportionalSize(_ pid: pid_t) -> Int? {
        ((try? File.readText("/proc/\(pid)/smaps_rollup")) ?? "").split(separator: "\n")
            .first { $0.hasPrefix("Pss:") }
            .flatMap { Int($0.dropFirst(4).trimmed.prefix { $0 != " " }) }
    }
}

extension StringProtocol {
    var trimmed: String {
        var text = drop { $0 == " " || $0 == "\t" || $0 == "\n" || $0 == "\r" }
        while let last = text.last, last == " " || last == "\t" || last == "\n" || last == "\r" {
            text.removeLast()
        }
        return String(text)
    }

    var fields: [String] {
        split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\n" }).map { String($0) }
    }
}
