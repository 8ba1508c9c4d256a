import ContainerStorage
import LayerArchive
import LinuxSystem
import Testing

/// From each driver to each other, with what containers have changed.
@Suite struct MigrationTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    static let pairs = TestDrivers.all.flatMap { from in
        TestDrivers.all.filter { $0 != from }.map { [from, $0] }
    }

    private func store(_ drivers: [String]) throws -> Store {
        if drivers.contains("btrfs") { try scratch.becomeBtrfs() }
        return try scratch.open(driver: drivers[0])
    }

    private func change(_ store: Store) throws -> ImageRecord {
        let image = try TestImage([
            try TestLayer(["keep": "1", "gone": "1", "dir/keep": "1", "dir/gone": "1", "hidden/old": "1"]),
            try TestLayer(["dir/more": "1"]),
        ]).put(store, ["localhost/test:1"])
        try store.createSnapshot(id: "c", image: image)
        try store.createSnapshot(id: "unused", image: image)
        let root = try store.mountSnapshot("c")
        try File.unlink(root + "/gone")
        try File.unlink(root + "/dir/gone")
        try File.replace(root + "/keep", with: Array("2".utf8))
        try File.removeTree(root + "/hidden")
        try File.makeDirectory(root + "/hidden")
        try File.replace(root + "/hidden/new", with: Array("2".utf8))
        try store.unmountSnapshot("c")
        return image
    }

    private func expectChanges(_ store: Store) throws {
        let root = try store.mountSnapshot("c")
        #expect(try File.names(in: root).sorted() == ["dir", "hidden", "keep"])
        #expect(try File.names(in: root + "/dir").sorted() == ["keep", "more"])
        #expect(try File.names(in: root + "/hidden") == ["new"])
        #expect(try File.readText(root + "/keep") == "2")
        try store.unmountSnapshot("c")
    }

    @Test(arguments: pairs) func everythingMoves(_ drivers: [String]) throws {
        let old = try store(drivers)
        let image = try change(old)
        let migrated = try old.migrate(to: #require(SnapshotterName(rawValue: drivers[1])))
        #expect(migrated.layers == 2 && migrated.snapshots == 2)
        let store = try Store.open(root: scratch.root, runRoot: scratch.runRoot)
        #expect(store.driver == drivers[1])
        try store.sweep()
        try expectChanges(store)
        #expect(
            try File.names(in: store.mountSnapshot("unused")).sorted() == ["dir", "gone", "hidden", "keep"])
        #expect(try store.check(quick: false).isEmpty)
        #expect(try store.migrate(to: #require(SnapshotterName(rawValue: drivers[1]))).snapshots == 0)
        try store.removeSnapshot("c")
        try store.removeSnapshot("unused")
        try store.removeImage(image.id)
        #expect(store.content == [])
    }

    @Test func aKilledMigrationHasChangedNothing() async throws {
        let root = scratch.root
        let old = try scratch.open(driver: "overlay")
        _ = try change(old)
        let before = old.content
        for delay in [1, 4, 9, 15, 25, 40] as [UInt32] {
            _ = await #expect(processExitsWith: .failure) {
                [root = root as String, delay = delay as UInt32] in
                let store = try Store.open(root: root, runRoot: root + ".run")
                var timer = itimerval(
                    it_interval: timeval(), it_value: timeval(tv_sec: 0, tv_usec: Int(delay) * 1000))
                setitimer(__itimer_which_t(ITIMER_REAL.rawValue), &timer, nil)
                while true {
                    _ = try store.migrate(to: .vfs)
                    _ = try Store.open(root: root, runRoot: root + ".run").migrate(to: .overlay)
                }
            }
            let store = try Store.open(root: root, runRoot: scratch.runRoot)
            try store.sweep()
            try store.collectGarbage()
            try store.sweep()
            try expectChanges(store)
            #expect(try store.check(quick: false).isEmpty)
            if store.driver == "vfs" { _ = try store.migrate(to: .overlay) }
            try scratch.open(driver: "overlay").sweep()
            #expect(old.content == before)
        }
    }

    @Test func aMountedContainerKeepsItsDriver() throws {
        let store = try scratch.open(driver: "overlay")
        _ = try change(store)
        _ = try store.mountSnapshot("c")
        let error = #expect(throws: StorageError.self) { try store.migrate(to: .vfs) }
        #expect(error?.code == .inUse)
        try store.unmountSnapshot("c")
        try store.sweep()
        try expectChanges(store)
    }
}
