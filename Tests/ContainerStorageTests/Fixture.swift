import ContainerStorage
import JSONText
import LayerArchive
import LinuxSystem
import OCISpec
import Testing

/// A directory of a test's own, with everything mounted in it gone and itself
/// removed at the end.
final class Scratch: Sendable {
    let path: String

    init(_ name: String = "apus-storage") throws {
        path = "/tmp/\(name)-\(getpid())-\(String(UInt64.random(in: .min ... .max), radix: 36))"
        try File.makeDirectory(path)
    }

    var root: String { path + "/store" }
    var runRoot: String { path + "/run" }

    func open(driver: String? = nil) throws -> Store {
        if driver == "btrfs" { try becomeBtrfs() }
        return try Store.open(root: root, runRoot: runRoot, driver: driver)
    }

    /// Mounts a btrfs of a loop device's over the directory, once.
    func becomeBtrfs() throws {
        let directory = try File.open(path, O_RDONLY | O_DIRECTORY)
        if BtrfsSubvolume.isOnBtrfs(directory.raw) { return }
        let image = path + ".btrfs"
        let file = try File.open(image, O_RDWR | O_CREAT)
        _ = try retrying("truncate", image) { ftruncate(file.raw, 256 << 20) }
        defer { try? File.unlink(image) }
        try run("mkfs.btrfs", "-q", image)
        try run("mount", "-o", "loop", image, path)
    }

    func run(_ command: String...) throws {
        let exit = try Spawn.wait(try Spawn.start(command[0], command, descriptors: [nil, nil, 2]))
        if exit.exitCode != 0 { throw SystemError("run", command.joined(separator: " "), .io) }
    }

    /// Mounts a small file system in memory where the store will be.
    func limit(toKiB size: Int) throws {
        try File.makeDirectory(root)
        _ = try retryingMount { mount("tmpfs", root, "tmpfs", 0, "size=\(size)k,mode=755") }
    }

    private func retryingMount(_ call: () -> Int32) throws {
        if call() != 0 { throw SystemError("mount", root, .current) }
    }

    /// What is mounted below.
    var mounts: [String] {
        ((try? File.readText("/proc/self/mounts")) ?? "").split(separator: "\n")
            .compactMap { $0.split(separator: " ").dropFirst().first.map(String.init) }
            .filter { $0.hasPrefix(path + "/") }
    }

    deinit {
        for mount in mounts.reversed() { umount2(mount, Int32(MNT_DETACH)) }
        umount2(path, Int32(MNT_DETACH))
        _ = try? TreeRemoval.remove(path, at: File.currentDirectory)
    }
}

/// A layer in memory.
struct TestLayer: Sendable {
    var blob: [UInt8]
    var digest: Digest
    var diffID: Digest

    init(_ compression: Compression = .gzip, _ fill: (TarWriter) throws -> Void) throws {
        let plain = BytesSink()
        let writer = TarWriter(plain)
        try fill(writer)
        try writer.finish()
        try self.init(tar: plain.bytes, compression)
    }

    init(tar: [UInt8], _ compression: Compression = .gzip) throws {
        if compression == .bzip2 {
            blob = try bzip2(tar)
        } else {
            let packed = BytesSink()
            let sink = try CompressingSink(compression, to: packed)
            try sink.write(tar)
            try sink.finish()
            blob = packed.bytes
        }
        digest = Digest.sha256(of: blob)
        diffID = Digest.sha256(of: tar)
    }

    init(_ files: KeyValuePairs<String, String>, compression: Compression = .gzip) throws {
        try self.init(compression) { writer in
            for (name, text) in files { try writer.add(TarEntry(.regular, name), contents: Array(text.utf8)) }
        }
    }

    var mediaType: String { MediaType.ociLayerGzip }
}

/// By the program: nothing of ours writes bzip2.
func bzip2(_ bytes: [UInt8]) throws -> [UInt8] {
    let plain = try File.open("/tmp", O_RDWR | O_TMPFILE, mode: 0o600)
    let packed = try File.open("/tmp", O_RDWR | O_TMPFILE, mode: 0o600)
    try bytes.withUnsafeBytes { try FD.writeAll(plain.raw, $0) }
    lseek(plain.raw, 0, SEEK_SET)
    let pid = try Spawn.start("bzip2", ["bzip2", "-c"], descriptors: [plain.raw, packed.raw, 2])
    try #require(Spawn.wait(pid).exitCode == 0)
    lseek(packed.raw, 0, SEEK_SET)
    return try FD.readAll(packed.raw, limit: 64 << 20)
}

