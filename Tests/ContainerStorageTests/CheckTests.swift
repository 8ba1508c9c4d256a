import ContainerStorage
import LayerArchive
import LinuxSystem
import OCISpec
import Testing

/// Damage is found and named, and what the blobs give is made anew.
@Suite struct CheckTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func image(_ store: Store) throws -> ImageRecord {
        try TestImage([
            try TestLayer(["a": "one", "dir/b": "two"]), try TestLayer(["c": "three", "dir/.wh.b": ""]),
        ]).put(store, ["localhost/test:1"])
    }

    private func files(_ store: Store, _ image: ImageRecord) throws -> [String] {
        let view = try store.openView(image.diffIDs)
        return try File.names(inDirectory: view.raw).sorted()
    }

    @Test(arguments: TestDrivers.all) func aWholeStoreHasNoDamage(_ driver: String) throws {
        let store = try scratch.open(driver: driver)
        _ = try image(store)
        #expect(try store.check(quick: false).map(\.description) == [])
        #expect(store.content.filter { $0.hasPrefix("trash") || $0.hasPrefix("ingest") } == [])
    }

    @Test(arguments: TestDrivers.all) func aChangedFileIsFoundAndMadeAnew(_ driver: String) throws {
        let store = try scratch.open(driver: driver)
        let image = try image(store)
        try damageFiles(store, driver)
        let damage = try store.check(quick: false)
        #expect(damage.count == 1, "\(damage)")
        let repaired = try store.repair(damage)
        #expect(repaired.allSatisfy { $0.repair?.contains("anew") == true }, "\(repaired)")
        #expect(try store.check(quick: false).isEmpty)
        let view = try store.openView(image.diffIDs)
        #expect(try File.readText("a", at: view.raw) == "one")
        #expect(try files(store, image) == ["a", "c", "dir"])
    }

    /// Other contents of the same size and time.
    private func damageFiles(_ store: Store, _ driver: String) throws {
        let folder = ["overlay": "overlay/layers", "erofs": "erofs/objects"][driver] ?? "\(driver)/trees"
        for name in try File.names(in: "\(store.root)/\(folder)") {
            let place = "\(store.root)/\(folder)/\(name)"
            let candidates =
                driver == "erofs"
                ? try File.names(in: place).map { "\(place)/\($0)" }
                : ["\(place)/diff/a", "\(place)/rootfs/a"]
            for path in candidates where (try? File.readText(path)) == "one" {
                let file = try File.open(path, O_RDWR)
                let status = try FD.stat(file.raw)
                try FD.writeAll(file.raw, "bad")
                try FileMetadata.setTimes(
                    file.raw, accessed: Timestamp(status.st_atim), modified: Timestamp(status.st_mtim))
                // Of btrfs's two trees the lower is not an image's.
                if driver != "btrfs" { return }
            }
        }
    }

    @Test(arguments: TestDrivers.all) func aDamagedBlobTakesItsImageAlong(_ driver: String) throws {
        let store = try scratch.open(driver: driver)
        let image = try image(store)
        let other = try TestImage([try TestLayer(["x": "y"])], env: "O=1").put(store, ["localhost/other:1"])
        let blob = try store.manifest(of: image).layers[0].digest.dropFirst(7)
        try File.replace("\(store.root)/blobs/sha256/\(blob)", with: [1, 2, 3])
        let damage = try store.check(quick: false)
        #expect(damage.count == 1 && damage[0].images == ["localhost/test:1"], "\(damage)")
        #expect(try store.repair(damage)[0].repair == "removed image localhost/test:1: pull it again")
        #expect(try store.images().map(\.id) == [other.id])
        #expect(try store.check(quick: false).isEmpty)
        _ = try self.image(store)
        #expect(try store.check(quick: false).isEmpty)
    }

    @Test func anImageInUseStaysAndHealsByANewPull() throws {
        let store = try scratch.open()
        let image = try image(store)
        try store.createSnapshot(id: "c", image: image)
        let manifest = try store.manifest(of: image)
        for layer in manifest.layers {
            try File.unlink("\(store.root)/blobs/sha256/\(layer.digest.dropFirst(7))")
        }
        let layer = try #require(try File.names(in: store.root + "/overlay/layers").first)
        try File.removeTree("\(store.root)/overlay/layers/\(layer)")
        var damage = try store.check(quick: true)
        #expect(damage.count == 3)
        damage = try store.repair(damage)
        #expect(damage.allSatisfy { $0.repair?.contains("stays") == true }, "\(damage)")
        _ = try self.image(store)
        #expect(try store.check(quick: false).isEmpty)
        #expect(try File.names(in: store.mountSnapshot("c")).sorted() == ["a", "c", "dir"])
    }

    @Test func recordsAndFilesThatNothingRefersTo() throws {
        let store = try scratch.open()
        _ = try image(store)
        try File.replace(store.root + "/index.json", with: Array("{}".utf8))
        try File.replace("\(store.root)/blobs/sha256/\(String(repeating: "0", count: 64))", with: [1])
        try store.database.write { connection throws(StorageError) in
            try connection.executeScript("PRAGMA defer_foreign_keys=ON")
        }
        let damage = try store.check(quick: true)
        #expect(damage.count == 2, "\(damage)")
        _ = try store.repair(damage)
        #expect(try store.check(quick: true).isEmpty)
        #expect(try File.readText(store.root + "/index.json").contains("localhost/test:1"))
    }
}
