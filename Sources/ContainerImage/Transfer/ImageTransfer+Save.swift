public import ContainerStorage
internal import JSONText
internal import LayerArchive
internal import LinuxSystem
internal import OCISpec

/// What `save` writes.
public enum SaveFormat: String, Sendable, CaseIterable {
    case dockerArchive = "docker-archive"
    case ociArchive = "oci-archive"
    case ociDirectory = "oci-dir"
}

/// An image to save and the names that it gets in the archive.
public struct SavedImage: Sendable {
    public var record: ImageRecord
    public var names: [ImageReference]

    public init(_ record: ImageRecord, names: [ImageReference]) {
        self.record = record
        self.names = names
    }
}

extension ImageTransfer {
    /// Writes images into an archive file, which appears when it is whole, or
    /// a layout's directory, which is made or added to.
    public func save(_ images: [SavedImage], as format: SaveFormat, to path: String) throws(ImageError) {
        if format == .ociDirectory {
            return try saveLayout(at: path) { writer in try add(images, to: &writer) }
        }
        try saveFile(path) { descriptor throws(ImageError) in
            try save(images, as: format, to: descriptor, name: path)
        }
    }

    /// A file that appears when it is whole.
    func saveFile(_ path: String, _ write: (Int32) throws(ImageError) -> Void) throws(ImageError) {
        do {
            // A device or a FIFO (`/dev/stdout`) is written as it is.
            if let status = try? File.status(path), status.st_mode & S_IFMT != S_IFREG {
                guard status.st_mode & S_IFMT != S_IFDIR else {
                    throw ImageError(.file, "save \(path)", "it is a directory")
                }
                let file = try File.open(path, O_WRONLY)
                return try write(file.raw)
            }
            let temporary = "\(path).\(getpid()).tmp"
            do {
                let file = try File.open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
                try write(file.raw)
                try file.close()
                try File.rename(temporary, to: path)
            } catch {
                try? File.unlink(temporary)
                throw error
            }
        } catch {
            throw ImageError("save \(path)", any: error)
        }
    }

    /// Writes images as an archive into a descriptor.
    /// - Parameters:
    ///   - descriptor: a file or a pipe, which stays open.
    ///   - name: as messages name it.
    public func save(
        _ images: [SavedImage], as format: SaveFormat, to descriptor: Int32, name: String
    ) throws(ImageError) {
        do {
            let writer = TarWriter(DescriptorSink(descriptor))
            if format == .dockerArchive {
                try DockerArchiveWriter(store, writer).write(images)
            } else {
                var layout = try LayoutWriter(existing: nil) { try writer.add($1, at: $0) }
                try add(images, to: &layout)
                try layout.finish()
            }
            try writer.finish()
        } catch {
            throw ImageError("save \(name)", any: error)
        }
    }

    private func add(_ images: [SavedImage], to layout: inout LayoutWriter) throws {
        for image in images {
            // Layouts' readers know no Docker manifest.
            let outgoing = try OutgoingImage(store, image.record, format: .oci, layers: .asStored)
            try layout.add(outgoing, names: image.names.map(\.canonical))
        }
    }

    /// A layout's directory, which is made or added to.
    func saveLayout(at path: String, _ write: (inout LayoutWriter) throws -> Void) throws(ImageError) {
        do {
            var existing: ImageIndex?
            if let names = try? File.names(in: path), !names.isEmpty {
                existing = try LayoutProvider.index(try DirectoryFiles(path))
            }
            try File.makeDirectories("\(path)/blobs/sha256")
            var layout = try LayoutWriter(existing: existing) { name, content in
                let target = "\(path)/\(name)"
                // Blobs are named by their content: those that are there stay.
                if name.hasPrefix("blobs/"), let status = try? File.status(target),
                    status.st_size == content.size
                {
                    return
                }
                if name.hasPrefix("blobs/sha512/") { try File.makeDirectories("\(path)/blobs/sha512") }
                try content.write(to: target)
            }
            try write(&layout)
            try layout.finish()
        } catch {
            throw ImageError("save \(path)", any: error)
        }
    }
}

/// A file to write, of a known size.
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

    /// The file appears when it is whole.
    func write(to path: String) throws {
        let temporary = "\(path).\(getpid())-\(gettid()).tmp"
        do {
            let file = try File.open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW)
            try source().copy(to: DescriptorSink(file.raw))
            try file.close()
            try File.rename(temporary, to: path)
        } catch {
            try? File.unlink(temporary)
            throw error
        }
    }
}

extension TarWriter {
    /// Adds a file. Owner and time are always the same: the same image gives the same archive.
    func add(_ file: SavedFile, at path: String) throws {
        var entry = TarEntry(.regular, path)
        entry.mode = 0o644
        entry.size = file.size
        try add(entry, contents: try file.source())
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
