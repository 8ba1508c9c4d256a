import ContainerStorage
import LayerArchive
import LinuxSystem
import Testing

/// Files' contents are kept once, whatever layers have them.
@Suite(.enabled(if: TestDrivers.all.contains("erofs"), "the driver erofs does not work here"))
struct FileObjectTests {
    private let scratch: Scratch
    private let store: Store

    init() throws {
        scratch = try Scratch()
        store = try scratch.open(driver: "erofs")
    }

    private var objects: [String] { store.content.filter { $0.hasPrefix("erofs/objects") } }

    @Test func contentsAreSharedOnDiskAndInMemory() throws {
        let shared = noise(1 << 20)
        var roots: [String] = []
        for number in 0..<3 {
            let layer = try TestLayer { writer in
                var entry = TarEntry(.regular, "same\(number)")
                entry.mode = UInt32(0o600 + number)
                try writer.add(entry, contents: shared)
                try writer.add(TarEntry(.regular, "own"), contents: [UInt8(number)])
            }
            let image = try TestImage([layer], env: "N=\(number)").put(store)
            try store.createSnapshot(id: "c\(number)", image: image)
            roots.append(try store.mountSnapshot("c\(number)"))
        }
        #expect(objects.count == 4)
        // What one reads the others find in memory.
        var resident: [Int] = []
        let object = try #require(
            objects.first { try! File.status("\(store.root)/\($0)").st_size == 1 << 20 })
        let file = try File.open("\(store.root)/\(object)")
        #expect(linux_syscall(Int(SYS_fadvise64), Int(file.raw), 0, 0, Int(POSIX_FADV_DONTNEED), 0, 0) == 0)
        for (number, root) in roots.enumerated() {
            let path = "\(root)/same\(number)"
            #expect(try File.status(path).st_mode & 0o777 == mode_t(0o600 + number))
            resident.append(try pagesInMemory(path))
            if number == 0 { #expect(try File.read(path) == shared) }
        }
        #expect(resident[1] == 256 && resident[2] == 256, "\(resident)")
        try File.replace(roots[0] + "/same0", with: [1])
        #expect(try File.read(roots[1] + "/same1") == shared)
    }

    private func pagesInMemory(_ path: String) throws -> Int {
        let file = try File.open(path)
        let size = Int(try FD.stat(file.raw).st_size)
        let memory = mmap(nil, size, PROT_READ, MAP_SHARED, file.raw, 0)!
        defer { munmap(memory, size) }
        var pages = [UInt8](repeating: 0, count: (size + 4095) / 4096)
        #expect(mincore(memory, size, &pages) == 0)
        return pages.count { $0 & 1 != 0 }
    }

    @Test func whatNoLayerNeedsIsRemoved() throws {
        let one = try TestImage([try TestLayer(["a": "both", "b": "one"])]).put(store)
        let two = try TestImage([try TestLayer(["a": "both", "c": "two"])], env: "N=2").put(store)
        #expect(objects.count == 3)
        try store.removeImage(one.id)
        #expect(objects.count == 2)
        let lease = try store.lease()
        try store.removeImage(two.id)
        #expect(objects.count == 2)
        lease.end()
        #expect(objects.isEmpty)
    }

    @Test func holesAreKeptAndNotRead() throws {
        let file = try File.open(scratch.path + "/sparse", O_RDWR | O_CREAT)
        _ = try retrying("truncate") { ftruncate(file.raw, 1 << 40) }
        try FD.writeAll(file.raw, noise(4096))
        try scratch.run(
            "tar", "-C", scratch.path, "--sparse", "--format=posix", "-cf", scratch.path + "/tar", "sparse")
        let layer = try TestLayer(tar: File.read(scratch.path + "/tar"))
        let image = try TestImage([layer]).put(store)
        try store.createSnapshot(id: "c", image: image)
        let status = try File.status(try store.mountSnapshot("c") + "/sparse")
        #expect(status.st_size == 1 << 40)
        #expect(try File.status("\(store.root)/\(objects[0])").st_blocks < 100)
    }

    @Test func aFailedPullLeavesNoObject() throws {
        let layer = try TestLayer(["a": "1", "b": "2"])
        #expect(throws: StorageError.self) {
            try store.ingestLayer(
                blob: layer.digest, size: nil, diffID: Digest.sha256(of: [1]), from: BytesSource(layer.blob))
        }
        #expect(store.content == [])
    }
}
