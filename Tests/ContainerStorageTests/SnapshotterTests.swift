import ContainerStorage
import LayerArchive
import LinuxSystem
import Testing

/// What every driver must do, run over each.
@Suite struct SnapshotterSuite {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    static let drivers = TestDrivers.all

    static func wholeLife(_ store: Store) throws {
        var directory = TarEntry(.directory, "dir/")
        directory.mode = 0o751
        directory.user = 7
        let lower = try TestLayer { [directory] writer in
            try writer.add(directory)
            try writer.add(TarEntry(.regular, "dir/keep"), contents: Array("low".utf8))
            try writer.add(TarEntry(.regular, "dir/gone"), contents: Array("x".utf8))
            try writer.add(TarEntry(.directory, "hidden/"))
            try writer.add(TarEntry(.regular, "hidden/old"), contents: Array("x".utf8))
            var link = TarEntry(.symbolicLink, "link")
            link.linkTarget = Array("dir/keep".utf8)
            try writer.add(link)
        }
        let upper = try TestLayer { [directory] writer in
            try writer.add(directory)
            try writer.add(TarEntry(.regular, "dir/.wh.gone"))
            try writer.add(TarEntry(.directory, "hidden/"))
            try writer.add(TarEntry(.regular, "hidden/.wh..wh..opq"))
            try writer.add(TarEntry(.regular, "hidden/new"), contents: Array("n".utf8))
            var tool = TarEntry(.regular, "tool")
            tool.mode = 0o4755
            tool.modified = Timestamp(seconds: 1_234_567, nanoseconds: 89)
            try writer.add(tool, contents: Array("tool".utf8))
            var hard = TarEntry(.hardLink, "tool2")
            hard.linkTarget = Array("tool".utf8)
            try writer.add(hard)
        }
        let image = try TestImage([lower, upper]).put(store, ["localhost/test:1"])
        try store.createSnapshot(id: "c1", image: image)
        try store.createSnapshot(id: "c2", image: image, volatile: true)
        let one = try store.mountSnapshot("c1")
        let two = try store.mountSnapshot("c2")
        #expect(try store.mountSnapshot("c1") == one)

        #expect(try File.names(in: one).sorted() == ["dir", "hidden", "link", "tool", "tool2"])
        #expect(try File.names(in: one + "/dir") == ["keep"])
        #expect(try File.names(in: one + "/hidden") == ["new"])
        #expect(try File.readText(one + "/link") == "low")
        #expect(try File.status(one).st_mode & 0o7777 == 0o755)
        let kept = try File.status(one + "/dir")
        #expect(kept.st_mode & 0o7777 == 0o751 && kept.st_uid == 7)
        let tool = try File.status(one + "/tool")
        #expect(
            tool.st_mode & 0o7777 == 0o4755 && tool.st_mtim.tv_sec == 1_234_567 && tool.st_mtim.tv_nsec == 89)
        #expect(try File.status(one + "/tool2").st_ino == tool.st_ino)

        try File.replace(one + "/dir/keep", with: Array("mine".utf8))
        try File.unlink(one + "/tool")
        #expect(try File.readText(two + "/dir/keep") == "low")
        #expect(exists(two + "/tool"))
        let view = try store.openView(image.diffIDs)
        #expect(try File.readText("dir/keep", at: view.raw) == "low")
        #expect(try File.names(inDirectory: view.raw).sorted() == ["dir", "hidden", "link", "tool", "tool2"])

        try store.unmountSnapshot("c1")
        try store.unmountSnapshot("c1")
        let again = try store.mountSnapshot("c1")
        #expect(try File.readText(again + "/dir/keep") == "mine")
        #expect(!exists(again + "/tool"))
        try store.unmountSnapshot("c2")
        #expect(exists(try store.mountSnapshot("c2") + "/tool"))

