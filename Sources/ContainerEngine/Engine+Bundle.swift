import ContainerImage
public import ContainerStorage
import JSONText
import LayerArchive
public import LinuxSystem
public import OCISpec

/// What `repack` was asked for.
public struct RepackRequest: Sendable {
    /// The new image's.
    public var name: String
    /// Its step in the image's history; nil for none.
    public var history: HistoryEntry? = HistoryEntry(createdBy: "apus image repack")
    /// `SOURCE_DATE_EPOCH`: the time of the image, and the latest of any file in the layer.
    public var latest: Timestamp?
    /// Changes of these paths, and below them, are left out.
    public var maskedPaths: [String] = []
    /// … and of the image's volumes.
    public var masksVolumes = true
    /// The bundle is from then on one of the new image.
    public var refreshesBundle = false

    public init(name: String) { self.name = name }
}

extension Engine {
    /// Makes a bundle for an OCI runtime of an image: its files in `rootfs`,
    /// a `config.json`, and what `repack` needs to know.
    public func unpack(
        _ name: String, to bundle: String, owners: BundleOwners = BundleOwners()
    ) throws(EngineError) {
        try owners.check()
        sweep()
        let lease = try engineErrors { try store.lease() }
        defer { lease.end() }
        let image = try requireImage(name)
        let config = try imageConfig(image.id)
        let place = try BundlePlace(bundle)
        do throws(EngineError) {
            try engineErrors("unpack \(name)") {
                let directory = place.directory.raw
                try File.makeDirectory("rootfs", at: directory)
                let rootfs = try File.open("rootfs", at: directory, O_RDONLY | O_DIRECTORY)
                try copyFiles(of: image, to: rootfs, owners)
                let document = try BundleConfig.make(config, root: rootfs.raw, owners: owners).json
                    .text(indent: "\t")
                try File.replace(
                    "config.json", at: directory, with: Array((document + "\n").utf8), durable: false)
                try BundleRecord(image: image.id.description, owners: owners).write(in: directory)
            }
            try place.publish()
        } catch {
            place.abandon()
            throw error
        }
    }

    private func copyFiles(
        of image: ImageRecord, to rootfs: borrowing Descriptor, _ owners: BundleOwners
    ) throws {
        do throws(StorageError) {
            try store.copyFiles(of: image.diffIDs, to: rootfs, owners: owners.tree)
        } catch {
            guard let cause = error.cause as? SystemError, cause.errno.rawValue == EOVERFLOW else {
                throw error
            }
            throw EngineError(
                .invalid,
                "the image's \(cause.operation), to whom \(cause.object) belongs, has no ID in the mappings: map more, as by --uid-map 0:100000:65536, or use --rootless"
            )
        }
    }

    /// Makes an image of a bundle's image and what has changed in `rootfs`
    /// since. The same files and the same `latest` give the same image.
    public func repack(_ bundle: String, _ request: RepackRequest) throws(EngineError) -> ImageRecord {
        sweep()
        let bundle = try PathText.absolute(bundle)
        let record = try BundleRecord.read(bundle)
        let lease = try engineErrors { try store.lease() }
        defer { lease.end() }
        let found = try engineErrors("\(bundle)") { try store.image(id: Digest(parsing: record.image)) }
        guard let image = found else {
            throw EngineError(
                .notFound, "the image of \(bundle) is not here: \(record.image): pull or load it again")
        }
        let config = try imageConfig(image.id)
        var change = ImageChange(config: config.config)
        change.author = config.author
        change.history = request.history
        change.created = request.history?.created ?? request.latest?.description
        let masked = try maskedPaths(request, volumes: config.config.volumes)
        return try engineErrors("repack \(bundle)") {
            let rootfs = SharedDescriptor(
                try File.open("\(bundle)/rootfs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
            let latest = request.latest
            let owners = record.owners.tree
            let changes = try store.changes(
                of: rootfs.descriptor, since: image.diffIDs, masked: masked, owners: owners)
            let tar = try WrittenSource { sink in
                try LayerDiff.write(
                    changes, of: rootfs.descriptor, to: sink, latest: latest, owners: owners)
            }
            let made = try ImageTransfer(store: store).commit(
                tar, over: image, platform: config.platform, change: change, name: request.name,
                source: bundle)
            if request.refreshesBundle {
                if let latest { try setTimes(of: changes, in: rootfs.raw, latest: latest) }
                try BundleRecord(image: made.id.description, owners: record.owners).write(to: bundle)
            }
            return made
        }
    }

    /// Files get the times that the layer gave them.
    private func setTimes(
        of changes: TreeChanges, in root: Int32, latest: Timestamp
    ) throws(SystemError) {
        let paths = changes.list.filter { $0.kind != .deleted }.map(\.path) + (changes.root ? [[]] : [])
        for path in paths {
            let slash = path.lastIndex(of: UInt8(ascii: "/"))
            let above = slash.map { Array(path[..<$0]) } ?? [UInt8(ascii: ".")]
            let name = path.isEmpty ? [UInt8(ascii: ".")] : slash.map { Array(path[($0 + 1)...]) } ?? path
            let directory = try File.openRaw(
                above.map { CChar(bitPattern: $0) } + [0], beneath: root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            let text = name.map { CChar(bitPattern: $0) } + [0]
            var status = stat()
            _ = try retrying("stat", "a changed file") {
                fstatat(directory.raw, text, &status, AT_SYMLINK_NOFOLLOW)
            }
            if Timestamp(status.st_mtim) > latest {
                try FileMetadata.setTimes(
                    of: text, at: directory.raw, accessed: Timestamp(status.st_atim), modified: latest)
            }
        }
    }

    private func maskedPaths(
        _ request: RepackRequest, volumes: [String]
    ) throws(EngineError) -> Set<[UInt8]> {
        var masked: Set<[UInt8]> = []
        for path in request.maskedPaths {
            let path = PathText.normalized(path)
            guard path != "/" else {
                throw EngineError(.invalid, "--mask-path / leaves nothing to repack: name a path below it")
            }
            masked.insert(Array(path.utf8.dropFirst()))
        }
        if request.masksVolumes {
            for path in volumes.map(PathText.normalized) where path != "/" {
                masked.insert(Array(path.utf8.dropFirst()))
            }
        }
        return masked
    }
}
