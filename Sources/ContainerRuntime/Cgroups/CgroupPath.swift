internal import LinuxSystem

/// The place of a group below a hierarchy's root, as clean components.
struct CgroupPath: Equatable {
    let components: [String]

    /// Takes a path apart that a configuration wrote. `..` is resolved here, by
    /// the text, and stops at the root: the kernel never sees one.
    init(_ text: String) throws(CgroupError) {
        var components: [String] = []
        // By bytes, as the kernel does it: a slash and a combining mark are one character to Swift.
        for bytes in text.utf8.split(separator: UInt8(ascii: "/")) {
            switch String(bytes) ?? "" {
            case ".": break
            case "..": _ = components.popLast()
            case let part: components.append(part)
            }
        }
        // A newline would forge lines in /proc/PID/cgroup, and the kernel refuses it.
        guard text.utf8.count < Int(PATH_MAX), components.allSatisfy({ $0.utf8.count < 256 }),
            !text.utf8.contains(0), !text.utf8.contains(UInt8(ascii: "\n"))
        else { throw CgroupError(.invalid, "invalid cgroup path") }
        self.components = components
    }

    /// Without a slash before it, as openat(2) wants it.
    var relative: String { components.joinedPlainly(by: "/") }
    var absolute: String { "/" + relative }
    var isRoot: Bool { components.isEmpty }
}
