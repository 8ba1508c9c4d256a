public import LayerArchive
public import LinuxSystem

/// Files of images in directories that are not the store's.
extension Store {
    /// Copies an image's files, with all that layers say of them, into an empty directory.
    /// - Parameter owners: whose the copies are.
    /// - Throws: with a SystemError of EOVERFLOW as its cause for a file whose owner has no ID there.
    public func copyFiles(
        of diffIDs: [Digest], to target: borrowing Descriptor, owners: TreeOwners = .same
    ) throws(StorageError) {
        try unpack(diffIDs)
        let view = try snapshotter.view(diffIDs)
        do throws(SystemError) {
            // A mount's own descriptor is for paths only (fsmount(2)).
            let root = try File.open(".", at: view.raw, O_RDONLY | O_DIRECTORY)
            try TreeCopy.copy(contentsOf: root, to: target, owners: owners)
            if let overlay = snapshotter as? OverlaySnapshotter {
                try setRoot(target.raw, as: overlay.root(of: diffIDs), owners)
            }
        } catch {
            throw StorageError("copy", "the image's files", error)
        }
    }

    private func setRoot(
        _ target: Int32, as said: consuming Descriptor?, _ owners: TreeOwners
    ) throws(SystemError) {
        guard let said else {
            let owner = try owners.onDisk(0, 0, "/")
            try FileMetadata.setOwner(target, owner.user, owner.group)
            return try FileMetadata.setMode(target, 0o755)
        }
        try TreeCopy.copyMetadata(from: said.raw, to: target, owners: owners, "/")
    }

    /// What a directory has become since it was an image's files.
    /// - Parameters:
    ///   - masked: paths below the root that are left out with all below them.
    ///   - owners: whose the directory's files are.
    public func changes(
        of tree: borrowing Descriptor, since diffIDs: [Digest], masked: Set<[UInt8]> = [],
        owners: TreeOwners = .same
    ) throws(StorageError) -> TreeChanges {
        try unpack(diffIDs)
        let base = try snapshotter.view(diffIDs)
        do {
            var changes = try TreeChanges(of: tree, since: base, masked: masked, owners: owners)
            if let overlay = snapshotter as? OverlaySnapshotter {
                changes.root = try hasOwnRoot(tree.raw, over: diffIDs, overlay, owners)
            }
            return changes
        } catch {
            throw StorageError("compare", "the directory with the image's files", any: error)
        }
    }
}
