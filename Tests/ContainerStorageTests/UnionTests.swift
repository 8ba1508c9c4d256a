import ContainerStorage
import LayerArchive
import LinuxSystem
import Testing

/// What a chain of layers looks like as one tree, whatever the driver.
struct UnionTests {
    static let drivers = TestDrivers.all
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func directory(_ name: String, _ mode: UInt32, user: UInt32 = 0) -> TarEntry {
        var entry = TarEntry(.directory, name)
        entry.mode = mode
        entry.user = user
        return entry
    }

    private func base() throws -> TestLayer {
        try TestLayer { writer in
            var tmp = directory("tmp", 0o1777)
            tmp.attributes = [.init("user.kept", [1])]
            try writer.add(tmp)
            try writer.add(directory("home", 0o751, user: 7))
            try writer.add(directory("home/me", 0o700, user: 42))
            try writer.add(directory("gone", 0o700, user: 42))
            try writer.add(TarEntry(.regular, "home/me/below"))
        }
    }

    /// A line a file: path, mode and owner.
    private func tree(_ layers: [TestLayer], _ driver: String) throws -> [String] {
        let store = try scratch.open(driver: driver)
        let image = try TestImage(layers).put(store)
        try store.createSnapshot(id: "c", image: image)
        let root = try store.mountSnapshot("c")
        var lines: [String] = []
        func list(_ path: String) throws {
            for name in try File.names(in: root + path).sorted() {
                let status = try File.status("\(root)\(path)/\(name)", followLinks: false)
                let isDirectory = status.st_mode & S_IFMT == S_IFDIR
                let mode = isDirectory ? " \(String(status.st_mode & 0o7777, radix: 8)) \(status.st_uid)" : ""
                lines.append("\(path)/\(name)\(mode)")
                if isDirectory { try list("\(path)/\(name)") }
            }
        }
        try list("")
        let view = try store.openView(image.diffIDs)
        for line in lines where line.contains(" ") {
            let parts = line.split(separator: " ")
            let status = try File.status(String(parts[0].dropFirst()), at: view.raw)
            #expect(String(status.st_mode & 0o7777, radix: 8) == parts[1], "\(line)")
        }
        return lines
    }

    @Test(arguments: drivers) func aDirectoryWithoutAnEntryIsAsInLowerLayers(_ driver: String) throws {
        let lines = try tree(
            [
                base(), TestLayer(["tmp/a": "", "new/b": ""]),
                TestLayer(["home/me/deep/c": "", "tmp/d": "", "new/e": ""]),
            ], driver)
        #expect(
            lines == [
                "/gone 700 42", "/home 751 7", "/home/me 700 42", "/home/me/below", "/home/me/deep 755 0",
                "/home/me/deep/c", "/new 755 0", "/new/b", "/new/e", "/tmp 1777 0", "/tmp/a", "/tmp/d",
            ])
        let root = try scratch.open(driver: driver).mountSnapshot("c")
        let tmp = try File.open(root + "/tmp", O_RDONLY | O_DIRECTORY)
        #expect(try ExtendedAttributes.value(tmp.raw, Array("user.kept".utf8)) == [1])
    }

    @Test(arguments: drivers) func whatALayerSaysOfItsDirectoryHolds(_ driver: String) throws {
        let saying = try TestLayer { writer in
            try writer.add(TarEntry(.regular, "tmp/a"))
            try writer.add(directory("tmp", 0o710))
        }
        let removing = try TestLayer { try $0.add(TarEntry(.regular, ".wh.gone")) }
        let lines = try tree([base(), saying, removing, TestLayer(["gone/a": ""])], driver)
        #expect(lines.contains("/tmp 710 0"))
        #expect(lines.contains("/gone 755 0"))
    }

    @Test(arguments: drivers) func anOpaqueDirectoryWithoutAnEntryKeepsItsMode(_ driver: String) throws {
        let opaque = try TestLayer { writer in
            try writer.add(TarEntry(.regular, "home/.wh..wh..opq"))
            try writer.add(TarEntry(.regular, "home/me/new"))
        }
        let lines = try tree([base(), opaque], driver)
        #expect(lines == ["/gone 700 42", "/home 751 7", "/home/me 755 0", "/home/me/new", "/tmp 1777 0"])
    }

    @Test(arguments: drivers) func anOpaqueRootHidesAllLowerLayers(_ driver: String) throws {
        let opaque = try TestLayer { writer in
            try writer.add(TarEntry(.regular, ".wh..wh..opq"))
            try writer.add(TarEntry(.regular, "only"))
        }
        #expect(
            try tree([base(), opaque, TestLayer(["tmp/x": ""])], driver) == ["/only", "/tmp 755 0", "/tmp/x"])
    }

    @Test func whatAChainSharesGoesWithIt() throws {
        let store = try scratch.open(driver: "overlay")
        let folder = scratch.root + "/overlay/implied"
        let image = try TestImage([base(), TestLayer(["tmp/a": ""])]).put(store)
        #expect(try File.names(in: folder).count == 1)
        try store.removeImage(image.id)
        #expect(try File.names(in: folder) == [])
        let plain = try TestImage([base(), TestLayer(["x": ""])]).put(store)
        #expect(try File.names(in: folder) == [])
        try store.removeImage(plain.id)
    }
}
