import ContainerStorage
import LayerArchive
import LinuxSystem
import Synchronization
import Testing

/// Layers that are recorded before the disk has them, and what becomes of them when it goes away.
@Suite struct UnwrittenTests {
    private let scratch: Scratch
    /// How often somebody was asked to do the rest.
    private let asked = Counter()

    private final class Counter: Sendable {
        private let count = Mutex(0)
        func add() { count.withLock { $0 += 1 } }
        func take() -> Int {
            count.withLock { count in
                defer { count = 0 }
                return count
            }
        }
    }

    init() throws { scratch = try Scratch() }

    /// - Parameter session: another number is another time that the disk was attached.
    private func open(_ session: Int, leaves: Bool = true) throws -> Store {
        let ask: @Sendable () -> Void = { [asked] in asked.add() }
        return try Store.open(
            root: scratch.root, runRoot: scratch.runRoot, driver: "overlay", leaveWork: leaves ? ask : nil,
            session: DiskSession(boot: "boot", sequence: "\(session)"), mayMake: true)
    }

    private func rows(_ store: Store) throws -> [String] {
        try store.database.read { connection throws(StorageError) in
            try connection.rows("SELECT diff_id, session FROM unwritten ORDER BY id") {
                "\($0.text(0).suffix(4)) \($0.text(1))"
            }
        }
    }

    private func row(_ layer: TestLayer, _ session: Int) -> String {
        "\("\(layer.diffID)".suffix(4)) boot disk \(session)"
    }

    /// What a disk may have of files that the kernel had not written yet: names, and no bytes.
    private func losePower() throws {
        for layer in try File.names(in: scratch.root + "/overlay/layers") {
            let diff = "\(scratch.root)/overlay/layers/\(layer)/diff"
            for name in try File.names(in: diff) {
                _ = try retrying("truncate", name) { truncate("\(diff)/\(name)", 0) }
            }
        }
    }

    private func text(_ store: Store, _ image: ImageRecord, _ name: String = "a") throws -> String {
        let view = try store.openView(image.diffIDs)
        return try File.readText(name, at: view.raw)
    }

    @Test func anotherProcessWritesThemOut() throws {
        let store = try open(1)
        let layers = [try TestLayer(["a": "1"]), try TestLayer(["b": "2"])]
        try TestImage(layers).put(store, ["localhost/a:1"])
        #expect(try rows(store) == layers.map { row($0, 1) })
        #expect(asked.take() == 1)
        let sweeper = try open(1, leaves: false)
        try sweeper.finishWork()
        #expect(try rows(store) == [])
        #expect(asked.take() == 0)
        _ = try open(1)
        #expect(asked.take() == 0)
    }

    @Test func whoLeavesNoWorkWritesThemOutAtOnce() throws {
        let store = try open(1, leaves: false)
        try TestImage([try TestLayer(["a": "1"])]).put(store)
        #expect(try rows(store) == [])
    }

    @Test func whereNothingTellsTheDisksApartTheyAreWrittenOutAtOnce() throws {
        let store = try Store.open(
            root: scratch.root, runRoot: scratch.runRoot, driver: "overlay",
            leaveWork: { [asked] in asked.add() },
            session: DiskSession(boot: "boot", sequence: nil), mayMake: true)
        try TestImage([try TestLayer(["a": "1"])]).put(store)
        #expect(try rows(store) == [])
        #expect(asked.take() == 0)
    }

    /// The one who was to write them out was killed.
    @Test func theNextCommandHasThemWrittenOut() throws {
        try TestImage([try TestLayer(["a": "1"])]).put(try open(1))
        _ = asked.take()
        let store = try open(1)
        #expect(asked.take() == 1)
        #expect(try rows(store).count == 1)
        // While somebody is at it, nobody else is asked.
        let lock = try FileLock(scratch.root + "/locks/unwritten")
        _ = try open(1)
        #expect(asked.take() == 0)
        _ = consume lock
        try open(1, leaves: false).finishWork()
        #expect(try rows(store) == [])
    }

    @Test func afterAPowerFailureTheyAreUnpackedAgain() throws {
        let layer = try TestLayer(["a": "one"])
        let image = try TestImage([layer]).put(try open(1), ["localhost/a:1"])
        try open(1).createSnapshot(id: "c", image: image)
        try losePower()
        _ = asked.take()
        let store = try open(2)
        #expect(asked.take() == 1)
        #expect(!store.hasLayer(layer.diffID))
        #expect(try store.images() == [image])
        // Only the first to come has something to throw away.
        _ = try open(2)
        #expect(asked.take() == 0)
        #expect(try File.readText(store.mountSnapshot("c") + "/a") == "one")
        #expect(try rows(store) == [row(layer, 2)])
        #expect(asked.take() > 0)
        try open(2, leaves: false).finishWork()
        #expect(try rows(store) == [])
        #expect(try store.check(quick: false).map(\.description) == [])
    }

    @Test func theProcessInTheBackgroundUnpacksThemToo() throws {
        let image = try TestImage([try TestLayer(["a": "one"]), try TestLayer(["b": "two"])]).put(try open(1))
        try losePower()
        let store = try open(2, leaves: false)
        try store.finishWork()
        #expect(try rows(store) == [])
        #expect(image.diffIDs.allSatisfy(store.hasLayer))
        #expect(try text(store, image) == "one")
    }

