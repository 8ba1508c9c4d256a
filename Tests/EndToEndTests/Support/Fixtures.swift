import LinuxSystem

/// Images that are made once and kept below /var/tmp.
enum Fixtures {
    private static let directory = "/var/tmp/apus-tests"

    /// Makes a file unless it is there; two test runs may ask at once.
    private static func once(_ name: String, _ make: (String) throws -> Void) throws -> String {
        try File.makeDirectories(directory)
        let path = "\(directory)/\(name)"
        let lock = try FileLock("\(directory)/\(name).lock")
        if !File.exists(path) {
            let temporary = "\(path).new"
            try? File.removeTree(temporary)
            try make(temporary)
            try File.rename(temporary, to: path)
        }
        _ = lock.raw
        return path
    }

    /// A root file system of busybox alone: a plain tar.
    static func busyboxTar() throws -> String {
        try once("busybox-1.tar") { target in
            let root = "\(target).root"
            try? File.removeTree(root)
            defer { try? File.removeTree(root) }
            for name in ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "var", "home"] {
                try File.makeDirectories("\(root)/\(name)")
            }
            try ProgramRun.tool("cp", Programs.find("busybox") ?? "/bin/busybox", "\(root)/bin/busybox")
            chmod("\(root)/tmp", 0o1777)
            for applet in try ProgramRun.tool("\(root)/bin/busybox", "--list").split(separator: "\n")
            where applet != "busybox" {
                try File.makeSymbolicLink(to: "busybox", "\(root)/bin/\(applet)")
            }
            try File.replace(
                "\(root)/etc/passwd",
                with: Array(
                    "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1001:Bob:/home:/bin/sh\nnobody:x:65534:65534::/:\n"
                        .utf8))
            try File.replace(
                "\(root)/etc/group",
                with: Array("root:x:0:\nstaff:x:1001:\nextra:x:1002:bob\nnogroup:x:65534:\n".utf8))
            try ProgramRun.tool(
                "tar", "-C", root, "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "-cf", target,
                ".")
        }
    }

    /// Debian 12 with nginx, made by debootstrap: a plain tar.
    static func debianTar() throws -> String {
        try once("debian-nginx-1.tar") { target in
            let root = "\(target).root"
            try? File.removeTree(root)
            defer { try? File.removeTree(root) }
            try ProgramRun.tool(
                "debootstrap", "--variant=minbase", "--include=nginx-light,ca-certificates", "bookworm", root,
                debianMirror, timeout: .seconds(1200))
            try? File.removeTree("\(root)/var/cache/apt/archives")
            try ProgramRun.tool(
                "tar", "-C", root, "--sort=name", "--numeric-owner", "--xattrs", "-cf", target, ".")
        }
    }

    /// Where this machine gets its packages from.
    private static var debianMirror: String {
        let sources = (try? File.names(in: "/etc/apt/sources.list.d")) ?? []
        let files =
            sources.filter { $0.contains("debian") }.map { "/etc/apt/sources.list.d/\($0)" } + [
                "/etc/apt/sources.list"
            ]
        for file in files {
            for line in ((try? File.readText(file)) ?? "").split(separator: "\n") {
                let words = line.fields
                guard line.hasPrefix("URIs:") || line.hasPrefix("deb ") else { continue }
                if let address = words.first(where: {
                    $0.hasPrefix("http") && $0.hasSuffix("/debian") || $0.hasSuffix("/debian/")
                }) {
                    return address
                }
            }
        }
        return "http://deb.debian.org/debian"
    }
}
