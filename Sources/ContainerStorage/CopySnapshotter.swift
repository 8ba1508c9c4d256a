import LayerArchive
import LinuxSystem

/// Each image's tree is unpacked whole, layer on layer, when the image is put;
/// each snapshot is a copy of it, sharing extents where the file system can.
///
/// A layer alone is nothing here but the name of the blob that holds it:
/// `vfs/trees/HEX/rootfs` is the tree of a chain, named by the chain's digest.
struct CopySnapshotter: Snapshotter {
    let store: Store

    var name: SnapshotterName { .vfs }
    private var directory: Int32 { store.directory.raw }

    func unpack(_ tar: any ByteSource, into partial: borrowing Descriptor) throws -> Int64 {
        try LayerSize.read(tar)
    }

    private func treePath(_ chain: [Digest]) -> String { "vfs/trees/\(chainID(chain).fileName)" }

    func prepare(_ chain: [Digest]) throws(StorageError) {
        let tree = treePath(chain)
        if File.exists(tree, at: directory) { return }
        let lock = try ObjectLock("tree-\(chainID(chain).fileName)", in: directory)
        defer { lock.keep() }
        if File.exists(tree, at: directory) { return }
        let lease = try store.lease()
        defer { lease.end() }
        let partial = lease.newPartial(content: false)
        do {
            try File.makeDirectory(partial, at: directory, mode: 0o711)
            try File.makeDirectory(partial + "/rootfs", at: directory, exactly: 0o755)
            let rootfs = try File.open(partial + "/rootfs", at: directory, O_RDONLY | O_DIRECTORY)
            for diffID in chain { try apply(diffID, to: rootfs) }
            try File.rename(partial, to: tree, at: directory)
        } catch {
            try? store.discard(partial, as: "tree")
            throw StorageError("unpack", "the image's layers", any: error)
        }
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
        // Under a lease, so that a copy cut short is recognised.
        let lease = try store.lease()
        defer { lease.end() }
        let partial = lease.newPartial(content: false)
        do throws(SystemError) {
            try File.makeDirectory(partial, at: directory, mode: 0o711)
            let source = try File.open(treePath(chain) + "/rootfs", at: directory, O_RDONLY | O_DIRECTORY)
            try File.makeDirectory(partial + "/rootfs", at: directory, exactly: 0o755)
            let target = try File.open(partial + "/rootfs", at: directory, O_RDONLY | O_DIRECTORY)
            try TreeCopy.copy(contentsOf: source, to: target)
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
        let needed = Set(chains.map { chainID($0).fileName })
        return try store.names(in: "vfs/trees").filter { !needed.contains($0) }.map { "vfs/trees/\($0)" }
    }
}
