public import ContainerStorage
internal import JSONText
public import LayerArchive
internal import LinuxSystem
internal import OCISpec

/// The image lists of a store. They are small: each is a row of its database, and changes in one
/// transaction. The images stay where they are until the list is pushed.
public struct ManifestLists: Sendable {
    private let store: Store
    private let options: TransferOptions
    private let progress: any TransferProgress

    private static let room = "manifest_lists"
    private static let steps = [
        """
        CREATE TABLE manifest_list (
            name TEXT PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            members TEXT NOT NULL
        ) WITHOUT ROWID;
        """
    ]

    public init(
        store: Store, options: TransferOptions, progress: any TransferProgress = SilentProgress()
    ) throws(ImageError) {
        self.store = store
        self.options = options
        self.progress = progress
        do throws(StorageError) {
            try store.database.migrate(room: Self.room, steps: Self.steps)
        } catch {
            throw ImageError("open the image lists", error)
        }
    }

    // MARK: Lists

    private static func read(_ row: Row) throws(StorageError) -> ManifestList {
        let members: [ManifestList.Member]
        do throws(JSONError) {
            members = try [ManifestList.Member](json: JSON(parsing: row.text(2)))
        } catch {
            throw StorageError(.damaged, "read the image list", row.text(0), error.description)
        }
        return ManifestList(name: row.text(0), id: row.text(1), members: members)
    }

    private static func find(_ name: String, _ connection: Connection) throws(StorageError) -> ManifestList? {
        try connection.first("SELECT name, id, members FROM manifest_list WHERE name = ?1 OR id = ?1", name) {
            row throws(StorageError) in try read(row)
        }
    }

    private func storing<Value>(
        _ operation: String, _ body: () throws(StorageError) -> Value
    ) throws(ImageError) -> Value {
        do throws(StorageError) { return try body() } catch { throw ImageError(operation, error) }
    }

    /// The list that a name or an ID means.
    public func find(_ text: String) throws(ImageError) -> ManifestList? {
        try storing("find the image list \(text)") { () throws(StorageError) in
            try store.database.read { connection throws(StorageError) in
                if text.utf8.count == 64, let list = try Self.find(text, connection) { return list }
                guard let name = try? ImageTransfer.localName(text).canonical else { return nil }
                return try Self.find(name, connection)
            }
        }
    }

    public func require(_ text: String) throws(ImageError) -> ManifestList {
        if let list = try find(text) { return list }
        throw ImageError(.notFound, "find the image list \(text)", "there is no such list here")
    }

    /// - Parameter amends: a list of this name may exist, and stays.
    public func create(_ text: String, amends: Bool) throws(ImageError) -> ManifestList {
        let reference = try ImageTransfer.localName(text)
        guard reference.digest == nil else {
            throw ImageError(
                .invalidReference, "create the image list \(text)",
                "a list cannot be given a digest for a name")
        }
        let name = reference.canonical
        let digits = Array("0123456789abcdef")
        let id = String((0..<64).map { _ in digits.randomElement()! })
        let made: ManifestList? = try storing("create the image list \(text)") { () throws(StorageError) in
            try store.database.write(durable: true) { connection throws(StorageError) in
                let new = try connection.execute(
                    "INSERT INTO manifest_list VALUES(?, ?, '[]') ON CONFLICT DO NOTHING", name, id)
                return new > 0 || amends ? try Self.find(name, connection) : nil
            }
        }
        guard let made else {
            throw ImageError(
                .configuration, "create the image list \(text)",
                "the name \(name) is in use: --amend adds to that list")
        }
        return made
    }

    public func remove(_ text: String) throws(ImageError) -> ManifestList {
        let list = try require(text)
        try storing("remove the image list \(text)") { () throws(StorageError) in
            _ = try store.database.write(durable: true) { connection throws(StorageError) in
                try connection.execute("DELETE FROM manifest_list WHERE id = ?", list.id)
            }
        }
        return list
    }

    private func change(
        _ list: ManifestList, _ body: (inout ManifestList) throws(ImageError) -> Void
    ) throws(ImageError) -> ManifestList {
        let operation = "change the image list \(list.name)"
        let changed: Result<ManifestList, ImageError> = try storing(operation) { () throws(StorageError) in
            try store.database.write(durable: true) { connection throws(StorageError) in
                // As it is now: another may have changed it while we asked a registry.
                guard var list = try Self.find(list.id, connection) else {
                    return .failure(ImageError(.notFound, operation, "it was removed"))
                }
                do throws(ImageError) { try body(&list) } catch { return .failure(error) }
                try connection.execute(
                    "UPDATE manifest_list SET members = ? WHERE id = ?", list.members.json.text(), list.id)
                return .success(list)
            }
        }
        return try changed.get()
    }