        #expect(throws: StorageError.self) { try store.removeImage(image.id) }
        try store.removeSnapshot("c1")
        try store.removeSnapshot("c1")
        #expect(!exists(one))
        #expect(throws: StorageError.self) { try store.mountSnapshot("c1") }
        try store.removeSnapshot("c2")
        try store.removeImage(image.id)
        #expect(store.content == [])
    }

    @Test(arguments: drivers) func wholeLife(_ driver: String) throws {
        try Self.wholeLife(try scratch.open(driver: driver))
        #expect(scratch.mounts == [])
    }

    @Test(arguments: TestDrivers.inMemory) func wholeLifeInMemory(_ driver: String) throws {
        try scratch.limit(toKiB: 8192)
        try Self.wholeLife(try scratch.open(driver: driver))
    }

    @Test(arguments: drivers) func oddPaths(_ driver: String) throws {
        if driver == "btrfs" { try scratch.becomeBtrfs() }
        let odd = scratch.path + #"/a:b,c\d e='"#
        try File.makeDirectory(odd)
        try Self.wholeLife(try Store.open(root: odd + "/store", runRoot: scratch.runRoot, driver: driver))
        let long =
            scratch.path + "/" + String(repeating: "x", count: 240) + "/" + String(repeating: "y", count: 150)
        try File.makeDirectories(long)
        try Self.wholeLife(try Store.open(root: long + "/store", runRoot: scratch.runRoot, driver: driver))
    }

    @Test(arguments: drivers) func manyLayersAndRepeatedOnes(_ driver: String) throws {
        let store = try scratch.open(driver: driver)
        let empty = try TestLayer { _ in }
        var layers = [empty]
        for number in 0..<130 {
            layers.append(
                try TestLayer(["n\(number)": "\(number)", "last": "\(number)"], compression: .none))
            if number % 10 == 0 { layers.append(empty) }
        }
        layers.append(layers[1])
        let image = try TestImage(layers).put(store)
        #expect(image.diffIDs.count == layers.count)
        try store.createSnapshot(id: "many", image: image)
        let root = try store.mountSnapshot("many")
        #expect(try File.names(in: root).count == 131)
        #expect(try File.readText(root + "/last") == "0")
        try store.removeSnapshot("many")
    }

    @Test(arguments: drivers) func noLayersAtAll(_ driver: String) throws {
        let store = try scratch.open(driver: driver)
        let image = try TestImage([]).put(store)
        try store.createSnapshot(id: "scratch", image: image)
        let root = try store.mountSnapshot("scratch")
        #expect(try File.names(in: root) == [])
        try File.replace(root + "/x", with: [1])
        let view = try store.openView([])
        #expect(try File.names(inDirectory: view.raw) == [])
        try store.removeSnapshot("scratch")
    }

    @Test(arguments: drivers) func anImageOfAnotherDriverWorks(_ driver: String) throws {
        let other = driver == "vfs" ? "overlay" : "vfs"
        if driver == "btrfs" { try scratch.becomeBtrfs() }
        let image = try TestImage([try TestLayer(["a": "1"]), try TestLayer(["b": "2"])]).put(
            try scratch.open(driver: other))
        let store = try scratch.open(driver: driver)
        try store.createSnapshot(id: "c", image: image)
        #expect(try File.names(in: store.mountSnapshot("c")).sorted() == ["a", "b"])
        // Through a store opened for the other driver the snapshot stays what it is.
        try scratch.open(driver: other).removeSnapshot("c")
        #expect(scratch.mounts == [])
        try store.removeImage(image.id)
        #expect(store.content == [])
    }

    @Test func namesThatAreNotUTF8() throws {
        let store = try scratch.open(driver: "vfs")
        let layer = try TestLayer { writer in
            try writer.add(TarEntry(.directory, [0x64, 0xFF]))
            try writer.add(TarEntry(.regular, [0x64, 0xFF, 0x2F, 0xFE]), contents: [1])
        }
        let image = try TestImage([layer]).put(store)
        try store.createSnapshot(id: "c", image: image)
        let root = try store.mountSnapshot("c")
        let top = try File.open(root, O_RDONLY | O_DIRECTORY)
        let entries = try DirectoryListing(top.raw).entries
        #expect(entries.map(\.bytes) == [[0x64, 0xFF]])
        try store.removeSnapshot("c")
        try store.removeImage(image.id)
        #expect(store.content == [])
    }

    @Test func copiesKeepEverything() throws {
        let store = try scratch.open(driver: "vfs")
        let layer = try TestLayer { writer in
            var file = TarEntry(.regular, "caps")
            file.attributes = [
                .init("security.capability", [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            ]
            file.user = 12
            file.group = 13
            try writer.add(file, contents: noise(70_000))
            var device = TarEntry(.characterDevice, "null")
            device.deviceMajor = 1
            device.deviceMinor = 3
            device.mode = 0o666
            try writer.add(device)
            try writer.add(TarEntry(.fifo, "fifo"))
            var link = TarEntry(.symbolicLink, "dangling")
            link.linkTarget = Array("/nowhere".utf8)
            link.user = 5
            link.modified = Timestamp(seconds: 99)
            try writer.add(link)
        }
        let image = try TestImage([layer]).put(store)
        try store.createSnapshot(id: "c", image: image)
        let root = try store.mountSnapshot("c")
        let view = try store.openView(image.diffIDs)
        let file = try File.open(root + "/caps")
        #expect(try ExtendedAttributes.value(file.raw, Array("security.capability".utf8))?.count == 20)
        #expect(try File.read(root + "/caps") == File.read("caps", at: view.raw))
        #expect(try File.status(root + "/caps").st_gid == 13)
        let device = try File.status(root + "/null", followLinks: false)
        #expect(device.st_mode == S_IFCHR | 0o666 && device.st_rdev == 0x103)
        #expect(try File.status(root + "/fifo", followLinks: false).st_mode & S_IFMT == S_IFIFO)
        let link = try File.status(root + "/dangling", followLinks: false)
        #expect(link.st_uid == 5 && link.st_mtim.tv_sec == 99)
        #expect(try File.readLink(root + "/dangling") == "/nowhere")
    }

    @Test func aSparseFileStaysSparse() throws {
        try File.makeDirectories(scratch.path + "/a")
        try File.makeDirectories(scratch.path + "/b")
        let file = try File.open(scratch.path + "/a/holes", O_RDWR | O_CREAT)
        #expect(ftruncate(file.raw, 64 << 20) == 0)
        #expect(pwrite(file.raw, "x", 1, 32 << 20) == 1)
        let store = try scratch.open()
        try store.createVolume("v")
        let source = try File.open(scratch.path + "/a", O_RDONLY | O_DIRECTORY)
        let path = try store.prepareVolume("v", copyUp: source.raw)
        let copy = try File.status(path + "/holes")
        #expect(copy.st_size == 64 << 20 && copy.st_blocks < 2048)
        #expect(try File.read(path + "/holes") == File.read(scratch.path + "/a/holes"))
    }

    @Test func refusesBadIds() throws {
        let store = try scratch.open()
        for id in ["", "..", "a/b", ".a", "-a", "a b", String(repeating: "x", count: 300)] {
            #expect(throws: StorageError.self) { try store.createSnapshot(id: id, image: nil, diffIDs: []) }
        }
    }

    @Test func theOldMountCallDoesTheSame() throws {
        for name in ["l1", "l2", "upper", "work", "merged"] {
            try File.makeDirectory(scratch.path + "/" + name)
        }
        try File.replace(scratch.path + "/l1/a", with: [1])
        try File.replace(scratch.path + "/l2/b", with: [2])
        let merged = scratch.path + "/merged"
        try OverlayMount(
            lower: [scratch.path + "/l1", scratch.path + "/l2"], upper: scratch.path + "/upper",
            work: scratch.path + "/work"
        ).attachByString(to: merged)
        #expect(OverlayMount.isMounted(merged))
        #expect(try File.names(in: merged).sorted() == ["a", "b"])
        try OverlayMount.unmount(merged)
        #expect(!OverlayMount.isMounted(merged))
        try OverlayMount.unmount(merged)
        let view = try OverlayMount(lower: [scratch.path + "/l1", scratch.path + "/l2"]).detachedByString(
            by: merged)
        #expect(!OverlayMount.isMounted(merged))
        #expect(try File.names(inDirectory: view.raw).sorted() == ["a", "b"])
    }

    @Test(arguments: drivers) func theRootDirectoryIsAsTheTopmostLayerThatTells(_ driver: String) throws {
        let store = try scratch.open(driver: driver)
        func telling(_ mode: UInt32) throws -> TestLayer {
            try TestLayer { writer in
                var root = TarEntry(.directory, "./")
                root.mode = mode
                root.user = 42
                try writer.add(root)
                try writer.add(TarEntry(.regular, "f\(mode)"))
            }
        }
        let image = try TestImage([telling(0o711), telling(0o751), try TestLayer(["a": "1"])]).put(store)
        try store.createSnapshot(id: "c", image: image)
        let status = try File.status(try store.mountSnapshot("c"))
        #expect(status.st_mode & 0o7777 == 0o751 && status.st_uid == 42)
    }
}
