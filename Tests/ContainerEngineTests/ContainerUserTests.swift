import ContainerEngine
import LinuxSystem
import Testing

@Suite struct ContainerUserTests {
    /// A root file system with accounts, gone after the test.
    private func withRoot(
        passwd: String? =
            "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/var/www:/bin/sh\nnohome:x:7:8::relative:/\n",
        group: String? = "root:x:0:\nwww:x:33:\nadm:x:4:www,root\nvideo:x:44:www\n",
        _ body: (Int32) throws -> Void
    ) throws {
        let path = "/tmp/apus-user-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try File.makeDirectories("\(path)/etc")
        defer { try? File.removeTree(path) }
        if let passwd { try File.replace("\(path)/etc/passwd", with: Array(passwd.utf8), durable: false) }
        if let group { try File.replace("\(path)/etc/group", with: Array(group.utf8), durable: false) }
        try body(try File.open(path, O_RDONLY | O_DIRECTORY).take())
    }

    @Test func nameWithItsGroups() throws {
        try withRoot { root in
            let user = try ContainerUser.resolve("www", root: root)
            #expect(
                user.uid == 33 && user.gid == 33 && user.home == "/var/www" && user.additionalGids == [4, 44])
        }
    }

    @Test func emptyIsRoot() throws {
        try withRoot { root in
            let user = try ContainerUser.resolve("", root: root)
            #expect(user.uid == 0 && user.home == "/root" && user.additionalGids == [4])
        }
    }

    @Test func numbersNeedNoEntry() throws {
        try withRoot(passwd: nil, group: nil) { root in
            let user = try ContainerUser.resolve("1234:99", root: root)
            #expect(user.uid == 1234 && user.gid == 99 && user.home == "/")
        }
    }

    @Test func groupByName() throws {
        try withRoot { root in
            let user = try ContainerUser.resolve("www:video", groups: ["adm", "77"], root: root)
            #expect(user.gid == 44 && user.additionalGids == [4, 77])
        }
    }

    /// The last is -1 to setresuid(2), which then changes nothing: the process would be root
    /// (CVE-2024-40635 of containerd).
    @Test(arguments: [
        "nobody-here", "www:nogroup", "-1", "4294967296", "2147483648", "0:4294967295", "4294967295",
    ])
    func refuses(_ text: String) throws {
        let accounts = "4294967296:x:0:0::/:\nroot:x:0:0::/root:\nwww:x:33:33::/:\n"
        for passwd in [nil, accounts] {
            try withRoot(passwd: passwd) { root in
                #expect(throws: EngineError.self) { try ContainerUser.resolve(text, root: root) }
            }
        }
        try withRoot(passwd: "app:x:4294967295:0::/:\n") { root in
            #expect(throws: EngineError.self) { try ContainerUser.resolve("app", root: root) }
        }
    }

    /// A number is an ID, though the image has an account of that name (CVE-2026-46680 of containerd).
    @Test func numbersAreNoNames() throws {
        try withRoot(passwd: "1000:x:0:0::/root:\nbob:x:1000:7::/bob:\n", group: "44:x:0:\n") { root in
            let user = try ContainerUser.resolve("1000", root: root)
            #expect(user.uid == 1000 && user.gid == 7 && user.home == "/bob")
            let other = try ContainerUser.resolve("1000:44", groups: ["44"], root: root)
            #expect(other.uid == 1000 && other.gid == 44 && other.additionalGids == [44])
        }
    }

    /// Files to be read in memory, and one that has no end (CVE-2025-4437 of CRI-O, CVE-2026-47262
    /// of containerd).
    @Test func hugeFiles() throws {
        try withRoot(group: nil) { root in
            let group = try File.open("etc/group", at: root, O_WRONLY | O_CREAT, mode: 0o644)
            #expect(ftruncate(group.raw, 1 << 40) == 0)
            #expect(try ContainerUser.resolve("www", root: root).additionalGids == [])
        }
        try withRoot(passwd: String(repeating: "a:x:1:1:::\n", count: 500_000)) { root in
            #expect(throws: EngineError.self) { try ContainerUser.resolve("a", root: root) }
        }
    }

    /// CVE-2024-9676 of containers/storage.
    @Test func aPasswdThatLeadsOutOfTheImageIsNotRead() throws {
        try withRoot(passwd: nil) { root in
            // The host has the account `daemon`; the image only a link to the host's file.
            try File.makeSymbolicLink(to: "/../../../../etc/passwd", "etc/passwd", at: root)
            #expect(throws: EngineError.self) { try ContainerUser.resolve("daemon", root: root) }
        }
    }

    @Test func aFifoDoesNotHang() throws {
        try withRoot(passwd: nil) { root in
            #expect(mknodat(root, "etc/passwd", S_IFIFO | 0o644, 0) == 0)
            let user = try ContainerUser.resolve("5", root: root)
            #expect(user.uid == 5)
        }
    }
}