    // MARK: Members

    /// Adds an image, or with `all` the images of a list.
    /// - Parameter image: a place; without a transport an image of the store, or else a registry's.
    public func add(
        _ image: String, to list: ManifestList, all: Bool, change: ManifestList.Change
    ) throws(ImageError) -> ManifestList {
        let found: [ManifestList.Member]
        do {
            found = try members(at: place(image), all: all)
        } catch {
            throw ImageError("add \(image) to \(list.name)", any: error)
        }
        return try self.change(list) { list in
            for var member in found {
                change.apply(to: &member.descriptor)
                if let known = list.members.firstIndex(where: {
                    $0.descriptor.digest == member.descriptor.digest
                }) {
                    list.members[known] = member
                } else {
                    list.members.append(member)
                }
            }
        }
    }

    private func place(_ image: String) throws -> ImageSource {
        if ImageSource.namesTransport(image) { return try ImageSource(parsing: image) }
        if let stores = options.stores, let here = try? stores.find(nil, image) {
            return .store(root: nil, name: "\(here.1.id)")
        }
        return .registry(image)
    }

    private func members(at place: ImageSource, all: Bool) throws -> [ManifestList.Member] {
        let provider = try place.provider(options, progress: progress, stop: StopFlag())
        let top = try SourceDocument(topOf: provider)
        if all, case .index(let index, _) = top.content {
            return try index.manifests.map {
                ManifestList.Member($0, origin: try origin(place, $0.digest))
            }
        }
        let chosen = try SourceDocument(choosing: options.platform ?? .host, below: top, of: provider)
        guard case .manifest(let manifest, let type) = chosen.content else { preconditionFailure() }
        let config = try SourceConfig(manifest, of: provider)
        let descriptor = ContentDescriptor(
            mediaType: type, digest: "\(chosen.digest)", size: Int64(chosen.bytes.count),
            platform: config.image?.platform)
        return [ManifestList.Member(descriptor, origin: try origin(place, descriptor.digest))]
    }

    /// A place that goes on naming the same image.
    private func origin(_ place: ImageSource, _ digest: String) throws -> String {
        guard case .registry(let text) = place else { return "\(place)" }
        return "docker://\(try ImageReference(parsing: text).repository)@\(digest)"
    }

    /// - Parameter image: a member's digest, or a place that leads to it.
    public func annotate(
        _ list: ManifestList, _ image: String, _ change: ManifestList.Change
    ) throws(ImageError) -> ManifestList {
        let digest = try self.digest(image)
        return try self.change(list) { list throws(ImageError) in
            change.apply(to: &list.members[try list.member(digest)].descriptor)
        }
    }

    public func remove(_ image: String, from list: ManifestList) throws(ImageError) -> ManifestList {
        let digest = try self.digest(image)
        return try change(list) { list throws(ImageError) in
            list.members.remove(at: try list.member(digest))
        }
    }

    private func digest(_ image: String) throws(ImageError) -> String {
        if let digest = try? Digest(parsing: image) { return "\(digest)" }
        do {
            return try members(at: place(image), all: false)[0].descriptor.digest
        } catch {
            throw ImageError("find \(image)", any: error)
        }
    }

    // MARK: Pushing

    /// Copies a list, and with `all` its images.
    /// - Returns: the digest of the index as it is there.
    public func push(
        _ list: ManifestList, to destination: ImageSource, all: Bool, form: PushForm
    ) throws(ImageError) -> Digest {
        do {
            let stop = StopFlag()
            let target = try destination.destination(options, form, stop: stop)
            let source = ManifestListProvider(
                list: list, options: options, progress: progress, stop: stop)
            var copy = ImageCopy(
                source: source, destination: target, form: form, selection: all ? .all : .indexOnly)
            copy.threads = options.threads
            copy.trust = options.trust
            copy.progress = progress
            copy.stop = stop
            let pushed = try copy.run(names: try destination.names)
            try target.commit()
            return pushed.digest
        } catch {
            throw ImageError("push \(list.name) to \(destination)", any: error)
        }
    }
}
