import LinuxSystem

/// A snapshot that is a whole tree, `rootfs`, and how a container with a user
/// namespace sees it: mounted on `merged` beside it.
struct WholeTree {
    private let id: String
    private let snapshot: String
    private let store: Store

    init(id: String, in snapshotter: some Snapshotter) {
        self.id = id
        snapshot = snapshotter.snapshotPath(id)
        store = snapshotter.store
    }

    private var rootfs: String { "\(store.root)/\(snapshot)/rootfs" }
    private var merged: String { "\(store.root)/\(snapshot)/merged" }

    /// - Returns: the path at which the tree belongs to the mapped users.
    func show(to owners: OwnerMap) throws(StorageError) -> String {
        let at = store.directory.raw
        if Mount.isMountRoot(merged) { return merged }
        return try storing("mount the file system of", id) { () throws(SystemError) in
            guard !OwnerShift.isDone(snapshot, at: at), let mount = try owners.mapped(rootfs) else {
                try OwnerShift.apply(owners, to: rootfs, of: snapshot, at: at)
                return rootfs
            }
            do throws(SystemError) {
                try File.makeDirectory(snapshot + "/merged", at: at, exactly: 0o755)
            } catch  where error.errno == .exists {}
            let place = try File.open(merged, O_PATH | O_DIRECTORY | O_NOFOLLOW)
            try Mount.attach(mount.raw, onto: place.raw)
            return merged
        }
    }

    func unmount() throws(StorageError) {
        if !File.exists(snapshot + "/merged", at: store.directory.raw) { return }
        try storing("unmount the file system of", id) { () throws(SystemError) in
            try OverlayMount.unmount(merged)
        }
    }
}
