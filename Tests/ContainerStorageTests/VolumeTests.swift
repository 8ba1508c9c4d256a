import ContainerStorage
import LinuxSystem
import Testing

@Suite struct VolumeTests {
    private let scratch: Scratch
    private let store: Store

    init() throws {
        scratch = try Scratch()
        store = try scratch.open()
    }

    @Test func fromMakingToRemoving() throws {
        let made = try store.createVolume("data", labels: ["a": "b"])
        #expect(try store.createVolume("data") == made)
        #expect(throws: StorageError.self) { try store.createVolume("data", exclusively: true) }
        try store.createVolume("anonymous", anonymous: true)
        #expect(try store.volumes().map(\.name) == ["anonymous", "data"])
        #expect(try store.volume("data")?.labels == ["a": "b"])
        #expect(try store.volume("data")?.path == store.root + "/volumes/data/_data")
        let path = try store.prepareVolume("data")
        try File.replace(path + "/file", with: [1])
        #expect(try store.prepareVolume("data") == path)
        let error = #expect(throws: StorageError.self) {
            try store.removeVolume("data") { _ throws(StorageError) in "container c1" }
        }
        #expect(error?.code == .inUse)
        #expect(exists(path + "/file"))
        try store.removeVolume("data")
        #expect(!exists(path))
        #expect(throws: StorageError.self) { try store.removeVolume("data") }
        #expect(throws: StorageError.self) { try store.prepareVolume("data") }
        #expect(throws: StorageError.self) { try store.createVolume("../x") }
    }

    @Test func theFirstUserBringsTheImagesContent() throws {
        let image = scratch.path + "/image"
        try File.makeDirectories(image + "/sub")
        try File.replace(image + "/sub/file", with: [7])
        #expect(chown(image, 33, 44) == 0 && chmod(image, 0o1770) == 0)
        let source = try File.open(image, O_PATH | O_DIRECTORY)
        try store.createVolume("v")
        let path = try store.prepareVolume("v", copyUp: source.raw)
        #expect(try File.read(path + "/sub/file") == [7])
        let status = try File.status(path)
        #expect(status.st_uid == 33 && status.st_gid == 44 && status.st_mode & 0o7777 == 0o1770)
        // Once only, also after it was emptied.
        try File.removeTree(path + "/sub")
        _ = try store.prepareVolume("v", copyUp: source.raw)
        #expect(try File.names(in: path) == [])
    }

    /// CVE-2020-1726 of podman.
    @Test func contentThatIsThereStays() throws {
        let image = scratch.path + "/image"
        try File.makeDirectories(image)
        try File.replace(image + "/new", with: [7])
        let source = try File.open(image, O_RDONLY | O_DIRECTORY)
        try store.createVolume("v")
        try File.replace(try store.prepareVolume("v") + "/old", with: [1])
        let path = try store.prepareVolume("v", copyUp: source.raw)
        #expect(try File.names(in: path) == ["old"])
    }

    @Test func theDataOfARemovedVolumeDoesNotComeBack() throws {
        try store.createVolume("v")
        try File.replace(try store.prepareVolume("v") + "/secret", with: [1])
        try store.database.write { connection throws(StorageError) in
            _ = try connection.execute("DELETE FROM volume")
        }
        try store.createVolume("v")
        #expect(try File.names(in: store.prepareVolume("v")) == [])
        try store.database.write { connection throws(StorageError) in
            _ = try connection.execute("DELETE FROM volume")
        }
        #expect(try store.sweep().volumes == ["v"])
        #expect(try File.names(in: store.root + "/volumes") == [])
    }

    @Test func manyAtOnce() throws {
        let image = scratch.path + "/image"
        try File.makeDirectories(image)
        try File.replace(image + "/file", with: [7])
        let scratch = scratch
        try Threads.parallel(limit: 12, Array(0..<24)) { _ in
            let store = try scratch.open()
            try store.createVolume("v")
            let source = try File.open(image, O_RDONLY | O_DIRECTORY)
            let path = try store.prepareVolume("v", copyUp: source.raw)
            #expect(try File.names(in: path) == ["file"])
        }
    }
}
