import LayerArchive
import LinuxSystem

/// Layers are unpacked each for itself, and united by a mount.
struct OverlaySnapshotter: Snapshotter {
    let store: Store

    var name: SnapshotterName { .overlay }
    var root: String { store.root }
    var directory: Int32 { store.directory.raw }

    /// The kernel unites at most 500 directories (OVL_MAX_STACK), the empty one among them.
    static let longestChain = 480

    func unpack(_ tar: any ByteSource, into partial: borrowing Descriptor) throws -> Int64 {
        try File.makeDirectory("diff", at: partial.raw, exactly: Self.unsaid)
        let diff = try File.open("diff", at: partial.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        let outcome = try LayerApplier.apply(
            tar, to: diff, options: LayerApplier.Options(whiteouts: .overlay))
        if try FD.stat(diff.raw).st_mode & 0o7777 == Self.unsaid {
            try FileMetadata.setMode(diff.raw, 0o755)
        } else {
            try File.replace("root", at: partial.raw, with: [], durable: false)
        }
        // overlay does not look for the attribute at the root of a layer.
        if outcome.isOpaque { try File.replace("opaque", at: partial.raw, with: [], durable: false) }
        if !outcome.implied.isEmpty {
            let list = Array(outcome.implied.joined(separator: [0]))
            try File.replace(ImpliedDirectories.list, at: partial.raw, with: list, durable: false)
        }
        return outcome.bytes
    }

    /// A layer need not say what the root directory is like, and then the
    /// layers below say it. A mode that no archive has tells the two apart;
    /// beside the directory of a layer that does say it stands a file `root`.
    private static let unsaid: mode_t = 0o1000

    func prepare(_ chain: [Digest]) throws(StorageError) {
        guard chain.count <= Self.longestChain else {
            throw StorageError(
                .unsupported, "use the image's layers", "",
                "\(chain.count) layers, more than the \(Self.longestChain) that overlay can unite")
        }
        try ImpliedDirectories(of: layers(chain), chain: chain, in: self)?.prepare()
    }

    /// The layers of a chain that a union needs, the topmost first.
    ///
    /// What is below a layer that hides all is left out. A layer that occurs twice (the empty one often does) may stand in a
    /// union only once, and its topmost place decides: whatever it holds or
    /// hides lower down, it holds and hides there again.
    private func layers(_ chain: [Digest]) -> [Digest] {
        var seen: Set<Digest> = []
        var result: [Digest] = []
        for diffID in chain.reversed() where seen.insert(diffID).inserted {
            result.append(diffID)
            if File.exists(layerPath(diffID) + "/opaque", at: directory) { break }
        }
        return result
    }

    /// The directories for a chain, the topmost first.
    private func lowers(_ chain: [Digest]) throws(StorageError) -> [String] {
        let layers = layers(chain)
        let paths = layers.map { "\(root)/\(layerPath($0))/diff" }
        guard let implied = ImpliedDirectories(of: layers, chain: chain, in: self) else { return paths }
        return try implied.prepare().map { ["\(root)/\($0)"] + paths } ?? paths
    }

    private var empty: String { root + "/overlay/empty" }

    func mount(_ id: String, _ chain: [Digest], volatile: Bool) throws(StorageError) -> String {
        let snapshot = snapshotPath(id)
        let merged = "\(root)/\(snapshot)/merged"
        if OverlayMount.isMounted(merged) { return merged }
        let lower = try lowers(chain)
        do throws(SystemError) {
            try makeDirectories(snapshot, chain, volatile: volatile)
            try OverlayMount(
                lower: lower.isEmpty ? [empty] : lower, upper: "\(root)/\(snapshot)/upper",
                work: "\(root)/\(snapshot)/work", volatile: volatile
            ).attach(to: merged)
        } catch {
            throw StorageError("mount the file system of", id, error)
        }
        return merged
    }

    private func makeDirectories(_ snapshot: String, _ chain: [Digest], volatile: Bool) throws(SystemError) {
        let wanted: [(String, mode_t)] = [("", 0o711), ("/work", 0o700), ("/merged", 0o755)]
        for (name, mode) in wanted {
            do throws(SystemError) {
                try File.makeDirectory(snapshot + name, at: directory, exactly: mode)
            } catch  where error.errno == .exists {}
        }
        if !File.exists(snapshot + "/upper", at: directory) { try makeUpper(snapshot, chain) }
        // The kernel's note that an earlier volatile mount was not synced, with
        // which it refuses the next. Within a boot nothing is lost; a snapshot
        // that outlived its boot has lost what it said it could lose.
        if volatile { try? File.removeTree(snapshot + "/work/work/incompat", at: directory) }
    }

    /// The upper's root is the container's root directory: what it is like shows.
    private func makeUpper(_ snapshot: String, _ chain: [Digest]) throws(SystemError) {
        let partial = snapshot + "/upper.new"
        try File.removeTree(partial, at: directory)
        try File.makeDirectory(partial, at: directory, exactly: 0o755)
        if let top = chain.last(where: { File.exists(layerPath($0) + "/root", at: directory) }) {
            let said = try File.open(layerPath(top) + "/diff", at: directory, O_RDONLY | O_DIRECTORY)
            let upper = try File.open(partial, at: directory, O_RDONLY | O_DIRECTORY)
            try TreeCopy.copyMetadata(from: said.raw, to: upper.raw)
        }
        try File.rename(partial, to: snapshot + "/upper", at: directory)
    }

    func unmount(_ id: String) throws(StorageError) {
        try storing("unmount the file system of", id) { () throws(SystemError) in
            try OverlayMount.unmount("\(root)/\(snapshotPath(id))/merged")
        }
    }

    func view(_ chain: [Digest]) throws(StorageError) -> Descriptor {
        if chain.isEmpty {
            return try storing("look into", "the image's layers") { () throws(SystemError) in
                try File.open(empty, O_RDONLY | O_DIRECTORY)
            }
        }
        // A union without an upper needs two directories.
        let union = OverlayMount(lower: try lowers(chain) + [empty])
        do throws(SystemError) {
            return try union.detached()
        } catch  where OverlayMount.isForOlderKernels(error) {
            let lock = try ObjectLock("view", in: directory)
            defer { lock.keep() }
            return try storing("look into", "the image's layers") { () throws(SystemError) in
                let place = root + "/overlay/view"
                // What one left who was killed here.
                try OverlayMount.unmount(place)
                return try union.detachedByString(by: place)
            }
        } catch {
            throw StorageError("look into", "the image's layers", error)
        }
    }

    func unneeded(besides chains: [[Digest]]) throws(StorageError) -> [String] {
        let needed = Set(chains.map { chainID($0).fileName })
        guard File.exists(ImpliedDirectories.folder, at: directory) else { return [] }
        return try storing("list", ImpliedDirectories.folder) { () throws(SystemError) in
            try File.names(in: ImpliedDirectories.folder, at: directory)
        }.filter { !needed.contains($0) }.map { "\(ImpliedDirectories.folder)/\($0)" }
    }
}
