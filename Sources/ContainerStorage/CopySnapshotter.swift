import LayerArchive
import LinuxSystem

/// Each image's tree is unpacked whole, layer on layer, when the image is put;
/// each snapshot is a copy of it, sharing extents where the file system can.
struct CopySnapshotter: WholeTreeSnapshotter {
    let store: Store

    var name: SnapshotterName { .vfs }

    func makeTree(_ chain: [Digest], at partial: String) throws {
        let rootfs = try makeRoot(partial)
        for diffID in chain { try apply(diffID, to: rootfs) }
    }

    func copyTree(_ tree: String, to partial: String) throws(SystemError) {
        let rootfs = try makeRoot(partial)
        let source = try File.open(tree + "/rootfs", at: directory, O_RDONLY | O_DIRECTORY)
        try TreeCopy.copy(contentsOf: source, to: rootfs)
    }

    private func makeRoot(_ partial: String) throws(SystemError) -> Descriptor {
        try File.makeDirectory(partial, at: directory, mode: 0o711)
        try File.makeDirectory(partial + "/rootfs", at: directory, exactly: 0o755)
        return try File.open(partial + "/rootfs", at: directory, O_RDONLY | O_DIRECTORY)
    }

    func unneeded(besides chains: [[Digest]]) throws(StorageError) -> [String] {
        try trees(besides: Set(chains.map { chainID($0).fileName }))
    }
}
