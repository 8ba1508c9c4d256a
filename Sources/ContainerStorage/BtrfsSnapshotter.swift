import LayerArchive
import LinuxSystem

/// Each chain's tree is a subvolume, made from a snapshot of the chain below;
/// each container's file system is a snapshot of its image's.
///
/// A layer alone is nothing here but the name of the blob that holds it:
/// `btrfs/trees/HEX/rootfs` is the tree of a chain, named by the chain's digest.
struct BtrfsSnapshotter: Snapshotter {
    let store: Store

    var name: SnapshotterName { .btrfs }
    private var directory: Int32 { store.directory.raw }

    func unpack(_ tar: any ByteSource, into partial: borrowing Descriptor) throws -> Int64 {
        try LayerSize.read(tar)
    }

    private func treePath(_ chain: [Digest]) -> String { "btrfs/trees/\(chainID(chain).fileName)" }

    func prepare(_ chain: [Digest]) throws(StorageError) {
        // Mostly the topmost is there, and so are those below.
        if File.exists(treePath(chain), at: directory) { return }
        if chain.isEmpty { return try make(chain) }
        for count in 1...chain.count { try make(Array(chain.prefix(count))) }
    }

    private func make(_ chain: [Digest]) throws(StorageError) {
        let tree = treePath(chain)
        if File.exists(tree, at: directory) { return }
        let lock = try ObjectLock("tree-\(chainID(chain).fileName)", in: directory)
        defer { lock.keep() }
        if File.exists(tree, at: directory) { return }
        let lease = try store.lease()
        defer { lease.end() }
        let partial = lease.newPartial(content: false)
        do {
            if chain.count < 2 {
                try File.makeDirectory(partial, at: directory, mode: 0o711)
                let folder = try File.open(partial, at: directory, O_RDONLY | O_DIRECTORY)
                try BtrfsSubvolume.create("rootfs", at: folder.raw)
                let rootfs = try File.open("rootfs", at: folder.raw, O_RDONLY | O_DIRECTORY)
                try FileMetadata.setMode(rootfs.raw, 0o755)
            } else {
                try snapshot(treePath(chain.dropLast()), to: partial)
            }
            if let layer = chain.last {
                let rootfs = try File.open(partial + "/rootfs", at: directory, O_RDONLY | O_DIRECTORY)
                try apply(layer, to: rootfs)
            }
            try File.rename(partial, to: tree, at: directory)
        } catch {
            try? store.discard(partial, as: "tree")
            throw StorageError("unpack", "the image's layers", any: error)
        }
    }

    private func snapshot(_ source: String, to target: String) throws(SystemError) {
        try File.makeDirectory(target, at: directory, mode: 0o711)
        let folder = try File.open(target, at: directory, O_RDONLY | O_DIRECTORY)
        let tree = try File.open(source + "/rootfs", at: directory, O_RDONLY | O_DIRECTORY)
        try BtrfsSubvolume.snapshot(tree.raw, as: "rootfs", at: folder.raw)
    }

    func mount(
        _ id: String, _ chain: [Digest], volatile: Bool, owners: OwnerMap?
    ) throws(StorageError) -> String {
        let rootfs = try makeSnapshot(id, chain)
        guard let owners else { return rootfs }
        return try WholeTree(id: id, in: self).show(to: owners)
    }

    private func makeSnapshot(_ id: String, _ chain: [Digest]) throws(StorageError) -> String {
        let snapshot = snapshotPath(id)
        if OwnerShift.wasCutShort(snapshot, at: directory) {
            try storing("remove the file system of", id) { () throws(SystemError) in
                try store.discard(snapshot, as: "snapshot")
            }
        }
        let rootfs = "\(store.root)/\(snapshot)/rootfs"
        if File.exists(snapshot, at: directory) { return rootfs }
        try prepare(chain)
        // Under a lease, so that a snapshot cut short is recognised.
        let lease = try store.lease()
        defer { lease.end() }
        let partial = lease.newPartial(content: false)
        do throws(SystemError) {
            try self.snapshot(treePath(chain), to: partial)
            try File.rename(partial, to: snapshot, at: directory)
        } catch {
            try? store.discard(partial, as: "snapshot")
            throw StorageError("copy the file system of", id, error)
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

    func unneeded(besides chains: [[Digest]]) throws(StorageError) -> [String] {
        var needed: Set<String> = []
        for chain in chains {
            // The names of all its beginnings, each made from the one before.
            var id = chainID([])
            if chain.isEmpty { needed.insert(id.fileName) }
            for (index, diffID) in chain.enumerated() {
                id = index == 0 ? diffID : Digest.sha256(of: Array("\(id) \(diffID)".utf8))
                needed.insert(id.fileName)
            }
        }
        return try store.names(in: "btrfs/trees").filter { !needed.contains($0) }.map { "btrfs/trees/\($0)" }
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
