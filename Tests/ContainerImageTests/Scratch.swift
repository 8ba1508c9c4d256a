import ContainerImage
import ContainerStorage
import JSONText
import LayerArchive
import LinuxSystem
import OCISpec
import Synchronization
import Testing

/// A directory of a test's own, and what it needs to make images in it.
final class Scratch: Sendable {
    let path: String
    private static let count = Mutex(0)

    init() throws {
        let number = Self.count.withLock {
            $0 += 1
            return $0
        }
        path = "/tmp/apus-image-\(getpid())-\(number)"
        try File.makeDirectories(path)
    }

    deinit { try? File.removeTree(path) }

    func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

    func store(_ name: String = "store") throws -> Store {
        try Store.open(root: self(name), runRoot: self(name + ".run"), driver: nil)
    }

    func write(_ name: String, _ bytes: [UInt8]) throws {
        try File.replace(self(name), with: bytes, durable: false)
    }

    /// Runs a program to its end.
    @discardableResult
    func run(_ program: String, _ arguments: String..., expecting: Int32 = 0) throws -> String {
        let log = self("output")
        let output = try File.open(log, O_RDWR | O_CREAT | O_TRUNC)
        let pid = try Spawn.start(program, [program] + arguments, descriptors: [nil, output.raw, output.raw])
        let status = try Spawn.wait(pid)
        let text = try File.readText(log)
        try #require(status.exitCode == expecting, "\(program) \(arguments): \(text)")
        return text
    }

    /// - Parameter registries: the registries.conf, in place of the machine's.
    func options(
        registries: String = "", _ change: (inout TransferOptions) -> Void = { _ in }
    ) throws -> TransferOptions {
        var options = TransferOptions()
        options.registriesConfig = self("registries.conf")
        try write("registries.conf", Array(registries.utf8))
        change(&options)
        return options
    }

    /// An image with two layers, made by `import` and by hand, as a layout.
    func sampleLayout(_ name: String = "layout", compression: Compression = .gzip) throws -> TestLayout {
        let layout = try TestLayout(self(name))
        let first = try layout.layer(
            ["etc/hello": "hello\n", "bin/tool": String(repeating: "x", count: 300_000)], compression)
        let second = try layout.layer(["etc/.wh.hello": "", "etc/world": "world\n"], compression)
        try layout.image("docker.io/library/sample:1", [first, second])
        return layout
    }
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

/// Writes an image layout, right or wrong.
final class TestLayout {
    struct Layer {
        var descriptor: ContentDescriptor
        var diffID: Digest
    }

    let path: String
    private(set) var manifests: [ContentDescriptor] = []

    init(_ path: String) throws {
        self.path = path
        try File.makeDirectories("\(path)/blobs/sha256")
        try File.replace(
            "\(path)/oci-layout", with: Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8), durable: false)
        try writeIndex()
    }

    func blob(_ bytes: [UInt8], _ type: String) throws -> ContentDescriptor {
        let digest = Digest.sha256(of: bytes)
        try File.replace("\(path)/blobs/sha256/\(digest.hex)", with: bytes, durable: false)
        return ContentDescriptor(mediaType: type, digest: "\(digest)", size: Int64(bytes.count))
    }

    func layer(_ files: [String: String], _ compression: Compression = .gzip) throws -> Layer {
        let sink = BytesSink()
        let tar = TarWriter(sink)
        for (name, contents) in files.sorted(by: { $0.key < $1.key }) {
            try tar.add(TarEntry(.regular, name), contents: Array(contents.utf8))
        }
        try tar.finish()
        return try layer(tar: sink.bytes, compression)
    }

    func layer(tar: [UInt8], _ compression: Compression = .gzip) throws -> Layer {
        let packed = BytesSink()
        if compression == .bzip2 {
            try packed.write(bzip2(tar))
        } else {
            let sink = try CompressingSink(compression, to: packed)
            try sink.write(tar)
            try sink.finish()
        }
        let type =
            switch compression {
            case .none: MediaType.ociLayer
            // As Docker has it: the type says little.
            case .gzip, .bzip2: MediaType.ociLayerGzip
            case .zstd: MediaType.ociLayerZstd
            }
        return Layer(descriptor: try blob(packed.bytes, type), diffID: Digest.sha256(of: tar))
    }

    /// - Parameter name: nil for a manifest that the layout's index does not list.
    @discardableResult
    func image(
        _ name: String?, _ layers: [Layer], platform: Platform = .host,
        change: (inout ImageManifest, inout ImageConfig) -> Void = { _, _ in }
    ) throws -> ContentDescriptor {
        var config = ImageConfig(platform: platform.normalized, diffIDs: layers.map { "\($0.diffID)" })
        config.created = "2024-01-02T03:04:05Z"
        var manifest = ImageManifest(
            config: ContentDescriptor(mediaType: MediaType.ociConfig, digest: "", size: 0),
            layers: layers.map(\.descriptor))
        change(&manifest, &config)
        let written = try blob(config.json.bytes(), MediaType.ociConfig)
        manifest.config.digest = written.digest
        manifest.config.size = written.size
        var descriptor = try blob(manifest.json.bytes(), MediaType.ociManifest)
        descriptor.platform = platform
        if let name { try list(descriptor, name) }
        return descriptor
    }

    func list(_ descriptor: ContentDescriptor, _ name: String) throws {
        var descriptor = descriptor
        descriptor.annotations[ContentDescriptor.referenceName] = name
        manifests.append(descriptor)
        try writeIndex()
    }

    func index(_ name: String?, _ members: [ContentDescriptor]) throws -> ContentDescriptor {
        let descriptor = try blob(ImageIndex(manifests: members).json.bytes(), MediaType.ociIndex)
        if let name { try list(descriptor, name) }
        return descriptor
    }

    private func writeIndex() throws {
        try File.replace(
            "\(path)/index.json", with: ImageIndex(manifests: manifests).json.bytes(), durable: false)
    }

    func file(_ descriptor: ContentDescriptor) -> String {
        "\(path)/blobs/sha256/\(descriptor.digest.dropFirst(7))"
    }
}

/// Remembers what was told.
final class Recorder: TransferProgress {
    private let log = Mutex<[(Digest, LayerProgress)]>([])
    private let warnings_ = Mutex<[String]>([])
    var warnings: [String] { warnings_.withLock { $0 } }

    func resolving(_ reference: String) {}
    func note(_ text: String) {}
    func warning(_ text: String) { warnings_.withLock { $0.append(text) } }
    func layer(_ digest: Digest, _ state: LayerProgress) { log.withLock { $0.append((digest, state)) } }

    func count(_ state: LayerProgress) -> Int { log.withLock { $0.count { $0.1 == state } } }

    /// Layers of which only parts came.
    var assembled: [(fetched: Int64, size: Int64)] {
        log.withLock { log in
            log.compactMap { _, state in
                if case .assembled(let fetched, let size) = state { (fetched, size) } else { nil }
            }
        }
    }
}

extension Store {
    /// Every blob, partial and layer: what a failed transfer must leave empty.
    var leftovers: [String] {
        var found: [String] = []
        for directory in ["blobs/sha256", "ingest", "partial", "trash", "overlay/layers"] {
            for name in (try? File.names(in: "\(root)/\(directory)")) ?? [] {
                found.append("\(directory)/\(name)")
            }
        }
        return found
    }
}
