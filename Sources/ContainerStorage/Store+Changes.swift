public import LayerArchive
public import LinuxSystem

/// What a container has changed of its image, and the tree that has the changes.
public struct SnapshotChanges: ~Copyable, Sendable {
    /// All that is not deleted of `changes` is in it.
    public let tree: Descriptor
    public var changes: TreeChanges
}

/// Where a driver keeps files.
enum KeptTree: Sendable {
    /// As they are seen.
    case whole(String)
    /// Only what differs from what lies below, with overlay's notes of what is gone.
    case changes(String)
}

extension Snapshotter {
    /// A snapshot's files, as a path in the store; nil before the first mount.
    func tree(_ id: String, in store: Store) -> KeptTree? {
        if let changes = changesPath(id) {
            return File.exists(changes, at: store.directory.raw) ? .changes(changes) : nil
        }
        let whole = snapshotPath(id) + "/rootfs"
        return File.exists(whole, at: store.directory.raw) ? .whole(whole) : nil
    }

    /// An unpacked layer's files; nil where the driver keeps none of a layer alone.
    func tree(_ layer: Digest, in store: Store) -> KeptTree? {
        let changes = layerPath(layer) + "/diff"
        return File.exists(changes, at: store.directory.raw) ? .changes(changes) : nil
    }
}

extension Store {
    /// What a snapshot has changed. Who wants it exact keeps others from writing to it.
    public func changes(ofSnapshot id: String) throws(StorageError) -> SnapshotChanges {
        let record = try requireSnapshot(id)
        let snapshotter = snapshotter(record.driver)
        guard let kept = snapshotter.tree(id, in: self) else {
            return SnapshotChanges(tree: try openTree("overlay/empty"), changes: .none)
        }
        try unpack(record.diffIDs, by: record.driver)
        let base = try snapshotter.view(record.diffIDs)
        do {
            switch kept {
            case .whole(let path):
                let tree = try openTree(path)
                let changes = try TreeChanges(of: tree, since: base)
                return SnapshotChanges(tree: tree, changes: changes)
            case .changes(let path):
                let tree = try openTree(path)
                var changes = try TreeChanges(overlayUpper: tree, over: base)
                if let overlay = snapshotter as? OverlaySnapshotter {
                    changes.root = try hasOwnRoot(tree.raw, over: record.diffIDs, overlay)
                }
                return SnapshotChanges(tree: tree, changes: changes)
            }
        } catch {
            throw StorageError("compare", id, any: error)
        }
    }

    /// What an image's topmost layer changed.
    /// - Parameter diffIDs: the image's.
    public func changes(ofTopLayerOf diffIDs: [Digest]) throws(StorageError) -> TreeChanges {
        guard let top = diffIDs.last else { return .none }
        try unpack(diffIDs)
        let below = diffIDs.dropLast()
        guard case .changes(let path) = snapshotter.tree(top, in: self) else {
            return try changes(ofTopLayerOf: diffIDs, since: Array(below))
        }
        let layer = try openTree(path)
        let base = try snapshotter.view(Array(below))
        do {
            return try TreeChanges(overlayUpper: layer, over: base)
        } catch {
            throw StorageError("compare", "\(top)", any: error)
        }
    }

    private func changes(ofTopLayerOf diffIDs: [Digest], since below: [Digest]) throws(StorageError)
        -> TreeChanges
    {
        let tree = try snapshotter.view(diffIDs)
        let base = try snapshotter.view(below)
        do {
            return try TreeChanges(of: tree, since: base)
        } catch {
            throw StorageError("compare", "the image's layers", any: error)
        }
    }

    /// Whether a root directory is not as an image of these layers has it.
    func hasOwnRoot(
        _ root: Int32, over chain: [Digest], _ snapshotter: OverlaySnapshotter, _ owners: TreeOwners = .same
    ) throws -> Bool {
        if let said = try snapshotter.root(of: chain) {
            return try !TreeChanges.sameMetadata(root, said.raw, owners: owners)
        }
        let owner = try owners.inImage(of: root)
        return try FD.stat(root).st_mode & 0o7777 != 0o755 || owner == nil || owner! != (0, 0)
    }

    private func openTree(_ path: String) throws(StorageError) -> Descriptor {
        try storing("open", path) { () throws(SystemError) in
            try File.open(path, at: directory.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        }
    }
}
