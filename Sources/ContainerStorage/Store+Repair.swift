import JSONText
import LayerArchive
import LinuxSystem
import OCISpec

extension Store {
    /// Puts right what `check` found. What the blobs give is made anew. An
    /// image of which a blob is lost is removed, so that a new pull brings it
    /// whole; where a container uses it, it stays, and a new pull brings what is
    /// missing.
    /// - Returns: the same damage, and what became of it.
    public func repair(_ damage: [StoreDamage]) throws(StorageError) -> [StoreDamage] {
        var damage = damage
        for index in damage.indices {
            do throws(StorageError) {
                damage[index].repair = try repair(damage[index].subject)
            } catch {
                damage[index].reason += ", and cannot be repaired (\(error))"
            }
        }
        try collectGarbage()
        return damage
    }

    private func repair(_ subject: StoreDamage.Subject) throws(StorageError) -> String? {
        switch subject {
        case .database: return nil
        case .rows(let table):
            guard let condition = Self.danglingRows.first(where: { $0.0 == table })?.1 else { return nil }
            _ = try database.write(durable: true) { connection throws(StorageError) in
                try connection.execute("DELETE FROM \(table) WHERE \(condition)")
                try Self.markIndexStale(connection)
            }
            refreshIndex()
            return "removed"
        case .index:
            try database.write { connection throws(StorageError) in try Self.markIndexStale(connection) }
            try rewriteIndex()
            return "written anew"
        case .leftover: return "removed"
        case .blob(let digest):
            try storing("remove blob", "\(digest)") { () throws(SystemError) in
                try discard(digest.blobPath, as: "blob")
            }
            let recorded = try recorded()
            return try giveUp(
                recorded.blobs[digest] ?? [], artifacts: recorded.artifacts[digest] ?? [])
        case .layer(let driver, let diffID): return try repairLayer(diffID, driver)
        case .tree(let driver, let chain):
            let snapshotter = snapshotter(driver)
            let folder = driver == .erofs ? TreeImage.folder : "\(driver.rawValue)/trees"
            if let user = try mountedUser({ $0 == chain }) { return kept(user) }
            // Each of btrfs's is made from the one below.
            let shortest = driver == .btrfs && !chain.isEmpty ? 1 : chain.count
            for count in shortest...chain.count {
                let id = snapshotter.chainID(Array(chain.prefix(count)))
                try storing("remove the tree of", "\(id)") { () throws(SystemError) in
                    try discard("\(folder)/\(id.fileName)", as: "tree")
                }
            }
            try snapshotter.prepare(chain)
            return "made anew"
        case .object(let hex): return try repairObject(hex)
        }
    }

    private func kept(_ user: String) -> String {
        "left as it is, because \(user) uses it: end that and repair again"
    }

    /// Who has the layers of such a chain mounted just now.
    private func mountedUser(_ isMeant: ([Digest]) -> Bool) throws(StorageError) -> String? {
        for id in try snapshots() {
            guard let record = try snapshot(id), isMeant(record.diffIDs) else { continue }
            let merged = "\(root)/\(snapshotter(record.driver).snapshotPath(id))/merged"
            if Mount.isMountRoot(merged) { return "container \(id.prefix(12))" }
        }
        for mount in try mountedImages() {
            if let image = try image(id: mount.id), isMeant(image.diffIDs) { return "a mount of the image" }
        }
        return nil
    }

