import ContainerStorage
import LayerArchive
import LinuxSystem
import Synchronization
import Testing

@Suite struct ImageMountTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    @Test(arguments: TestDrivers.all) func mountedAsOftenAsAskedFor(_ driver: String) throws {
        let store = try scratch.open(driver: driver)
        let image = try TestImage([try TestLayer(["a": "1"]), try TestLayer(["b": "2"])]).put(store)
        let path = try store.mountImage(image)
        #expect(try File.names(in: path).sorted() == ["a", "b"])
        #expect(try File.readText(path + "/b") == "2")
        #expect(throws: SystemError.self) { try File.replace(path + "/c", with: []) }
        #expect(try store.mountImage(image) == path)
        #expect(try store.mountedImages().map(\.id) == [image.id])
        #expect(throws: StorageError.self) { try store.removeImage(image.id) }
        #expect(try store.unmountImage(image.id))
        #expect(try File.names(in: path).count == 2)
        #expect(try store.unmountImage(image.id))
        #expect(try !store.unmountImage(image.id))
        #expect(try store.mountedImages().isEmpty)
        _ = try store.mountImage(image)
        _ = try store.mountImage(image)
        #expect(try store.unmountImage(image.id, force: true))
        #expect(scratch.mounts == [])
        try store.removeImage(image.id)
        #expect(store.content == [])
    }

    private func place(of image: ImageRecord) -> String {
        "\(scratch.runRoot)/images/\("\(image.id)".dropFirst("sha256:".count))"
    }

    /// What a reboot, and another mount namespace, left.
    @Test(arguments: ["1", "1 1 before", "2 x", ""]) func sweepsPlacesThatNobodySees(_ note: String) throws {
        let store = try scratch.open()
        let image = try TestImage([]).put(store)
        let place = place(of: image)
        try File.makeDirectories(place)
        try File.replace(place + ".uses", with: Array(note.utf8))
        try store.sweep()
        #expect(try File.names(in: "\(scratch.runRoot)/images") == [])
    }

    @Test func keepsPlacesThatOthersMaySee() throws {
        let store = try scratch.open()
        let image = try TestImage([]).put(store)
        let place = place(of: image)
        try File.makeDirectories(place)
        try File.replace(place + ".uses", with: Array("1 1 \(try #require(Boot.id))".utf8))
        try store.sweep()
        #expect(try File.names(in: "\(scratch.runRoot)/images").count == 2)
        // Here it is not mounted.
        #expect(try !store.unmountImage(image.id))
        #expect(try store.mountedImages().isEmpty)
        _ = try store.mountImage(image)
        #expect(try store.unmountImage(image.id))
        #expect(try File.names(in: "\(scratch.runRoot)/images") == [])
    }

    @Test func noLayers() throws {
        let store = try scratch.open()
        let image = try TestImage([]).put(store)
        #expect(try File.names(in: store.mountImage(image)) == [])
        try store.unmountImage(image.id)
    }

    /// What takes long is left to another process.
    @Test func aLargeRemovalIsLeftToOthers() throws {
        let asked = Mutex(0)
        let store = try Store.open(
            root: scratch.root, runRoot: scratch.runRoot, leaveWork: { asked.withLock { $0 += 1 } })
        let layer = try TestLayer { writer in
            for number in 0..<20_000 { try writer.add(TarEntry(.regular, "d\(number % 50)/f\(number)")) }
        }
        let image = try TestImage([layer]).put(store)
        try store.removeImage(image.id)
        #expect(asked.withLock { $0 } > 0)
        #expect(store.content.contains { $0.hasPrefix("trash/") })
        try store.finishWork()
        #expect(store.content == [])
    }
}
