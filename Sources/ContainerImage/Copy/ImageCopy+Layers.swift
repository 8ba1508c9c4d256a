internal import LayerArchive
internal import LinuxSystem
internal import OCISpec

/// What becomes of a layer on its way.
enum LayerForm: Sendable, Equatable {
    case asIs
    case compressed(Compression)
    /// As zstd:chunked.
    case chunked
    case plain

    var isZstd: Bool { self == .chunked || self == .compressed(.zstd) }

    /// Of the layer that is made; nil for the one that was there.
    var mediaType: String? {
        switch self {
        case .asIs: nil
        case .compressed(let compression): compression.layerType
        case .chunked: Compression.zstd.layerType
        case .plain: MediaType.ociLayer
        }
    }
}

struct CopiedLayer: Sendable {
    var descriptor: ContentDescriptor
    var digest: Digest
    var diffID: Digest?
    /// As it is at the source.
    var compression: Compression
    var form: LayerForm
}

extension ImageCopy {
    /// What is to be done with each layer.
    func plans(_ manifest: ImageManifest, _ config: SourceConfig) throws -> [CopiedLayer] {
        let traits = destination.traits
        var touches =
            traits.layers != .any || form.compression != nil || form.again || form.decompresses
        if traits.layers == .plain || (config.image != nil && (form.compression != nil || form.again)) {
            // Who makes new layers must know what is in them.
            _ = try config.requireDiffIDs(manifest, name: source.name)
        }
        // An artifact's layers: only its own program knows what may be done with them.
        if config.image == nil { touches = false }
        let diffIDs = config.diffIDs(manifest)
        return try manifest.layers.enumerated().map { position, descriptor in
            let digest = try Digest(descriptor, in: source.name)
            var layer = CopiedLayer(
                descriptor: descriptor, digest: digest, diffID: diffIDs?[position], compression: .none,
                form: .asIs)
            let isLayer = descriptor.mediaType.isEmpty || MediaType.isLayer(descriptor.mediaType)
            guard touches, isLayer, !descriptor.mediaType.hasSuffix("+encrypted") else {
                guard traits.layers != .plain else {
                    throw ImageError(
                        .unsupported, "copy to \(destination.name)",
                        "it holds no layers of type \(descriptor.mediaType.prefix(100))")
                }
                return layer
            }
            if isForeign(descriptor) { return layer }
            layer.compression = try source.compression(of: descriptor, digest)
            layer.form = wanted(layer)
            if layer.diffID == nil { layer.form = .asIs }
            return layer
        }
    }

    private func wanted(_ layer: CopiedLayer) -> LayerForm {
        let present = layer.compression
        if destination.traits.layers == .plain || form.decompresses {
            return present == .none ? .asIs : .plain
        }
        if let asked = form.compression ?? (form.again ? .gzip : nil) {
            if form.isChunked {
                let descriptor = layer.descriptor
                let known = ChunkedLayer(annotations: descriptor.annotations, size: descriptor.size)
                return form.again || present != .zstd || known == nil ? .chunked : .asIs
            }
            return form.again || asked != present ? .compressed(asked) : .asIs
        }
        return destination.traits.layers == .compressed && present == .none ? .compressed(.gzip) : .asIs
    }

    /// Its blob is to be had elsewhere.
    private func isForeign(_ descriptor: ContentDescriptor) -> Bool {
        destination.traits.leavesForeignLayers && MediaType.isForeignLayer(descriptor.mediaType)
            && !descriptor.urls.isEmpty
    }

    /// Brings the layers to the destination, several at once.
    /// - Returns: the layers as they are there, in order.
    func put(_ layers: [CopiedLayer]) throws -> [OutgoingBlob] {
        for layer in layers { progress.layer(layer.digest, .waiting(size: layer.descriptor.size)) }
        // The largest first: one that came last would have a thread to itself. Two layers may be
        // the same blob.
        var first: [Digest: Int] = [:]
        for (position, layer) in layers.enumerated() where first[layer.digest] == nil {
            first[layer.digest] = position
        }
        let order = first.values.sorted { left, right in
            let (a, b) = (layers[left].descriptor.size, layers[right].descriptor.size)
            return a == b ? left < right : a > b
        }
        let limit = destination.traits.isParallel ? max(1, threads) : 1
        let blobs = try Threads.parallel(limit: limit, order, stop: stop) { position in
            let layer = layers[position]
            do {
                if isForeign(layer.descriptor) {
                    progress.layer(layer.digest, .reused)
                    return blob(layer)
                }
                var blob = try prepared(layer)
                let (open, progress, stop) = (blob.open, progress, stop)
                let size = blob.size
                blob.open = { ProgressSource(try open(), layer.digest, size, progress, stop) }
                let sent = try destination.put(layer: blob)
                progress.layer(layer.digest, sent ? .done : .reused)
                blob.open = open
                return blob
            } catch {
                progress.layer(layer.digest, .failed)
                guard var known = error as? ArchiveError, known.object.isEmpty else { throw error }
                // An inflater does not know what it inflates.
                known.object = "\(layer.digest)"
                throw known
            }
        }
        let byDigest = Dictionary(uniqueKeysWithValues: zip(order.map { layers[$0].digest }, blobs))
        return layers.map { byDigest[$0.digest]! }
    }

