public import ContainerStorage
internal import LayerArchive
internal import LinuxSystem
internal import OCISpec

/// What `save` writes.
public enum SaveFormat: String, Sendable, CaseIterable {
    case dockerArchive = "docker-archive"
    case ociArchive = "oci-archive"
    case ociDirectory = "oci-dir"
    case dockerDirectory = "docker-dir"
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
    /// a directory, which is made or added to.
    public func save(_ images: [SavedImage], as format: SaveFormat, to path: String) throws(ImageError) {
        do {
            switch format {
            case .ociDirectory:
                try save(
                    images, to: LayoutDestination(path: path, options: options, keepsPlainLayers: true))
            case .dockerDirectory:
                guard images.count == 1 else {
                    throw ImageError(
                        .configuration, "save \(path)", "a docker-dir holds one image: name one")
                }
                try save(images, to: DirectoryDestination(path: path, layers: .any), format: .v2s2)
            default:
                let file = try ReplacedFile(path)
                try save(images, as: format, to: file.file.raw, name: path)
                try file.publish()
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
            let destination: any ImageDestination =
                format == .ociArchive
                ? try LayoutArchiveDestination(descriptor: descriptor, name: name)
                : DockerArchiveDestination(descriptor: descriptor, name: name)
            try save(images, to: destination)
        } catch {
            throw ImageError("save \(name)", any: error)
        }
    }

    private func save(
        _ images: [SavedImage], to destination: any ImageDestination, format: ManifestFormat? = nil
    ) throws {
        for image in images {
            let source = try StoreProvider(store, image.record)
            // Files are written one after another: there is little to tell.
            var copy = ImageCopy(source: source, destination: destination, form: PushForm(format: format))
            copy.threads = options.threads
            copy.makeScratch = { [store] in try store.makeUnnamedFile() }
            _ = try copy.run(names: image.names.map(\.canonical))
        }
        try destination.commit()
    }
}
