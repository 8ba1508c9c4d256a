public import LayerArchive
import LinuxSystem

/// What the store's things take on the disk, in bytes.
public struct StoreUsage: Sendable {
    public struct Image: Sendable {
        public var record: ImageRecord
        /// Of its layers, unpacked, and of its blobs.
        public var size: Int64
        /// Of that, what no other image and no artifact has.
        public var unique: Int64
        /// How many containers use it.
        public var containers: Int
    }

    public var images: [Image]
    /// Artifacts, and the blobs of each in bytes.
    public var artifacts: [(record: ArtifactRecord, size: Int64)]
    /// Of all artifacts together, without what images have too.
    public var artifactsSize: Int64
    /// Of all images together, and of downloads that were cut short: what several have counts once.
    public var imagesSize: Int64
    /// What would be free without these downloads and the images that no container uses.
    public var imagesReclaimable: Int64
    /// Of each container's own files, by its id.
    public var snapshots: [String: Int64]
    public var volumes: [(record: VolumeRecord, size: Int64)]
}

extension Store {
    /// Measures what there is. It reads the directories of containers and volumes.
    public func usage() throws(StorageError) -> StoreUsage {
        let images = try images()
        let layerSizes = try layerSizes()
        let artifacts = try artifacts()
        let (blobs, artifactBlobs, users, snapshots) = try database.read { connection throws(StorageError) in
            (
                try connection.rows(
                    "SELECT image, manifest_blob.digest FROM manifest_blob JOIN manifest ON manifest.digest = manifest"
                ) { row throws(StorageError) in (try row.digest(0), try row.digest(1)) },
                try connection.rows("SELECT artifact, digest FROM artifact_blob") {
                    row throws(StorageError) in (row.text(0), try row.digest(1))
                },
                try connection.rows(
                    "SELECT image, count(*) FROM snapshot WHERE image IS NOT NULL GROUP BY image"
                ) {
                    row throws(StorageError) in (try row.digest(0), row.int(1))
                },
                try connection.rows("SELECT id, driver FROM snapshot") { ($0.text(0), $0.text(1)) }
            )
        }
        let containers = Dictionary(users, uniquingKeysWith: { first, _ in first })
        // A layer and a blob are different things of the same name when nothing is compressed.
        var parts: [Digest: Set<String>] = [:]
        var sizes: [String: Int64] = [:]
        for image in images {
            for diffID in image.diffIDs {
                parts[image.id, default: []].insert("layer \(diffID)")
                sizes["layer \(diffID)"] = layerSizes[diffID] ?? 0
            }
        }
        for (image, blob) in blobs {
            parts[image, default: []].insert("\(blob)")
            if sizes["\(blob)"] == nil { sizes["\(blob)"] = blobSize(blob) ?? 0 }
        }
        var holders: [String: Int] = [:]
        for part in parts.values.joined() { holders[part, default: 0] += 1 }
        let total = holders.keys.reduce(0) { $0 + sizes[$1]! }
        var own: [String: Int64] = [:]
        var artifactsSize: Int64 = 0
        for (artifact, blob) in artifactBlobs {
            let part = "\(blob)"
            let size = sizes[part] ?? blobSize(blob) ?? 0
            own[artifact, default: 0] += size
            if sizes.updateValue(size, forKey: part) == nil { artifactsSize += size }
            // With it the image would not free this.
            holders[part, default: 0] += 1
        }
        var needed = Set(artifactBlobs.map { "\($0.1)" }).intersection(parts.values.joined())
        for (id, parts) in parts where containers[id] != nil { needed.formUnion(parts) }
        let kept = needed.reduce(0) { $0 + sizes[$1]! }
        let partials = try partialsSize()
        var usage = StoreUsage(
            images: images.map { image in
                let own = parts[image.id] ?? []
                return StoreUsage.Image(
                    record: image, size: own.reduce(0) { $0 + sizes[$1]! },
                    unique: own.reduce(0) { $0 + (holders[$1] == 1 ? sizes[$1]! : 0) },
                    containers: containers[image.id] ?? 0)
            }, artifacts: artifacts.map { ($0, own[$0.name] ?? 0) }, artifactsSize: artifactsSize,
            imagesSize: total + partials, imagesReclaimable: total - kept + partials, snapshots: [:],
            volumes: [])
        for (id, driver) in snapshots {
            guard let driver = SnapshotterName(rawValue: driver) else { continue }
            let snapshotter = snapshotter(driver)
            let path = snapshotter.changesPath(id) ?? snapshotter.snapshotPath(id) + "/rootfs"
            usage.snapshots[id] = try treeSize(path)
        }
        usage.volumes = try volumes().map { volume throws(StorageError) in
            (volume, try treeSize("volumes/\(volume.name)/_data"))
        }
        return usage
    }

    /// What a container has made or changed of its image's files, in bytes.
    public func size(ofSnapshot id: String) throws(StorageError) -> Int64 {
        let record = try requireSnapshot(id)
        if let path = snapshotter(record.driver).changesPath(id) { return try treeSize(path) }
        let found = try changes(ofSnapshot: id)
        return TreeSize.measure(found.changes, in: found.tree.raw)
    }

    /// The sizes of all layers' files, in bytes.
    public func layerSizes() throws(StorageError) -> [Digest: Int64] {
        let rows = try database.read { connection throws(StorageError) in
            try connection.rows("SELECT diff_id, max(size) FROM layer GROUP BY diff_id") {
                row throws(StorageError) in (try row.digest(0), row.integer(1))
            }
        }
        return Dictionary(rows, uniquingKeysWith: { first, _ in first })
    }

    /// The sizes of a tree's files; 0 for one that is not there.
    private func treeSize(_ path: String) throws(StorageError) -> Int64 {
        try storing("measure", path) { () throws(SystemError) in
            do throws(SystemError) {
                let top = try File.open(path, at: directory.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                return try TreeSize.measure(top.raw)
            } catch  where error.errno == .noEntry {
                return 0
            }
        }
    }
}

/// The sum of a tree's files' sizes, those with several names counted once.
enum TreeSize {
    static func measure(_ changes: TreeChanges, in tree: Int32) -> Int64 {
        var size: Int64 = 0
        var linked: Set<ino_t> = []
        for change in changes.list where change.kind != .deleted && !change.isDirectory {
            let path = change.path.map { CChar(bitPattern: $0) } + [0]
            guard let file = try? File.openRaw(path, beneath: tree, O_PATH | O_NOFOLLOW),
                let status = try? FD.stat(file.raw)
            else { continue }
            if status.st_nlink < 2 || linked.insert(status.st_ino).inserted { size += Int64(status.st_size) }
        }
        return size
    }

    static func measure(_ top: Int32) throws(SystemError) -> Int64 {
        var size: Int64 = 0
        var linked: Set<ino_t> = []
        // Containers write meanwhile: what is gone again is no error.
        var waiting: [[CChar]] = [[0x2E, 0]]
        while let path = waiting.popLast() {
            guard let directory = try? File.openRaw(path, beneath: top, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
                let entries = try? DirectoryListing(directory.raw).entries
            else { continue }
            for entry in entries {
                var status = stat()
                guard fstatat(directory.raw, entry.name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
                if status.st_mode & S_IFMT == S_IFDIR {
                    waiting.append(path.dropLast() + [0x2F] + entry.name)
                } else if status.st_nlink < 2 || linked.insert(status.st_ino).inserted {
                    size += Int64(status.st_size)
                }
            }
        }
        return size
    }
}
