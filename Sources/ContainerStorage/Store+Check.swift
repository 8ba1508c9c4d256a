import JSONText
public import LayerArchive
import LinuxSystem
import OCISpec

/// Something in the store that is not as it is recorded.
public struct StoreDamage: Sendable, CustomStringConvertible {
    public enum Subject: Sendable, Hashable {
        case blob(Digest)
        case layer(SnapshotterName, Digest)
        /// What a driver keeps for all snapshots of some layers.
        case tree(SnapshotterName, [Digest])
        /// The contents of a file that layers share: its digest's digits.
        case object(String)
        /// Rows of the database that refer to nothing, in a table.
        case rows(String)
        case database
        case index
        /// A file of the store that nothing refers to.
        case leftover(String)
    }

    public var subject: Subject
    public var reason: String
    /// The names, or ids, of the images and artifacts that need it.
    public var images: [String] = []
    /// What became of it; nil when it is as it was.
    public var repair: String?

    public var object: String {
        switch subject {
        case .blob(let digest): "blob \(digest)"
        case .layer(let driver, let digest): "layer \(digest) (\(driver.rawValue))"
        case .tree(let driver, let chain):
            "tree of \(chain.count) layers up to \(chain.last.map(\.description) ?? "none") (\(driver.rawValue))"
        case .object(let hex): "file contents \(hex)"
        case .rows(let table): "table \(table)"
        case .database: "database"
        case .index: "index.json"
        case .leftover(let path): path
        }
    }

    public var description: String {
        let users = images.isEmpty ? "" : " (needed by \(images.joined(separator: ", ")))"
        return "\(object): \(reason)\(users)" + (repair.map { ": \($0)" } ?? "")
    }
}

extension Store {
    /// Compares all that the store holds with what is recorded of it: blobs
    /// with their digests, unpacked layers with their archives, and who refers
    /// to whom. Others may work meanwhile; what they are adding is not looked at.
    /// - Parameter quick: whether things are there, and not what is in them.
    public func check(quick: Bool) throws(StorageError) -> [StoreDamage] {
        let lease = try lease()
        defer { lease.end() }
        let lost = try unpackLost()
        let contents = try recorded()
        var damage = try databaseDamage()
        damage += try blobDamage(contents, quick: quick)
        let bad = Set(damage.map(\.subject))
        damage += try layerDamage(contents, lost, quick: quick, badBlobs: bad)
        damage += try objectDamage(quick: quick)
        damage += try indexDamage()
        damage += try leftovers(contents)
        for index in damage.indices { damage[index].images = contents.users(of: damage[index].subject) }
        return damage
    }

    /// What the database says there is.
    struct Recorded: Sendable {
        var layers: [(driver: SnapshotterName, diffID: Digest)] = []
        /// Chains that a driver has all layers of, each once.
        var chains: [(driver: SnapshotterName, chain: [Digest])] = []
        var images: [ImageRecord] = []
        /// The blobs, and the images that need each.
        var blobs: [Digest: Set<Digest>] = [:]
        /// The names of the artifacts that need each.
        var artifacts: [Digest: [String]] = [:]

        func users(of subject: StoreDamage.Subject) -> [String] {
            let artifacts: [String] =
                if case .blob(let digest) = subject { artifacts[digest] ?? [] } else { [] }
            let users: [ImageRecord] =
                switch subject {
                case .blob(let digest): images.filter { blobs[digest]?.contains($0.id) == true }
                case .layer(_, let diffID): images.filter { $0.diffIDs.contains(diffID) }
                case .tree(_, let chain): images.filter { $0.diffIDs == chain }
                default: []
                }
            return users.map { $0.names.first ?? $0.id.short } + artifacts
        }
    }

