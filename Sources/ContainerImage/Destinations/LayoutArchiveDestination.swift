internal import JSONText
internal import LayerArchive
internal import LinuxSystem
internal import OCISpec
internal import Synchronization

/// An OCI layout in a tar archive.
final class LayoutArchiveDestination: ImageDestination, @unchecked Sendable {  // isParallel is false
    let name: String
    let traits: DestinationTraits
    private let file: ReplacedFile?
    private let writer: TarWriter
    private var index = ImageIndex(manifests: [])
    private var written: Set<Digest> = []

    convenience init(path: String, keepsPlainLayers: Bool) throws {
        let file = try ReplacedFile(path)
        try self.init("oci-archive:\(path)", file, file.file.raw, keepsPlainLayers)
    }

    /// - Parameter descriptor: a file or a pipe, which stays open.
    convenience init(descriptor: Int32, name: String) throws {
        try self.init(name, nil, descriptor, true)
    }

    private init(_ name: String, _ file: ReplacedFile?, _ descriptor: Int32, _ keepsPlainLayers: Bool) throws
    {
        self.name = name
        self.file = file
        var traits = DestinationTraits()
        traits.formats = [.oci]
        traits.layers = keepsPlainLayers ? .any : .compressed
        traits.isParallel = false
        self.traits = traits
        writer = TarWriter(DescriptorSink(descriptor))
        try writer.add(SavedFile(LayoutDestination.version), at: "oci-layout")
    }

    private func add(_ digest: Digest, _ content: SavedFile) throws -> Bool {
        guard written.insert(digest).inserted else { return false }
        try writer.add(content, at: "blobs/\(digest.blobName)")
        return true
    }

    func put(layer: OutgoingBlob) throws -> Bool {
        try add(layer.digest, SavedFile(size: layer.size, source: layer.open))
    }

    func put(config: OutgoingBlob) throws { _ = try put(layer: config) }

    func put(instance: OutgoingManifest) throws { _ = try add(instance.digest, SavedFile(instance.bytes)) }

    func put(top: OutgoingManifest, names: [String]) throws {
        try put(instance: top)
        LayoutIndexEntry(descriptor: top.descriptor, names: names).add(to: &index)
    }

    func commit() throws {
        try writer.add(SavedFile(index.json.bytes()), at: "index.json")
        try writer.finish()
        try file?.publish()
    }
}

/// A file in an archive, of a known size.
struct SavedFile {
    var size: Int64
    var source: () throws -> any ByteSource

    init(size: Int64, source: @escaping () throws -> any ByteSource) {
        self.size = size
        self.source = source
    }

    init(_ bytes: [UInt8]) {
        size = Int64(bytes.count)
        source = { BytesSource(bytes) }
    }
}

extension TarWriter {
    /// Adds a file. Owner and time are always the same: the same image gives the same archive.
    func add(_ file: SavedFile, at path: String) throws {
        var entry = TarEntry(.regular, path)
        entry.mode = 0o644
        entry.size = file.size
        let source = try file.source()
        try add(entry, contents: source)
        // A verifying source tells of a wrong digest in place of its end.
        guard try source.drain() == 0 else {
            throw ArchiveError(.sizeMismatch, "more than \(file.size) bytes", on: path)
        }
    }

    func add(directory path: String) throws {
        var entry = TarEntry(.directory, path)
        entry.mode = 0o755
        try begin(entry)
    }

    func add(link path: String, to target: String) throws {
        var entry = TarEntry(.symbolicLink, path)
        entry.mode = 0o777
        entry.linkTarget = Array(target.utf8)
        try begin(entry)
    }
}
