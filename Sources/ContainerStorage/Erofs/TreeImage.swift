import LayerArchive
import LinuxSystem

/// The image of a chain's tree: its only layer's own, or one that was made of
/// all of its layers, `erofs/trees/CHAIN/image`, once for all snapshots of the chain.
struct TreeImage {
    static let folder = "erofs/trees"

    private let snapshotter: OverlaySnapshotter
    private let layers: [Digest]
    private let chain: Digest

    /// - Parameter layers: of the chain, those that are not hidden, the topmost first.
    init(of layers: [Digest], chain: [Digest], in snapshotter: OverlaySnapshotter) {
        self.snapshotter = snapshotter
        self.layers = layers
        self.chain = snapshotter.chainID(chain)
    }

    /// Makes the image, unless it is there.
    /// - Returns: its path in the store.
    @discardableResult
    func prepare() throws(StorageError) -> String {
        if layers.count == 1 { return snapshotter.layerPath(layers[0]) + "/" + LayerImage.name }
        let directory = snapshotter.directory
        let place = "\(Self.folder)/\(chain.fileName)"
        let image = place + "/" + LayerImage.name
        if File.exists(place, at: directory) { return image }
        let lock = try ObjectLock("erofs-tree-\(chain.fileName)", in: directory)
        defer { lock.keep() }
        if File.exists(place, at: directory) { return image }
        let lease = try snapshotter.store.lease()
        defer { lease.end() }
        let partial = lease.newPartial(content: false)
        do throws(SystemError) {
            try make(in: partial)
            try File.rename(partial, to: place, at: directory)
        } catch {
            try? snapshotter.store.discard(partial, as: "tree")
            throw StorageError("unite", "the image's layers", error)
        }
        return image
    }

    func make(in partial: String) throws(SystemError) {
        let directory = snapshotter.directory
        try File.makeDirectory(partial, at: directory, mode: 0o711)
        let folder = try File.open(partial, at: directory, O_RDONLY | O_DIRECTORY)
        try LayerImage.make(
            of: layers.map { layer throws(SystemError) in
                let path = snapshotter.layerPath(layer)
                let list = "\(path)/\(ImpliedDirectories.list)"
                let bytes =
                    File.exists(list, at: directory) ? try File.read(list, at: directory, limit: 1 << 30) : []
                var implied = Set(bytes.split(separator: 0).map(Array.init))
                // The root is said by no entry, or has a file beside the image.
                if !File.exists(path + "/root", at: directory) { implied.insert([]) }
                // A mount's own descriptor is for paths only (fsmount(2)).
                let mount = try snapshotter.open(layer)
                return LayerImage.Source(
                    try File.open(".", at: mount.raw, O_RDONLY | O_DIRECTORY), implied: implied)
            }, in: folder.raw)
    }
}

extension LayerImage {
    /// A detached mount of an image. It reads the file as it is: no loop device is needed.
    /// - Throws: ENOTBLK from a kernel before 6.12, and on file systems in memory.
    static func mount(_ path: String, at directory: Int32) throws(SystemError) -> Descriptor {
        let file = try File.open(path, at: directory)
        let context = try Mount.Context(type: "erofs")
        // fsconfig(2) takes strings of up to 255 bytes.
        try context.set("source", "/proc/self/fd/\(file.raw)")
        return try context.mount(attributes: UInt64(MOUNT_ATTR_RDONLY))
    }
}
