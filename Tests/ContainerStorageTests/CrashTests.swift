import ContainerStorage
import LayerArchive
import LinuxSystem
import Testing

/// SIGKILL in the middle, and no space left: the next command finds a sane store.
@Suite struct CrashTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private static func layer() throws -> TestLayer {
        try TestLayer { writer in
            for number in 0..<50 {
                try writer.add(
                    TarEntry(.regular, "dir\(number)/file"),
                    contents: [UInt8](repeating: UInt8(number), count: 5000))
            }
        }
    }

    @Test(arguments: TestDrivers.all) func killedWhileItAddsALayer(_ driver: String) async throws {
        let root = scratch.root
        let store = try scratch.open(driver: driver)
        try TestImage([try TestLayer(["kept": "1"])]).put(store, ["localhost/kept:1"])
        let before = store.content
        for point in [0, 1, 300, 700] {
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [root = root as String, point = point as Int, driver = driver as String] in
                let store = try Store.open(root: root, runRoot: root + ".run", driver: driver)
                let layer = try CrashTests.layer()
                let source = TrippingSource(BytesSource(layer.blob), after: point) { kill(getpid(), SIGKILL) }
                _ = try store.ingestLayer(blob: layer.digest, size: nil, diffID: layer.diffID, from: source)
            }
            #expect(try !File.names(in: root + "/ingest").isEmpty)
            #expect(try store.sweep().content)
            #expect(store.content == before)
            #expect(try store.sweep().isEmpty)
        }
    }

    @Test func killedBeforeTheImageIsRecorded() async throws {
        let root = scratch.root
        let store = try scratch.open()
        await #expect(processExitsWith: .signal(SIGKILL)) { [root = root as String] in
            let store = try Store.open(root: root, runRoot: root + ".run")
            let lease = try store.lease()
            try store.ingest(try CrashTests.layer())
            try store.writeBlob([1, 2, 3])
            kill(getpid(), SIGKILL)
            lease.end()
        }
        // The next pull may use what is whole.
        let layer = try Self.layer()
        let lease = try store.lease()
        #expect(store.hasLayer(layer.diffID))
        #expect(try store.ingest(layer).reused)
        let image = TestImage([layer])
        try store.writeBlob(image.config)
        try store.putImage(manifest: image.manifest)
        lease.end()
        try store.sweep()
        // The layer, its blob, the config and the manifest; not the dead one's blob.
        #expect(store.content.count == 4)
    }

    @Test func whatTheDeadHalfAddedMakesRoomForTheNext() async throws {
        let root = scratch.root
        let store = try scratch.open()
        await #expect(processExitsWith: .signal(SIGKILL)) { [root = root as String] in
            let store = try Store.open(root: root, runRoot: root + ".run")
            let lease = try store.lease()
            try store.ingest(try TestLayer(["whole": "1"]))
            let layer = try CrashTests.layer()
            let source = TrippingSource(BytesSource(layer.blob), after: 700) { kill(getpid(), SIGKILL) }
            _ = try store.ingestLayer(blob: layer.digest, size: nil, diffID: layer.diffID, from: source)
            lease.end()
        }
        let lease = try store.lease()
        #expect(try File.names(in: root + "/ingest").count == 2)
        #expect(try File.names(in: root + "/trash") == [])
        let whole = try TestLayer(["whole": "1"])
        #expect(store.hasLayer(whole.diffID))
        lease.end()
        #expect(store.content == [])
    }

    @Test func killedWithASnapshotMounted() async throws {
        let root = scratch.root
        let store = try scratch.open()
        let image = try TestImage([try TestLayer(["a": "1"])]).put(store)
        await #expect(processExitsWith: .signal(SIGKILL)) { [root = root as String] in
            let store = try Store.open(root: root, runRoot: root + ".run")
            let image = try store.images()[0]
            try store.createSnapshot(id: "c", image: image)
            _ = try store.mountSnapshot("c")
            // As a removal between its two halves.
            try store.database.write { connection throws(StorageError) in
                _ = try connection.execute("DELETE FROM snapshot")
            }
            kill(getpid(), SIGKILL)
        }
        #expect(scratch.mounts.count == 1)
        #expect(try store.sweep().snapshots == ["c"])
        #expect(scratch.mounts == [])
        try store.removeImage(image.id)
        #expect(store.content == [])
    }

    @Test func killedAtAnyMoment() async throws {
        let root = scratch.root
        let store = try scratch.open()
        try TestImage([try TestLayer(["kept": "1"])]).put(store, ["localhost/kept:1"])
        let before = store.content
        for delay in [2, 5, 9, 14, 20, 30, 45] as [UInt32] {
            await #expect(processExitsWith: .signal(SIGALRM)) {
                [root = root as String, delay = delay as UInt32] in
                let store = try Store.open(root: root, runRoot: root + ".run")
                let layers = [try CrashTests.layer(), try TestLayer(["b": "2"])]
                var timer = itimerval(
                    it_interval: timeval(), it_value: timeval(tv_sec: 0, tv_usec: Int(delay) * 1000))
                setitimer(__itimer_which_t(ITIMER_REAL.rawValue), &timer, nil)
                while true {
                    let record = try TestImage(layers).put(store, ["localhost/again:1"])
                    try store.createSnapshot(id: "c", image: record)
                    _ = try store.mountSnapshot("c")
                    try store.removeSnapshot("c")
                    try store.removeImage(record.id)
                }
            }
            try store.sweep()
            if try store.snapshot("c") != nil { try store.removeSnapshot("c") }
            if let image = try store.image(named: "localhost/again:1") {
                try store.createSnapshot(id: "d", image: image)
                #expect(try File.names(in: store.mountSnapshot("d")).count == 51)
                try store.removeSnapshot("d")
                try store.removeImage(image.id)
            }
            try store.collectGarbage()
            try store.sweep()
            #expect(scratch.mounts == [])
            #expect(store.content == before)
        }
        #expect(try File.names(in: root + "/locks").sorted() == ["content", "store"])
    }

    @Test(arguments: TestDrivers.inMemory) func aFullDiskInThePull(_ driver: String) throws {
        try scratch.limit(toKiB: 3000)
        let store = try scratch.open(driver: driver)
        let kept = try TestImage([
            try TestLayer { try $0.add(TarEntry(.regular, "kept"), contents: noise(400_000)) }
        ])
        .put(store, ["localhost/kept:1"])
        let before = store.content
        let large = try TestLayer { writer in
            for number in 0..<40 {
                try writer.add(TarEntry(.regular, "f\(number)"), contents: noise(100_000))
            }
        }
        let error = #expect(throws: StorageError.self) {
            try TestImage([large]).put(store, ["localhost/large:1"])
        }
        #expect(error?.code == .noSpace)
        #expect("\(error!)".contains("no space left on device"))
        #expect(store.content == before)
        #expect(try store.image(named: "localhost/large:1") == nil)
        #expect(try store.image(named: "localhost/kept:1") == kept)
    }

    /// Space can be won back when there is none, also by the first process to come.
    @Test func removingFromAFullDisk() async throws {
        try scratch.limit(toKiB: 3000)
        let root = scratch.root
        let id = try TestImage([
            try TestLayer { try $0.add(TarEntry(.regular, "kept"), contents: noise(400_000)) }
        ])
        .put(try scratch.open(), ["localhost/kept:1"]).id
        let ballast = try File.open(root + "/containers/ballast", O_WRONLY | O_CREAT)
        let block = noise(4096)
        while (try? FD.writeAll(ballast.raw, block)) != nil {}
        await #expect(processExitsWith: .success) { [root = root as String, id = "\(id)" as String] in
            let store = try Store.open(root: root, runRoot: root + ".run")
            try store.sweep()
            try store.removeImage(try Digest(parsing: id))
        }
        let store = try scratch.open()
        #expect(try store.images() == [])
        #expect(store.content == [])
        try store.sweep()
        #expect(try File.readText(root + "/index.json").contains("localhost") == false)
    }

    @Test func aStoreThatDoesNotFit() throws {
        try scratch.limit(toKiB: 64)
        let error = #expect(throws: StorageError.self) { try scratch.open() }
        #expect(error?.code == .noSpace)
    }

    @Test func deepTreesAreRemoved() throws {
        let store = try scratch.open()
        let image = try TestImage([]).put(store)
        try store.createSnapshot(id: "c", image: image)
        let root = try store.mountSnapshot("c")
        var at = try File.open(root, O_RDONLY | O_DIRECTORY)
        for _ in 0..<1500 {
            try File.makeDirectory("d", at: at.raw)
            at = try File.open("d", at: at.raw, O_RDONLY | O_DIRECTORY)
        }
        try store.removeSnapshot("c")
        #expect(store.content.filter { $0.hasPrefix("trash") } == [])
    }
}