    @Test func whatWasWrittenOutStays() throws {
        let image = try TestImage([try TestLayer(["a": "one"])]).put(try open(1))
        try open(1, leaves: false).finishWork()
        let store = try open(2)
        #expect(store.hasLayer(image.diffIDs[0]))
        #expect(try rows(store) == [])
    }

    @Test func anotherImageOfTheSameLayer() throws {
        let shared = try TestLayer(["a": "one"])
        let first = try open(1)
        try TestImage([shared]).put(first)
        let store = try open(1)
        #expect(try store.ingest(shared).reused)
        let other = try TestLayer(["b": "two"])
        let image = try TestImage([shared, other]).put(store)
        // Durable it is no more than before.
        #expect(try rows(store) == [row(shared, 1), row(other, 1)])
        try losePower()
        let next = try open(2)
        let info = try next.ingestLayer(
            blob: shared.digest, size: Int64(shared.blob.count), diffID: shared.diffID,
            from: {
                Issue.record("it is fetched")
                return BytesSource(shared.blob)
            }())
        #expect(!info.reused)
        #expect(try rows(next) == [row(other, 1), row(shared, 2)])
        #expect(try text(next, image) == "one")
        #expect(try text(next, image, "b") == "two")
    }

    @Test func onAFullDiskTheyAreMissingUntilThereIsRoom() throws {
        try scratch.limit(toKiB: 4000)
        let layer = try TestLayer { try $0.add(TarEntry(.regular, "a"), contents: noise(400_000)) }
        let first = try open(1)
        let image = try TestImage([layer]).put(first, ["localhost/a:1"])
        try first.createSnapshot(id: "c", image: image)
        try losePower()
        let store = try open(2)
        try File.removeTree(scratch.root + "/trash")
        try File.makeDirectory(scratch.root + "/trash")
        let ballast = try File.open(scratch.root + "/containers/ballast", O_WRONLY | O_CREAT)
        let block = noise(4096)
        while (try? FD.writeAll(ballast.raw, block)) != nil {}
        let error = #expect(throws: StorageError.self) { try store.mountSnapshot("c") }
        #expect(error?.code == .noSpace)
        #expect(throws: StorageError.self) { try open(2, leaves: false).finishWork() }
        #expect(try rows(store) == [row(layer, 1)])
        #expect(try open(2).images() == [image])
        let damage = try store.check(quick: true)
        #expect(damage.count == 1 && damage[0].reason.contains("the disk lost it"), "\(damage)")
        try File.unlink(scratch.root + "/containers/ballast")
        _ = try retrying("truncate") { [raw = ballast.raw] in ftruncate(raw, 0) }
        #expect(try File.read(store.mountSnapshot("c") + "/a").count == 400_000)
    }

    @Test func rowsGoWithTheirLayers() throws {
        let store = try open(1)
        let layer = try TestLayer(["a": "1"])
        let image = try TestImage([layer]).put(store)
        try store.removeImage(image.id)
        #expect(try rows(store) == [])
        try TestImage([layer]).put(store)
        #expect(try rows(store) == [row(layer, 1)])
    }

    /// With the image its blobs go, of which the layer could be made again.
    @Test func aContainerWhoseImageIsRemovedKeepsItsLayers() throws {
        let store = try open(1)
        let image = try TestImage([try TestLayer(["a": "one"])]).put(store)
        try store.createSnapshot(id: "c", image: image)
        try store.removeImage(image.id, keepingSnapshots: true)
        #expect(try rows(store) == [])
        #expect(try File.readText(open(2).mountSnapshot("c") + "/a") == "one")
    }

    /// What was written out, and lost by other means, is as new as any other when it comes again.
    @Test func aLostLayerThatComesAgain() throws {
        let layer = try TestLayer(["a": "one"])
        let image = try TestImage([layer]).put(try open(1, leaves: false))
        try File.removeTree("\(scratch.root)/overlay/layers/\(layer.diffID.hex)")
        let store = try open(1)
        #expect(try text(store, image) == "one")
        #expect(try rows(store) == [row(layer, 1)])
        try losePower()
        #expect(try text(open(2), image) == "one")
    }

    @Test func migrationsAndRepairsWriteOut() throws {
        let store = try open(1)
        let image = try TestImage([try TestLayer(["a": "one"])]).put(store)
        try File.unlink("\(scratch.root)/overlay/layers/\(image.diffIDs[0].hex)/diff/a")
        let damage = try store.check(quick: false)
        #expect(damage.count == 1)
        #expect(try store.repair(damage)[0].repair == "unpacked anew")
        #expect(try rows(store) == [])
        try TestImage([try TestLayer(["b": "two"])]).put(store)
        try losePower()
        _ = try open(2).migrate(to: .vfs)
        #expect(try rows(store) == [])
        #expect(try store.check(quick: false).map(\.description) == [])
    }

    /// Stores of the version before have no such rows.
    @Test func aStoreOfAnOlderVersion() throws {
        let layer = try TestLayer(["a": "1"])
        do {
            let store = try open(1, leaves: false)
            try TestImage([layer]).put(store, ["localhost/a:1"])
            try store.database.write { connection throws(StorageError) in
                try connection.executeScript(
                    """
                    DROP TABLE artifact_blob; DROP TABLE artifact; DROP TABLE unwritten;
                    UPDATE room SET version = 1 WHERE name = 'storage'
                    """)
            }
        }
        let store = try open(2)
        #expect(try store.images().count == 1)
        #expect(store.hasLayer(layer.diffID))
        #expect(try store.artifacts().isEmpty)
    }
}
