import LayerArchive
import LinuxSystem

/// Layers are unpacked each for itself, and united by a mount.
struct OverlaySnapshotter: Snapshotter {
    /// What an unpacked layer is.
    enum LayerForm {
        /// A directory `diff`.
        case directory
        /// An image of its metadata, and objects (`LayerImage`).
        case image
    }

    let store: Store
    let form: LayerForm

    var name: SnapshotterName { form == .directory ? .overlay : .erofs }
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
        if form == .image { try makeImage(in: partial.raw) }
        return outcome.bytes
    }

    private func makeImage(in partial: Int32) throws(SystemError) {
        let objects = FileObjects(store: store)
        do throws(SystemError) {
            try LayerImage.make(of: "diff", in: partial, objects: objects)
        } catch {
            objects.markForCollection()
            throw error
        }
        try TreeRemoval.remove("diff", at: partial)
    }

    /// A layer's root directory.
    func open(_ layer: Digest) throws(SystemError) -> Descriptor {
        switch form {
        case .directory:
            try File.open(layerPath(layer) + "/diff", at: directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        case .image: try LayerImage.mount(layerPath(layer) + "/" + LayerImage.name, at: directory)
        }
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
        let layers = layers(chain)
        switch form {
        case .directory: try ImpliedDirectories(of: layers, chain: chain, in: self)?.prepare()
        case .image: if !layers.isEmpty { try TreeImage(of: layers, chain: chain, in: self).prepare() }
        }
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

    /// What is below a mount.
    private struct Union {
        /// The topmost first.
        var lower: [String]
        var dataOnly: [String] = []
        /// Whose `/proc/self/fd` names are among them.
        var held: [HeldDescriptor] = []
    }

    /// - Parameters:
    ///   - base: the store's directory, or a mount of it that maps owners.
    ///   - owners: how; nil when the base maps none.
    private func union(
        _ chain: [Digest], base: String? = nil, owners: OwnerMap? = nil
    ) throws(StorageError) -> Union {
        let root = base ?? self.root
        let layers = layers(chain)
        var union = Union(lower: [])
        switch form {
        case .directory:
            union.lower = layers.map { "\(root)/\(layerPath($0))/diff" }
            if let implied = try ImpliedDirectories(of: layers, chain: chain, in: self)?.prepare() {
                union.lower.insert("\(root)/\(implied)", at: 0)
            }
        case .image:
            if layers.isEmpty { break }
            let image = try TreeImage(of: layers, chain: chain, in: self).prepare()
            let mount = try storing("mount the image's tree", image) { () throws(SystemError) in
                let mount = try LayerImage.mount(image, at: directory)
                if let owners { try owners.map(mount.raw) }
                return HeldDescriptor(mount)
            }
            union.held.append(mount)
            union.lower.append("/proc/self/fd/\(mount.raw)")
            union.dataOnly = ["\(root)/\(FileObjects.folder)"]
        }
        if layers.isEmpty {
            union.lower = [empty]
            union.dataOnly = []
        }
        return union
    }

    private var empty: String { root + "/overlay/empty" }

    func mount(
        _ id: String, _ chain: [Digest], volatile: Bool, owners: OwnerMap?
    ) throws(StorageError) -> String {
        let snapshot = snapshotPath(id)
        let merged = "\(root)/\(snapshot)/merged"
        if OverlayMount.isMounted(merged) { return merged }
        do {
            var mapped: HeldDescriptor?
            if let owners, !OwnerShift.isDone(snapshot, at: directory) { mapped = try owners.mapped(root) }
            let base = mapped.map { "/proc/self/fd/\($0.raw)" } ?? root
            let union = try union(chain, base: base, owners: mapped == nil ? nil : owners)
            if OwnerShift.wasCutShort(snapshot, at: directory) {
                try File.removeTree(snapshot + "/upper", at: directory)
                try File.removeTree(snapshot + "/work", at: directory)
                try OwnerShift.forget(snapshot, at: directory)
            }
            try makeDirectories(snapshot, chain, volatile: volatile)
            var mount = OverlayMount(
                lower: union.lower, upper: "\(base)/\(snapshot)/upper",
                work: "\(base)/\(snapshot)/work", volatile: volatile)
            mount.dataOnly = union.dataOnly
            try withExtendedLifetime((mapped, union.held)) { () throws(SystemError) in
                guard let owners, mapped != nil else { return try mount.attach(to: merged) }
                try owners.asMappedRoot { () throws(SystemError) in try mount.attach(to: merged) }
            }
            if let owners, mapped == nil {
                do throws(SystemError) {
                    try OwnerShift.apply(owners, to: merged, of: snapshot, at: directory)
                } catch {
                    try? OverlayMount.unmount(merged)
                    throw error
                }
            }
        } catch let error as StorageError {
            throw error
        } catch let error as SystemError {
            throw StorageError("mount the file system of", id, error)
        } catch {
            throw StorageError("mount the file system of", id, any: error)
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
        if let said = try root(of: chain) {
            let upper = try File.open(partial, at: directory, O_RDONLY | O_DIRECTORY)
            try TreeCopy.copyMetadata(from: said.raw, to: upper.raw)
        }
        try File.rename(partial, to: snapshot + "/upper", at: directory)
    }

    /// What says of a chain's root directory what it is like; nil when no layer
    /// does. A union does not show that: it gives the root of its topmost layer.
    func root(of chain: [Digest]) throws(SystemError) -> Descriptor? {
        guard let top = chain.last(where: { File.exists(layerPath($0) + "/root", at: directory) }) else {
            return nil
        }
        return try readable(try open(top))
    }

    /// A mount's own descriptor is for paths only (fsmount(2)).
    private func readable(_ directory: consuming Descriptor) throws(SystemError) -> Descriptor {
        try File.open(".", at: directory.raw, O_RDONLY | O_DIRECTORY)
    }

    func unmount(_ id: String) throws(StorageError) {
        try storing("unmount the file system of", id) { () throws(SystemError) in
            try OverlayMount.unmount("\(root)/\(snapshotPath(id))/merged")
        }
    }

    /// A union without an upper needs two directories. None may be between the
    /// layer that names the contents and the data-only ones.
    private func viewed(_ union: Union) -> OverlayMount {
        var mount = OverlayMount(lower: union.dataOnly.isEmpty ? union.lower + [empty] : union.lower)
        mount.dataOnly = union.dataOnly
        return mount
    }

    func view(_ chain: [Digest]) throws(StorageError) -> Descriptor {
        if chain.isEmpty {
            return try storing("look into", "the image's layers") { () throws(SystemError) in
                try File.open(empty, O_RDONLY | O_DIRECTORY)
            }
        }
        let union = try union(chain)
        let mount = viewed(union)
        do throws(SystemError) {
            defer { withExtendedLifetime(union.held) {} }
            return try mount.detached()
        } catch  where OverlayMount.isForOlderKernels(error) && form == .directory {
            let lock = try ObjectLock("view", in: directory)
            defer { lock.keep() }
            return try storing("look into", "the image's layers") { () throws(SystemError) in
                let place = root + "/overlay/view"
                // What one left who was killed here.
                try OverlayMount.unmount(place)
                return try mount.detachedByString(by: place)
            }
        } catch {
            throw StorageError("look into", "the image's layers", error)
        }
    }

    func attachView(_ chain: [Digest], to target: String) throws(StorageError) {
        let union = try union(chain)
        try storing("mount the image's layers on", target) { () throws(SystemError) in
            if chain.isEmpty { return try Mount.attachReadOnly(empty, onto: target) }
            try withExtendedLifetime(union.held) { () throws(SystemError) in
                try viewed(union).attach(to: target)
            }
        }
    }

    func unneeded(besides chains: [[Digest]]) throws(StorageError) -> [String] {
        let needed = Set(chains.map { chainID($0).fileName })
        let folder = form == .directory ? ImpliedDirectories.folder : TreeImage.folder
        return try store.names(in: folder).filter { !needed.contains($0) }.map { "\(folder)/\($0)" }
    }

    func changesPath(_ id: String) -> String? { snapshotPath(id) + "/upper" }
}

extension Mount {
    /// Shows a directory elsewhere, to read only.
    static func attachReadOnly(_ path: String, onto target: String) throws(SystemError) {
        let mount: Descriptor
        do throws(SystemError) {
            mount = try Mount.clone(path)
        } catch  where error.errno == .noSystemCall {
            return try Mount.bindReadOnly(path, onto: target)
        }
        try Mount.change(mount.raw, .readOnly)
        let place = try File.open(target, O_PATH | O_DIRECTORY | O_NOFOLLOW)
        try Mount.attach(mount.raw, onto: place.raw)
    }
}