struct TestImage: Sendable {
    var config: [UInt8]
    var manifest: [UInt8]
    var layers: [TestLayer]

    init(_ layers: [TestLayer], env: String = "A=1", docker: Bool = false) {
        var defaults = ContainerDefaults()
        defaults.env = [env]
        let config = ImageConfig(
            created: "2024-01-02T03:04:05Z", platform: Platform(os: "linux", architecture: "amd64"),
            config: defaults,
            diffIDs: layers.map { "\($0.diffID)" }
        ).json.bytes()
        let manifest = ImageManifest(
            mediaType: docker ? MediaType.dockerManifest : MediaType.ociManifest,
            config: ContentDescriptor(
                mediaType: docker ? MediaType.dockerConfig : MediaType.ociConfig,
                digest: "\(Digest.sha256(of: config))", size: Int64(config.count)),
            layers: layers.map {
                ContentDescriptor(
                    mediaType: docker ? MediaType.dockerLayerGzip : MediaType.ociLayerGzip,
                    digest: "\($0.digest)",
                    size: Int64($0.blob.count))
            })
        self.layers = layers
        self.config = config
        // Not what our own writer would give: the store keeps the bytes.
        self.manifest = manifest.json.bytes(indent: docker ? "   " : " ") + [0x0A]
    }

    @discardableResult
    func put(_ store: Store, _ names: [String] = [], repoDigests: [String] = []) throws -> ImageRecord {
        let lease = try store.lease()
        defer { lease.end() }
        try store.writeBlob(config)
        for layer in layers { try store.ingest(layer) }
        return try store.putImage(manifest: manifest, names: names, repoDigests: repoDigests)
    }
}

extension Store {
    @discardableResult
    func ingest(_ layer: TestLayer) throws -> LayerInfo {
        try ingestLayer(
            blob: layer.digest, size: Int64(layer.blob.count), diffID: layer.diffID,
            from: BytesSource(layer.blob))
    }

    /// All files of the content, for comparisons.
    var content: [String] {
        let folders = ["blobs/sha256", "overlay/layers", "vfs/layers", "vfs/trees", "ingest", "trash"]
        let others = ["btrfs/layers", "btrfs/trees", "erofs/layers", "erofs/trees"]
        let objects = ((try? File.names(in: "\(root)/erofs/objects")) ?? []).map { "erofs/objects/\($0)" }
        return
            (folders.flatMap { folder in
                ((try? File.names(in: "\(root)/\(folder)")) ?? ["missing"]).map { "\(folder)/\($0)" }
            }
            + (others + objects).flatMap { folder in
                ((try? File.names(in: "\(root)/\(folder)")) ?? []).map { "\(folder)/\($0)" }
            }).sorted()
    }
}

/// Gives so many bytes and then does something.
final class TrippingSource: ByteSource {
    private let source: any ByteSource
    private var left: Int
    private let trip: () throws -> Void

    init(_ source: any ByteSource, after count: Int, _ trip: @escaping () throws -> Void) {
        self.source = source
        left = count
        self.trip = trip
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        if left == 0 { try trip() }
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<max(1, min(buffer.count, left))])
        let count = try source.read(into: part)
        left = max(0, left - count)
        return count
    }
}

/// Random bytes do not compress.
func noise(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return (0..<count / 8).flatMap { _ in withUnsafeBytes(of: generator.next()) { Array($0) } }
}

func exists(_ path: String) -> Bool { File.exists(path) }

/// The drivers that this machine can run.
enum TestDrivers {
    static let all = SnapshotterName.allCases.map(\.rawValue).filter { driver in
        do {
            _ = try Scratch("apus-driver").open(driver: driver)
            return true
        } catch {
            print("without the driver \(driver): \(error)")
            return false
        }
    }
    /// EROFS reads its image from no file of tmpfs.
    static let inMemory = ["overlay", "vfs"]
}