    private func blob(_ layer: CopiedLayer) -> OutgoingBlob {
        let (source, descriptor, digest, diffID) = (source, layer.descriptor, layer.digest, layer.diffID)
        return OutgoingBlob(digest: digest, size: descriptor.size, diffID: diffID) {
            let bytes = try source.blob(descriptor, digest)
            // A thread is worth its while for what takes longer than to make one.
            if descriptor.size >= 4 << 20 {
                return ParallelVerifyingSource(bytes, expected: digest, size: descriptor.size)
            }
            return VerifyingSource(bytes, expected: digest, size: descriptor.size)
        } origin: { registry, repository in
            try source.origin(of: digest, diffID: diffID, in: registry, besides: repository)
        }
    }

    /// The layer in the form in which it goes.
    private func prepared(_ layer: CopiedLayer) throws -> OutgoingBlob {
        let original = blob(layer)
        guard layer.form != .asIs, let diffID = layer.diffID else { return original }
        let present = layer.compression
        let plain: @Sendable () throws -> any ByteSource = {
            let compressed = try original.open()
            // Verified as a blob already.
            if present == .none, layer.digest == diffID { return compressed }
            // What follows the tar's end belongs to the blob's digest too.
            return VerifyingSource(
                EndingSource(DecompressingSource(compressed, compression: present), then: compressed),
                expected: diffID)
        }
        switch layer.form {
        case .plain where source.isLocal:
            // A tar's header says how long its contents are: inflated twice, and kept nowhere.
            return OutgoingBlob(digest: diffID, size: try plain().drain(), diffID: diffID, open: plain)
        case .compressed(let compression):
            return try spooled(plain(), diffID) { tar, sink in
                try compress(tar, compression, to: sink)
                return [:]
            }
        case .chunked:
            return try spooled(plain(), diffID) { tar, sink in
                let made = try ChunkedCompressor(to: sink, level: form.level).compress(tar)
                if let obstacle = made.obstacle {
                    progress.warning(
                        "the layer \(layer.digest) becomes plain zstd: zstd:chunked cannot describe \(obstacle)"
                    )
                }
                return made.annotations
            }
        default:
            return try spooled(plain(), diffID) { tar, sink in
                try compress(tar, .none, to: sink)
                return [:]
            }
        }
    }

    private func compress(_ tar: any ByteSource, _ compression: Compression, to sink: any ByteSink) throws {
        let compressing = try CompressingSink(compression, to: sink, level: form.level)
        try tar.copy(to: compressing)
        try compressing.finish()
    }

    /// - Parameter write: gives the annotations of the blob that it writes.
    private func spooled(
        _ tar: any ByteSource, _ diffID: Digest,
        _ write: (any ByteSource, any ByteSink) throws -> [String: String]
    ) throws -> OutgoingBlob {
        let file = SharedFile(try makeScratch(), path: "a temporary file")
        let sink = HashingSink(DescriptorSink(file.raw))
        let annotations = try write(ProgressSource(tar, diffID, -1, SilentProgress(), stop), sink)
        let size = sink.count
        return OutgoingBlob(digest: sink.digest, size: size, diffID: diffID, annotations: annotations) {
            FileRange(file, offset: 0, size: size)
        }
    }
}

/// Reads a stream to its end, and another one after that, of which nothing is passed on.
private final class EndingSource: ByteSource {
    private let source: any ByteSource
    private let rest: any ByteSource
    private var ended = false

    init(_ source: any ByteSource, then rest: any ByteSource) {
        self.source = source
        self.rest = rest
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = try source.read(into: buffer)
        if count == 0, !ended {
            ended = true
            try rest.drain()
        }
        return count
    }
}
