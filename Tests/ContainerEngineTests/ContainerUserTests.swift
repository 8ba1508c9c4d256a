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

    @Test(arguments: ["nobody-here", "www:nogroup", "-1", "4294967296"])
    func refuses(_ text: String) throws {
        try withRoot { root in
            #expect(throws: EngineError.self) { try ContainerUser.resolve(text, root: root) }
        }
    }

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