    private func repairLayer(_ diffID: Digest, _ driver: SnapshotterName) throws(StorageError) -> String? {
        if let user = try mountedUser({ $0.contains(diffID) }) { return kept(user) }
        let snapshotter = snapshotter(driver)
        let place = snapshotter.layerPath(diffID)
        let lock = try ObjectLock("layer-\(diffID.fileName)", in: directory.raw)
        defer { lock.keep() }
        let lease = try lease()
        defer { lease.end() }
        let partial = lease.newPartial()
        let users = try recorded().images.filter { $0.diffIDs.contains(diffID) }
        guard let blob = try sourceBlob(diffID, of: users),
            (try? reason(against: blob, quick: false)) == .some(nil)
        else {
            try storing("remove layer", "\(diffID)") { () throws(SystemError) in
                try discard(place, as: "layer")
            }
            return try giveUp(Set(users.map(\.id)))
        }
        var record = LayerRecord(size: 0, blob: blob)
        // So that what unpacks finds the blob.
        if !File.exists(place, at: directory.raw) {
            try storing("note layer", "\(diffID)") { () throws(SystemError) in
                try File.makeDirectory(place, at: directory.raw, mode: 0o711)
            }
        }
        try storing("note layer", "\(diffID)") { () throws(SystemError) in
            try File.replace(
                place + "/layer.json", at: directory.raw, with: record.json.bytes(), durable: false)
        }
        record = try snapshotter.unpackAside(diffID, to: partial)
        try storing("replace layer", "\(diffID)") { () throws(SystemError) in
            try File.replace(
                partial + "/layer.json", at: directory.raw, with: record.json.bytes(), durable: false)
            try discard(place, as: "layer")
            try File.rename(partial, to: place, at: directory.raw)
        }
        try syncFileSystem()
        lease.settle()
        _ = try database.write(durable: true) { connection throws(StorageError) in
            try connection.execute(
                "INSERT INTO layer VALUES(?, ?, ?) ON CONFLICT DO NOTHING", driver.rawValue, diffID,
                record.size)
            try Self.forgetUnwritten(diffID, driver.rawValue, connection)
        }
        return "unpacked anew"
    }

    /// The blob of a layer by its record, or by a manifest.
    func sourceBlob(_ diffID: Digest, of images: [ImageRecord]) throws(StorageError) -> Digest? {
        if let blob = blob(ofLayer: diffID), hasBlob(blob) { return blob }
        for image in images {
            guard let manifest = try? manifest(of: image), manifest.layers.count == image.diffIDs.count,
                let position = image.diffIDs.firstIndex(of: diffID),
                let blob = try? Digest(parsing: manifest.layers[position].digest), hasBlob(blob)
            else { continue }
            return blob
        }
        return nil
    }

    /// The contents come back with any layer that has them.
    private func repairObject(_ hex: String) throws(StorageError) -> String? {
        let objects = FileObjects(store: self)
        let users = try names(in: "erofs/layers").compactMap(Digest.init(fileName:)).filter { diffID in
            ((try? objects.needed(byLayer: "erofs/layers/\(diffID.fileName)")) ?? []).contains(hex)
        }
        try storing("remove", "object \(hex)") { () throws(SystemError) in
            try discard(FileObjects.folder + FileObjects.path(hex), as: "object")
        }
        guard let layer = users.first else { return "removed" }
        let lease = try lease()
        defer { lease.end() }
        let partial = lease.newPartial(content: false)
        defer { try? discard(partial, as: "layer") }
        do throws(StorageError) {
            _ = try snapshotter(.erofs).unpackAside(layer, to: partial)
            try syncFileSystem()
            return "made anew"
        } catch {
            let images = try recorded().images.filter { !users.allSatisfy($0.diffIDs.contains) }
            return try giveUp(Set(images.map(\.id)))
        }
    }

    /// Removes images and artifacts that are not whole.
    private func giveUp(_ images: Set<Digest>, artifacts: [String] = []) throws(StorageError) -> String {
        var words: [String] = []
        for name in artifacts where try artifact(named: name) != nil {
            try removeArtifact(name)
            words.append("removed artifact \(name): pull or add it again")
        }
        for id in images.sorted() {
            guard let image = try image(id: id) else { continue }
            let name = image.names.first ?? image.id.short
            do throws(StorageError) {
                try removeImage(id)
                words.append("removed image \(name): pull it again")
            } catch  where error.code == .inUse {
                words.append("image \(name) stays, because \(error.reason): pull it again")
            }
        }
        return words.isEmpty ? "removed" : words.joined(separator: "; ")
    }
}
