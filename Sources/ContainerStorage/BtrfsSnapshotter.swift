import LayerArchive
import LinuxSystem

/// Each chain's tree is a subvolume, made from a snapshot of the chain below;
/// each container's file system is a snapshot of its image's.
struct BtrfsSnapshotter: WholeTreeSnapshotter {
    let store: Store

    var name: SnapshotterName { .btrfs }

    func prepare(_ chain: [Digest]) throws(StorageError) {
        // Mostly the topmost is there, and so are those below.
        if File.exists(treePath(chain), at: directory) { return }
        if chain.isEmpty { return try prepareTree(chain) }
        for count in 1...chain.count { try prepareTree(Array(chain.prefix(count))) }
    }

    func makeTree(_ chain: [Digest], at partial: String) throws {
        if chain.count < 2 {
            try File.makeDirectory(partial, at: directory, mode: 0o711)
            let folder = try File.open(partial, at: directory, O_RDONLY | O_DIRECTORY)
            try BtrfsSubvolume.create("rootfs", at: folder.raw)
            let rootfs = try File.open("rootfs", at: folder.raw, O_RDONLY | O_DIRECTORY)
            try FileMetadata.setMode(rootfs.raw, 0o755)
        } else {
            try copyTree(treePath(chain.dropLast()), to: partial)
        }
        if let layer = chain.last {
            let rootfs = try File.open(partial + "/rootfs", at: directory, O_RDONLY | O_DIRECTORY)
            try apply(layer, to: rootfs)
        }
    }

    func copyTree(_ tree: String, to partial: String) throws(SystemError) {
        try File.makeDirectory(partial, at: directory, mode: 0o711)
        let folder = try File.open(partial, at: directory, O_RDONLY | O_DIRECTORY)
        let rootfs = try File.open(tree + "/rootfs", at: directory, O_RDONLY | O_DIRECTORY)
        try BtrfsSubvolume.snapshot(rootfs.raw, as: "rootfs", at: folder.raw)
    }

    func unneeded(besides chains: [[Digest]]) throws(StorageError) -> [String] {
        // A tree is made from the one below.
        try trees(
            besides: Set(chains.flatMap { $0.isEmpty ? [chainID($0)] : chainIDs($0) }.map(\.fileName)))
    }
}
