import LayerArchive
import LinuxSystem

/// What is wrong with what a driver keeps; nil when it is as it should be.
extension Snapshotter {
    func damage(ofLayer diffID: Digest, quick: Bool) throws(StorageError) -> String? {
        let layer = layerPath(diffID)
        let at = store.directory.raw
        switch name {
        case .vfs, .btrfs: return nil
        case .erofs:
            guard File.exists(layer + "/objects", at: at) else { return "its list of objects is missing" }
            return try Self.damage(ofImage: layer, at: at, quick: quick)
        case .overlay:
            guard File.exists(layer + "/diff", at: at) else { return "its files are missing" }
            if quick { return nil }
            return try aside("check layer", "\(diffID)") { partial throws(StorageError) in
                _ = try unpackAside(diffID, to: partial)
                return try Self.difference(partial + "/diff", layer + "/diff", at)
            }
        }
    }

    func damage(ofTree chain: [Digest], quick: Bool) throws(StorageError) -> String? {
        let at = store.directory.raw
        switch name {
        case .overlay: return nil
        case .erofs:
            let tree = "\(TreeImage.folder)/\(chainID(chain).fileName)"
            // Made when it is needed first.
            return File.exists(tree, at: at) ? try Self.damage(ofImage: tree, at: at, quick: quick) : nil
        case .vfs, .btrfs:
            let tree = "\(name.rawValue)/trees/\(chainID(chain).fileName)"
            guard File.exists(tree, at: at) else { return "it is missing" }
            guard File.exists(tree + "/rootfs", at: at) else { return "its files are missing" }
            if quick { return nil }
            return try aside("check the tree of", "\(chainID(chain))") { partial throws(StorageError) in
                do {
                    try File.makeDirectory(partial, at: at, mode: 0o711)
                    try File.makeDirectory(partial + "/rootfs", at: at, exactly: 0o755)
                    let rootfs = try File.open(partial + "/rootfs", at: at, O_RDONLY | O_DIRECTORY)
                    for diffID in chain { try apply(diffID, to: rootfs) }
                } catch {
                    throw StorageError("check the tree of", "\(chainID(chain))", any: error)
                }
                return try Self.difference(partial + "/rootfs", tree + "/rootfs", at)
            }
        }
    }

    /// Does something with a name in `ingest/`, and removes what is made there.
    private func aside<Value>(
        _ operation: String, _ object: String, _ body: (String) throws(StorageError) -> Value
    ) throws(StorageError) -> Value {
        let lease = try store.lease()
        defer { lease.end() }
        let partial = lease.newPartial(content: false)
        defer {
            try? store.discard(partial, as: "check")
            try? store.emptyTrash()
        }
        return try body(partial)
    }

    /// Unpacks a layer's blob anew.
    /// - Returns: what is to be in its `layer.json`.
    func unpackAside(_ diffID: Digest, to partial: String) throws(StorageError) -> LayerRecord {
        do {
            guard let digest = store.blob(ofLayer: diffID) else {
                throw StorageError(.notFound, "unpack layer", "\(diffID)", "its blob is not here")
            }
            try File.makeDirectory(partial, at: store.directory.raw, mode: 0o711)
            let folder = try File.open(partial, at: store.directory.raw, O_RDONLY | O_DIRECTORY)
            let blob = DescriptorSource(owning: try store.openBlob(digest))
            let tar = HashingSource(DecompressingSource(blob))
            let size = try unpack(tar, into: folder)
            try tar.drain()
            guard tar.digest == diffID else {
                throw StorageError(.damaged, "unpack layer", "\(diffID)", "its blob \(digest) has changed")
            }
            return LayerRecord(size: size, blob: digest)
        } catch {
            throw StorageError("unpack layer", "\(diffID)", any: error)
        }
    }

    private static func difference(_ right: String, _ found: String, _ at: Int32) throws(StorageError)
        -> String?
    {
        let differences = try storing("compare", found) { () throws(SystemError) in
            let right = try File.open(right, at: at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            let found = try File.open(found, at: at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            return try ExactComparison.differences(right: right, found: found)
        }
        if differences.isEmpty { return nil }
        let more = differences.count - 3
        return differences.prefix(3).joined(separator: ", ") + (more > 0 ? " and \(more) more" : "")
    }

    private static func damage(ofImage folder: String, at: Int32, quick: Bool) throws(StorageError) -> String?
    {
        guard let noted = try? File.readText(folder + "/image.sha256", at: at),
            let image = try? File.open(folder + "/" + LayerImage.name, at: at)
        else { return "its image is missing" }
        if quick { return nil }
        return try storing("check", folder) { () throws(SystemError) in
            let digest = try FileObjects.digest(image.raw, try FD.stat(image.raw))
            return "\(digest)" == noted ? nil : "its image has changed"
        }
    }
}

extension FileObjects {
    func damage(_ hex: String, quick: Bool) throws(SystemError) -> String? {
        let path = Self.folder + Self.path(hex)
        guard let file = try? File.open(path, at: store.directory.raw, O_RDONLY | O_NOFOLLOW) else {
            return "they are missing"
        }
        if quick { return nil }
        return try Self.digest(file.raw, try FD.stat(file.raw)).hex == hex ? nil : "they have changed"
    }
}