    func recorded() throws(StorageError) -> Recorded {
        var recorded = Recorded()
        recorded.images = try images()
        let (layers, blobs, artifacts) = try database.read { connection throws(StorageError) in
            (
                try connection.rows("SELECT driver, diff_id FROM layer ORDER BY driver, diff_id") {
                    row throws(StorageError) in (row.text(0), try row.digest(1))
                },
                try connection.rows(
                    "SELECT manifest_blob.digest, image FROM manifest_blob JOIN manifest ON manifest.digest = manifest"
                ) { row throws(StorageError) in (try row.digest(0), try row.digest(1)) },
                try connection.rows("SELECT digest, artifact FROM artifact_blob ORDER BY artifact") {
                    row throws(StorageError) in (try row.digest(0), row.text(1))
                }
            )
        }
        for (blob, image) in blobs { recorded.blobs[blob, default: []].insert(image) }
        for (blob, artifact) in artifacts {
            if recorded.blobs[blob] == nil { recorded.blobs[blob] = [] }
            recorded.artifacts[blob, default: []].append(artifact)
        }
        recorded.layers = layers.compactMap { layer in
            SnapshotterName(rawValue: layer.0).map { ($0, layer.1) }
        }
        let known = Dictionary(grouping: recorded.layers, by: \.driver).mapValues { Set($0.map(\.diffID)) }
        let chains = Set(recorded.images.map(\.diffIDs))
        for (driver, layers) in known {
            recorded.chains += chains.filter { $0.allSatisfy(layers.contains) }.map { (driver, $0) }
        }
        return recorded
    }

    // MARK: The database

    /// Tables and the rows of theirs that refer to nothing.
    static let danglingRows = [
        ("name", "manifest NOT IN (SELECT digest FROM manifest) OR image NOT IN (SELECT id FROM image)"),
        ("repo_digest", "image NOT IN (SELECT id FROM image)"),
        ("image_layer", "image NOT IN (SELECT id FROM image)"),
        ("manifest_blob", "manifest NOT IN (SELECT digest FROM manifest)"),
        ("manifest", "image NOT IN (SELECT id FROM image)"),
        ("image", "manifest NOT IN (SELECT digest FROM manifest)"),
        ("snapshot_layer", "snapshot NOT IN (SELECT id FROM snapshot)"),
        ("artifact_blob", "artifact NOT IN (SELECT name FROM artifact)"),
    ]

    private func databaseDamage() throws(StorageError) -> [StoreDamage] {
        try database.read { connection throws(StorageError) in
            var damage: [StoreDamage] = []
            let answers = try connection.rows("PRAGMA quick_check(10)") { $0.text(0) }
            if answers != ["ok"] {
                damage.append(StoreDamage(subject: .database, reason: answers.joined(separator: "; ")))
            }
            for (table, condition) in Self.danglingRows {
                let count = try connection.first("SELECT count(*) FROM \(table) WHERE \(condition)") {
                    $0.int(0)
                }
                if let count, count > 0 {
                    damage.append(
                        StoreDamage(subject: .rows(table), reason: "\(count) rows refer to what is not there")
                    )
                }
            }
            return damage
        }
    }

    private func indexDamage() throws(StorageError) -> [StoreDamage] {
        let lock = try ObjectLock("index", in: directory.raw)
        defer { lock.keep() }
        let (expected, mark) = try database.read { connection throws(StorageError) in
            (
                try LayoutIndex.document(connection).json.bytes(),
                try indexMark(connection)
            )
        }
        // Somebody is about to write it.
        if try mark.isStale(in: session()) { return [] }
        let found = try? File.read("index.json", at: directory.raw)
        return found == expected
            ? []
            : [
                StoreDamage(
                    subject: .index, reason: found == nil ? "it is missing" : "it does not list what is here")
            ]
    }

    // MARK: Blobs

    private func blobDamage(_ recorded: Recorded, quick: Bool) throws(StorageError) -> [StoreDamage] {
        let blobs = recorded.blobs.keys.sorted()
        do {
            return try Threads.parallel(limit: 2, blobs) { digest -> StoreDamage? in
                try self.reason(against: digest, quick: quick).map {
                    StoreDamage(subject: .blob(digest), reason: $0)
                }
            }.compactMap { $0 }
        } catch {
            throw StorageError("check", "blobs", any: error)
        }
    }

    /// What is wrong with a blob.
    func reason(against digest: Digest, quick: Bool) throws -> String? {
        guard hasBlob(digest) else { return "it is missing" }
        if quick { return nil }
        let source = DescriptorSource(owning: try openBlob(digest))
        do {
            try VerifyingSource(source, expected: digest, size: nil).drain()
            return nil
        } catch let error as ArchiveError {
            return "\(error)"
        }
    }

    // MARK: Layers

