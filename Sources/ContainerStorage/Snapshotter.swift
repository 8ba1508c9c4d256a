import LayerArchive
import LinuxSystem

/// A way to turn layers into the file systems of containers.
///
/// Vocabulary:
/// - *layer*: what one tar of an image adds, changes and removes; named by its
///   *diffID*, the digest of that tar.
/// - *chain*: layers, the lowest first, as an image lists them.
/// - *unpacked layer*: a directory `DRIVER/layers/HEX` with a `layer.json` and
///   whatever the driver keeps of the layer. It never changes.
/// - *snapshot*: a container's own, changeable file system over a chain; named
///   by the container's id. The database has its chain; the driver has a
///   directory `DRIVER/snapshots/ID`, made at the first mount.
/// - *rootfs*: the path at which a mounted snapshot is seen.
/// - *view*: a chain to look at, without a snapshot.
///
/// A pull and a run of an image with the layers A and B:
///
///     unpack(tar of A, into: ingest/1/1)      // in parallel, in any order
///     unpack(tar of B, into: ingest/1/2)
///                                             // the store renames both to DRIVER/layers/…
///     prepare([A, B])                         // before the image is recorded
///     mount("c1", [A, B])  → rootfs           // as often as the container starts
///     unmount("c1")
///     discard("c1")                           // DRIVER/snapshots/c1 is in the trash
///
/// The store calls with the object's lock held: one call for an object at a
/// time. Each call may follow one that a SIGKILL cut short, and copes.
protocol Snapshotter: Sendable {
    var name: SnapshotterName { get }
    var store: Store { get }

    /// Reads a layer's tar to its end and puts what the driver needs of it
    /// into an empty directory.
    /// - Returns: the size of the layer's files in bytes.
    func unpack(_ tar: any ByteSource, into partial: borrowing Descriptor) throws -> Int64

    /// Makes what snapshots of this chain share.
    func prepare(_ chain: [Digest]) throws(StorageError)

    /// Makes the snapshot's directory if need be, and its rootfs visible.
    /// A snapshot that is mounted stays as it is.
    /// - Parameter owners: the mapping of the container's user namespace; nil without one.
    /// - Returns: the absolute path of the rootfs.
    func mount(
        _ id: String, _ chain: [Digest], volatile: Bool, owners: OwnerMap?
    ) throws(StorageError) -> String

    /// Ends the visibility of the rootfs. One that is not mounted is no error.
    func unmount(_ id: String) throws(StorageError)

    /// The root of a chain's files, to read only; gone with the descriptor.
    func view(_ chain: [Digest]) throws(StorageError) -> Descriptor

    /// Shows a chain's files on an empty directory, to read only, until it is unmounted.
    func attachView(_ chain: [Digest], to target: String) throws(StorageError)

    /// Where a snapshot's changes lie, as overlay keeps them; nil for a driver
    /// that does not keep them apart.
    func changesPath(_ id: String) -> String?

    /// The chains' shared things that none of the given chains needs, as paths in the store.
    func unneeded(besides chains: [[Digest]]) throws(StorageError) -> [String]
}

/// The drivers that there are.
public enum SnapshotterName: String, Sendable, CaseIterable {
    /// A union mount of the kernel's: layers are shared, only changes are copied.
    case overlay
    /// Copies of everything: slow and large, and at home on any file system.
    case vfs
    /// As `vfs`, on btrfs: each layer's tree is a subvolume that shares with
    /// the one below what it does not change, and so is each snapshot.
    case btrfs
    /// As `overlay`, with each file's contents once, however many layers have
    /// it: on disk, and in memory.
    case erofs
}

extension Snapshotter {
    func layerPath(_ diffID: Digest) -> String { "\(name.rawValue)/layers/\(diffID.fileName)" }
    /// A chain's name (image-spec, config.md, "Layer ChainID").
    func chainID(_ chain: [Digest]) -> Digest { chainIDs(chain).last ?? Digest.sha256(of: []) }
    /// The names of all a chain's beginnings, each made from the one before; the last is its own.
    func chainIDs(_ chain: [Digest]) -> [Digest] {
        var ids: [Digest] = []
        for diffID in chain {
            ids.append(ids.last.map { Digest.sha256(of: Array("\($0) \(diffID)".utf8)) } ?? diffID)
        }
        return ids
    }
    func snapshotPath(_ id: String) -> String { "\(name.rawValue)/snapshots/\(id)" }
}

extension Store {
    /// The driver for new snapshots.
    var snapshotter: any Snapshotter { snapshotter(SnapshotterName(rawValue: driver)!) }

    func snapshotter(_ name: SnapshotterName) -> any Snapshotter {
        switch name {
        case .overlay: OverlaySnapshotter(store: self, form: .directory)
        case .erofs: OverlaySnapshotter(store: self, form: .image)
        case .btrfs: BtrfsSnapshotter(store: self)
        case .vfs: CopySnapshotter(store: self)
        }
    }
}
