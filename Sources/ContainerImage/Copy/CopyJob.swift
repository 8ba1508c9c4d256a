internal import ContainerStorage
public import LayerArchive
internal import LinuxSystem
internal import OCISpec

/// An image's way from any place to any other, past the local store.
///
///     var job = CopyJob(try ImageSource(parsing: "docker://debian:12"), to: .layout(path: "d", reference: "12"))
///     job.selection = .all
///     let digest = try job.run()
public struct CopyJob: Sendable {
    public var source: ImageSource
    public var destination: ImageSource
    public var sourceOptions = TransferOptions()
    public var destinationOptions = TransferOptions()
    public var form = PushForm()
    public var selection = ImageSelection.platform
    /// More names of the image, in a docker-archive.
    public var additionalNames: [String] = []
    public var progress: any TransferProgress = SilentProgress()

    public init(_ source: ImageSource, to destination: ImageSource) {
        self.source = source
        self.destination = destination
    }

    /// - Returns: the digest of what the name leads to at the destination.
    public func run() throws(ImageError) -> Digest {
        do {
            var names = try destination.names
            if !additionalNames.isEmpty {
                guard case .dockerArchive = destination else {
                    throw ImageError(
                        .configuration, "copy to \(destination)",
                        "only a docker-archive gets additional tags")
                }
                names += try additionalNames.map { name throws(ImageError) in
                    let name = try ImageReference(parsing: name)
                    guard name.tag != nil, name.digest == nil else {
                        throw ImageError(
                            .invalidReference, "additional tag \"\(name)\"", "expected NAME:TAG")
                    }
                    return name.canonical
                }
            }
            let stop = StopFlag()
            let provider = try source.provider(sourceOptions, progress: progress, stop: stop)
            if case .store(let root, let name) = destination {
                var options = sourceOptions
                options.stores = destinationOptions.stores
                let store = try destinationOptions.localStores(for: destination).open(root)
                guard selection == .platform else {
                    throw ImageError(
                        .unsupported, "copy to \(destination)",
                        "a store holds no image lists: copy one of its images, without --all")
                }
                return try ImageTransfer(store: store, options: options, progress: progress)
                    .keep(provider, as: name, form: form).manifestDigest
            }
            let target = try destination.destination(destinationOptions, form, stop: stop)
            var copy = ImageCopy(source: provider, destination: target, form: form, selection: selection)
            copy.platform = sourceOptions.platform
            copy.threads = destinationOptions.threads
            copy.trust = sourceOptions.trust
            copy.progress = progress
            copy.stop = stop
            let outgoing = try copy.run(names: names)
            try target.commit()
            return outgoing.digest
        } catch {
            throw ImageError("copy \(source) to \(destination)", any: error)
        }
    }
}

extension ImageTransfer {
    /// Brings an image into the store under a name.
    func keep(_ provider: any ImageProvider, as name: String, form: PushForm) throws -> ImageRecord {
        guard form.format == nil, form.compression == nil, !form.again, !form.decompresses else {
            throw ImageError(
                .configuration, "copy to apus:\(name)",
                "a store keeps manifests and layers as they come: leave --format and compression out")
        }
        guard !form.signing.signs else {
            throw ImageError(
                .configuration, "copy to apus:\(name)",
                "a store keeps no signatures: sign where it is pushed to")
        }
        return try fetch(provider, names: [try Self.localName(name)])
    }
}
