import LayerArchive
import LinuxSystem

/// The directories of a chain's layers that have no entry in their archives,
/// and are there for what is in them: a layer with `tmp/x` alone says nothing
/// of `tmp`. A union shows each directory as its topmost layer has it, so the
/// mode, owner and attributes that a lower layer gave it would be lost.
///
/// Layers are unpacked without knowing what will be below them. So what such
/// directories are like in a chain stands in a layer of its own on top,
/// `overlay/implied/CHAIN/diff`: directories only, made once for all snapshots
/// of the chain. Without a `diff` the chain needs none.
struct ImpliedDirectories {
    static let folder = "overlay/implied"
    /// Beside an unpacked layer's files: its implied directories, with a NUL between.
    static let list = "implied"

    private typealias Path = [UInt8]

    private struct Layer {
        var diff: String
        var implied: Set<Path>
    }

    private let snapshotter: OverlaySnapshotter
    private let layers: [Digest]
    private let chain: Digest
    private var place: String { "\(Self.folder)/\(chain.fileName)" }

    /// Nil for a chain in which every directory has an entry.
    /// - Parameter layers: the topmost first.
    init?(of layers: [Digest], chain: [Digest], in snapshotter: OverlaySnapshotter) {
        let directory = snapshotter.directory
        // Below the lowest there is nothing to learn from.
        let implying = layers.dropLast().contains {
            File.exists("\(snapshotter.layerPath($0))/\(Self.list)", at: directory)
        }
        if !implying { return nil }
        self.snapshotter = snapshotter
        self.layers = layers
        self.chain = snapshotter.chainID(chain)
    }

    /// Makes the chain's own layer, unless it is there.
    /// - Returns: its path in the store; nil when the chain needs none.
    @discardableResult
    func prepare() throws(StorageError) -> String? {
        let directory = snapshotter.directory
        let diff = place + "/diff"
        func result() -> String? { File.exists(diff, at: directory) ? diff : nil }
        if File.exists(place, at: directory) { return result() }
        let lock = try ObjectLock("implied-\(chain.fileName)", in: directory)
        defer { lock.keep() }
        if File.exists(place, at: directory) { return result() }
        let lease = try snapshotter.store.lease()
        defer { lease.end() }
        let partial = lease.newPartial(content: false)
        do throws(SystemError) {
            try File.makeDirectory(partial, at: directory, mode: 0o711)
            try make(partial + "/diff")
            do throws(SystemError) {
                try File.makeDirectory(Self.folder, at: directory, mode: 0o711)
            } catch  where error.errno == .exists {}
            try File.rename(partial, to: place, at: directory)
        } catch {
            try? snapshotter.store.discard(partial, as: "implied")
            throw StorageError("unite", "the image's layers", error)
        }
        return result()
    }

    private func make(_ target: String) throws(SystemError) {
        let at = snapshotter.directory
        let layers = try self.layers.map { diffID throws(SystemError) in
            let path = snapshotter.layerPath(diffID)
            let list = "\(path)/\(Self.list)"
            let bytes = File.exists(list, at: at) ? try File.read(list, at: at, limit: 1 << 30) : []
            return Layer(diff: path + "/diff", implied: Set(bytes.split(separator: 0).map(Array.init)))
        }
        let paths = layers.reduce(into: Set<Path>()) { $0.formUnion($1.implied) }
        // In one layer only, and so is all that is in them.
        var alone: Set<Path> = []
        var wanted: Set<Path> = []
        for path in paths.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            if alone.contains(Self.parent(path)) {
                alone.insert(path)
                continue
            }
            let found = try find(path, in: layers)
            guard found.teller != nil else {
                if found.count < 2 { alone.insert(path) }
                continue
            }
            if found.count < 2 { continue }
            var path = path
            while !path.isEmpty, wanted.insert(path).inserted { path = Self.parent(path) }
        }
        if wanted.isEmpty { return }
        try File.makeDirectory(target, at: at, exactly: 0o755)
        let top = try File.open(target, at: at, O_RDONLY | O_DIRECTORY)
        let ordered = wanted.sorted { $0.count < $1.count }
        for path in ordered {
            let name = Self.text(path)
            _ = try retrying("mkdir", "") { mkdirat(top.raw, name, 0o755) }
        }
        // Once everything is in its place: a child sets its parent's time.
        for path in ordered {
            let made = try File.openRaw(Self.text(path), beneath: top.raw, O_RDONLY | O_DIRECTORY)
            let found = try find(path, in: layers)
            if let teller = found.teller {
                try TreeCopy.copyMetadata(from: teller.raw, to: made.raw)
            } else {
                try FileMetadata.setMode(made.raw, 0o755)
            }
        }
    }

    private struct Found: ~Copyable {
        /// The directory as the topmost layer has it that tells what it is like.
        var teller: Descriptor?
        /// Layers that have it, down to the one that tells.
        var count = 0
    }

    /// What the layers, the topmost first, have at a path.
    private func find(_ path: Path, in layers: [Layer]) throws(SystemError) -> Found {
        var found = Found()
        let components = path.split(separator: UInt8(ascii: "/")).map { Self.text(Array($0)) }
        layers: for layer in layers {
            var current = try File.open(
                layer.diff, at: snapshotter.directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            var hidesLower = false
            for (depth, component) in components.enumerated() {
                do throws(SystemError) {
                    current = try File.openRaw(
                        component, beneath: current.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                } catch  where error.errno == .noEntry {
                    if hidesLower { break layers }
                    continue layers
                } catch  where error.errno == .notDirectory || error.errno == .loop {
                    // A whiteout, or something else in its place.
                    break layers
                }
                // What is in an opaque directory is new; the directory itself need not be.
                if depth < components.count - 1, try Self.isOpaque(current.raw) { hidesLower = true }
            }
            found.count += 1
            if !layer.implied.contains(path) {
                found.teller = consume current
                break
            }
            if hidesLower { break }
        }
        return found
    }

    private static func isOpaque(_ directory: Int32) throws(SystemError) -> Bool {
        try ExtendedAttributes.value(directory, Array("trusted.overlay.opaque".utf8)) == [UInt8(ascii: "y")]
    }

    private static func parent(_ path: Path) -> Path {
        path.lastIndex(of: UInt8(ascii: "/")).map { Array(path[..<$0]) } ?? []
    }

    private static func text(_ path: Path) -> [CChar] { path.map { CChar(bitPattern: $0) } + [0] }
}