    private func layerDamage(
        _ recorded: Recorded, _ lost: [(layer: UnwrittenLayer, error: StorageError)], quick: Bool,
        badBlobs: Set<StoreDamage.Subject>
    ) throws(StorageError) -> [StoreDamage] {
        var damage: [StoreDamage] = []
        for (driver, diffID) in recorded.layers {
            let snapshotter = snapshotter(driver)
            let record: LayerRecord
            do throws(StorageError) {
                record = try LayerRecord.read(snapshotter.layerPath(diffID), at: directory.raw)
            } catch {
                let loss = lost.first { $0.layer.driver == driver && $0.layer.diffID == diffID }
                let reason =
                    loss.map { "the disk lost it, and it cannot be unpacked again (\($0.error))" }
                    ?? (error.code == .notFound ? "it is missing" : "\(error.reason)")
                damage.append(StoreDamage(subject: .layer(driver, diffID), reason: reason))
                continue
            }
            // With a bad blob there is nothing to compare with, and that is reported.
            if badBlobs.contains(.blob(record.blob)) || !hasBlob(record.blob) { continue }
            if let reason = try snapshotter.damage(ofLayer: diffID, quick: quick) {
                damage.append(StoreDamage(subject: .layer(driver, diffID), reason: reason))
            }
        }
        let bad = Set(damage.map(\.subject))
        for (driver, chain) in recorded.chains
        where !chain.contains(where: { bad.contains(.layer(driver, $0)) }) {
            let isBad = chain.contains { diffID in
                guard let blob = blob(ofLayer: diffID) else { return true }
                return badBlobs.contains(.blob(blob)) || !hasBlob(blob)
            }
            if isBad { continue }
            if let reason = try snapshotter(driver).damage(ofTree: chain, quick: quick) {
                damage.append(StoreDamage(subject: .tree(driver, chain), reason: reason))
            }
        }
        // A snapshot, or an image, of layers that no row knows.
        let missing = try database.read { connection throws(StorageError) in
            try connection.rows(
                "SELECT DISTINCT diff_id FROM image_layer WHERE diff_id NOT IN (SELECT diff_id FROM layer)"
            ) { row throws(StorageError) in try row.digest(0) }
        }
        damage += missing.map {
            StoreDamage(subject: .layer(snapshotter.name, $0), reason: "it is not recorded")
        }
        return damage
    }

    private func objectDamage(quick: Bool) throws(StorageError) -> [StoreDamage] {
        guard File.exists(FileObjects.folder, at: directory.raw) else { return [] }
        let objects = FileObjects(store: self)
        return try storing("check", FileObjects.folder) { () throws(SystemError) in
            var needed: Set<String> = []
            for layer in try File.names(in: "erofs/layers", at: directory.raw) {
                needed.formUnion((try? objects.needed(byLayer: "erofs/layers/\(layer)")) ?? [])
            }
            var damage: [StoreDamage] = []
            for hex in needed.sorted() {
                if let reason = try objects.damage(hex, quick: quick) {
                    damage.append(StoreDamage(subject: .object(hex), reason: reason))
                }
            }
            return damage
        }
    }

    // MARK: What nothing refers to

    private func leftovers(_ recorded: Recorded) throws(StorageError) -> [StoreDamage] {
        // Found by a removal that could not collect it, because we look.
        if File.exists("ingest/\(Self.collectionMark)", at: directory.raw) { return [] }
        var leftovers: [String] = []
        for algorithm in try names(in: "blobs") {
            for name in try names(in: "blobs/\(algorithm)") {
                let digest = Digest.Algorithm(rawValue: algorithm).flatMap { try? Digest($0, hex: name) }
                if digest == nil || recorded.blobs[digest!] == nil {
                    leftovers.append("blobs/\(algorithm)/\(name)")
                }
            }
        }
        let known = Set(recorded.layers.map { "\($0.driver.rawValue)/layers/\($0.diffID.fileName)" })
        for driver in SnapshotterName.allCases {
            leftovers += try names(in: "\(driver.rawValue)/layers").map { "\(driver.rawValue)/layers/\($0)" }
                .filter { !known.contains($0) }
        }
        if leftovers.isEmpty { return [] }
        // Nobody but us holds a lease: theirs protects what they have just added.
        let others = try names(in: "ingest")
        return others.count > 1 || others.contains(Self.collectionMark)
            ? [] : leftovers.map { StoreDamage(subject: .leftover($0), reason: "nothing refers to it") }
    }
}
