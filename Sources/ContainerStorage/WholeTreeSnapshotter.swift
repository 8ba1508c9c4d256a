import LayerArchive
import LinuxSystem

/// A driver with a whole tree for each image and each snapshot.
///
/// A layer alone is nothing here but the name of the blob that holds it:
/// `DRIVER/trees/HEX/rootfs` is the tree of a chain, named by the chain's digest.
protocol WholeTreeSnapshotter: Snapshotter {
    /// Makes a directory with the `rootfs` of a chain in it.
    func makeTree(_ chain: [Digest], at partial: String) throws

    /// Makes a directory with a copy of a tree's `rootfs` in it.
    func copyTree(_ tree: String, to partial: String) throws(SystemError)
}

extension WholeTreeSnapshotter {
    var directory: Int32 { store.directory.raw }

    func unpack(_ tar: any ByteSource, into partial: borrowing Descriptor) throws -> Int64 {
        try LayerSize.read(tar)
    }

    func treePath(_ chain: [Digest]) -> String { "\(name.rawValue)/trees/\(chainID(chain).fileName)" }

    func prepare(_ chain: [Digest]) throws(StorageError) { try prepareTree(chain) }

    /// Makes a chain's tree unless it is there.
    func prepareTree(_ chain: [Digest]) throws(StorageError) {
        let tree = treePath(chain)
        if File.exists(tree, at: directory) { return }
        let lock = try ObjectLock("tree-\(chainID(chain).fileName)", in: directory)
        defer { lock.keep() }
        if File.exists(tree, at: directory) { return }
        let lease = try store.lease()
        defer { lease.end() }
        let partial = lease.newPartial(content: false)
        do {
            try makeTree(chain, at: partial)
            try File.rename(partial, to: tree, at: directory)
        } catch {
            try? store.discard(partial, as: "tree")
            throw StorageError("unpack", "the image's layers", any: error)
        }
    }

    func mount(
        _ id: String, _ chain: [Digest], volatile: Bool, owners: OwnerMap?
    ) throws(StorageError) -> String {
        let rootfs = try makeSnapshot(id, chain, volatile: volatile)
        guard let owners else { return rootfs }
        return try WholeTree(id: id, in: self).show(to: owners)
    }

    private func makeSnapshot(
        _ id: String, _ chain: [Digest], volatile: Bool
    ) throws(StorageError) -> String {
        let snapshot = snapshotPath(id)
        if OwnerShift.wasCutShort(snapshot, at: directory) {
            try storing("remove the file system of", id) { () throws(SystemError) in
                try store.discard(snapshot, as: "snapshot")
            }
        }
        let rootfs = "\(store.root)/\(snapshot)/rootfs"
        if File.exists(snapshot, at: directory) { return rootfs }
        try prepare(chain)
        // Under a lease, so that a copy cut short is recognised.
        let lease = try store.lease()
        defer { lease.end() }
        let partial = lease.newPartial(content: false)
        do {
            try copyTree(treePath(chain), to: partial)
            // After a power failure it would be there, with empty files; btrfs takes it whole.
            if name == .vfs, !volatile { try store.syncFileSystem() }
            try File.rename(partial, to: snapshot, at: directory)
        } catch {
            try? store.discard(partial, as: "snapshot")
            throw StorageError("copy the file system of", id, any: error)
        }
        return rootfs
    }

    func unmount(_ id: String) throws(StorageError) { try WholeTree(id: id, in: self).unmount() }

    func view(_ chain: [Digest]) throws(StorageError) -> Descriptor {
        try prepare(chain)
        return try storing("look into", "the image's layers") { () throws(SystemError) in
            try File.open(treePath(chain) + "/rootfs", at: directory, O_RDONLY | O_DIRECTORY)
        }
    }

    func attachView(_ chain: [Digest], to target: String) throws(StorageError) {
        try prepare(chain)
        try storing("mount the image's layers on", target) { () throws(SystemError) in
            try Mount.attachReadOnly("\(store.root)/\(treePath(chain))/rootfs", onto: target)
        }
    }

    func changesPath(_ id: String) -> String? { nil }

    /// The trees whose chains have none of these names, as paths in the store.
    func trees(besides needed: Set<String>) throws(StorageError) -> [String] {
        let folder = "\(name.rawValue)/trees"
        return try store.names(in: folder).filter { !needed.contains($0) }.map { "\(folder)/\($0)" }
    }
}

extension Snapshotter {
    /// Applies a layer to the tree of those below it, from its blob.
    func apply(_ diffID: Digest, to rootfs: borrowing Descriptor) throws {
        let layer = try LayerRecord.read(layerPath(diffID), at: store.directory.raw)
        let blob = DescriptorSource(owning: try store.openBlob(layer.blob))
        let tar = HashingSource(DecompressingSource(blob))
        _ = try LayerApplier.apply(tar, to: rootfs, options: LayerApplier.Options(whiteouts: .remove))
        try tar.drain()
        guard tar.digest == diffID else {
            throw StorageError(
                .damaged, "unpack layer", "\(diffID)", "its blob \(layer.blob) has changed")
        }
    }
}

/// What a layer's files take, of which nothing is unpacked yet.
enum LayerSize {
    static func read(_ tar: any ByteSource) throws -> Int64 {
        let reader = TarReader(tar)
        var size: Int64 = 0
        while let entry = try reader.next() { size += entry.storedSize }
        try reader.drain()
        return size
    }
}
