import LinuxSystem

/// Kernel parameters (`linux.sysctl`).
enum Sysctl {
    /// A parameter's path below /proc/sys. As sysctl(8) has it, the separator that
    /// stands first separates, and the other one is a plain character
    /// (`net.ipv4.conf.eth0/100.forwarding`, `net/ipv4/conf/eth0.100/forwarding`).
    /// - Throws: for a path that would lead elsewhere.
    static func path(_ name: String) throws(RuntimeError) -> String {
        let dot = UInt8(ascii: ".")
        let slash = UInt8(ascii: "/")
        let first = name.utf8.first { $0 == dot || $0 == slash }
        var path = name
        if first == dot {
            path = String(
                decoding: name.utf8.map { $0 == dot ? slash : $0 == slash ? dot : $0 }, as: UTF8.self)
        }
        // By bytes, as the kernel does it: a slash and a combining mark are one character to Swift.
        let parts = path.utf8.split(separator: slash, omittingEmptySubsequences: false)
        guard parts.count > 1, !path.utf8.contains(0),
            !parts.contains(where: { $0.isEmpty || $0.elementsEqual(".".utf8) || $0.elementsEqual("..".utf8) }
            )
        else {
            throw RuntimeError(.invalidConfig, "sysctl \"\(name)\" is no parameter's name")
        }
        return path
    }

    static func write(_ values: [String: String], _ procfs: borrowing Procfs) throws(RuntimeError) {
        for (name, value) in values {
            let path = try path(name)
            try during("set sysctl \(name)") { () throws(SystemError) in
                try procfs.write(value, to: "sys/\(path)")
            }
        }
    }
}
