public import ContainerStorage
public import LayerArchive
internal import LinuxSystem
internal import OCISpec

/// In which form an image is pushed or copied.
public struct PushForm: Sendable {
    /// nil for the manifest's own.
    public var format: ManifestFormat?
    /// nil for the layers' own; what was never compressed is, by gzip.
    public var compression: Compression?
    /// With zstd: as zstd:chunked.
    public var isChunked = false
    /// 1 to 9 for gzip, 1 to 20 for zstd; nil for the usual one.
    public var level: Int?
    /// Compress also what is compressed as it should be.
    public var again: Bool
    /// Plain layers do not stay plain in a `dir:` either.
    public var compressesDirectory = false
    /// Layers become plain.
    public var decompresses = false
    /// Plain layers stay plain in a layout, too.
    public var keepsPlainLayers = false
    /// What would change a digest is an error.
    public var preservesDigests = false
    public var signing = ImageSigning()

    public init(
        format: ManifestFormat? = nil, compression: Compression? = nil, level: Int? = nil,
        again: Bool = false
    ) {
        self.format = format
        self.compression = compression
        self.level = level
        self.again = again
    }

    /// What `compress(as:)` takes.
    public static let compressionNames = ["gzip", "zstd", "zstd:chunked"]

    /// - Parameter name: nil leaves the layers' own.
    public mutating func compress(as name: String?) {
        isChunked = name == "zstd:chunked"
        compression = isChunked ? .zstd : name.flatMap(Compression.init)
    }
}

extension ImageTransfer {
    /// Copies an image of the store to another place.
    /// - Returns: the digest of the manifest as it is there.
    public func push(
        _ record: ImageRecord, to destination: ImageSource, form: PushForm = PushForm()
    ) throws(ImageError) -> Digest {
        do {
            let source = try StoreProvider(store, record)
            if case .store(let root, let name) = destination {
                let other = try options.localStores(for: destination).open(root)
                return try fetch(into: other, source, name, form)
            }
            let pushed = try carry(source, to: destination, names: try destination.names, form: form)
            if case .registry(let text) = destination, pushed.digest == record.manifestDigest {
                // Known there from now on: another repository can take its blobs over.
                let repository = try ImageReference(parsing: text).repository
                try store.putImage(
                    manifest: pushed.bytes, mediaType: pushed.mediaType,
                    repoDigests: ["\(repository)@\(pushed.digest)"])
            }
            if case .dockerArchive = destination { return record.manifestDigest }
            return pushed.digest
        } catch {
            throw ImageError("push to \(destination)", any: error)
        }
    }

    private func fetch(
        into store: Store, _ source: any ImageProvider, _ name: String, _ form: PushForm
    ) throws -> Digest {
        var other = self
        other.options.platform = nil
        return try ImageTransfer(store: store, options: other.options, progress: progress)
            .keep(source, as: name, form: form).manifestDigest
    }
}

extension ImageTransfer {
    /// Copies something of the store elsewhere.
    func carry(
        _ source: any ImageProvider, to destination: ImageSource, names: [String], form: PushForm
    ) throws -> OutgoingManifest {
        let stop = StopFlag()
        let target = try destination.destination(options, form, stop: stop)
        var copy = ImageCopy(source: source, destination: target, form: form)
        copy.threads = options.threads
        copy.trust = options.trust
        copy.progress = progress
        copy.stop = stop
        copy.makeScratch = { [store] in try store.makeUnnamedFile() }
        let carried = try copy.run(names: names)
        try target.commit()
        return carried
    }
}
