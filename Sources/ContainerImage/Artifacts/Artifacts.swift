public import ContainerStorage
public import LayerArchive
internal import LinuxSystem
internal import OCISpec

/// The artifacts of a store.
///
///     let artifacts = Artifacts(store: store)
///     try artifacts.add(["small.gguf"], to: "quay.io/models/small", ArtifactAddition(type: "application/x-model"))
///     try artifacts.push("quay.io/models/small")
///     try artifacts.extract("quay.io/models/small", to: "/srv/models")
public struct Artifacts: Sendable {
    let store: Store
    let options: TransferOptions
    let progress: any TransferProgress

    public init(
        store: Store, options: TransferOptions = TransferOptions(),
        progress: any TransferProgress = SilentProgress()
    ) {
        self.store = store
        self.options = options
        self.progress = progress
    }

    func storing<Value>(
        _ operation: String, _ body: () throws(StorageError) -> Value
    ) throws(ImageError) -> Value {
        do throws(StorageError) { return try body() } catch { throw ImageError(operation, error) }
    }

    /// The full name that a text stands for. A short one could be any registry's.
    static func reference(_ text: String) throws(ImageError) -> ImageReference {
        let name = try ImageName(parsing: text)
        guard let domain = name.domain else {
            throw ImageError(
                .invalidReference, "invalid artifact name \"\(text)\"",
                "it must begin with a registry, as in localhost/\(text)")
        }
        guard name.tag == nil || name.digest == nil else {
            throw ImageError(
                .invalidReference, "invalid artifact name \"\(text)\"",
                "it cannot have a tag and a digest at once")
        }
        return name.qualified(by: domain).tagged
    }

    /// All artifacts, the oldest first.
    public func all() throws(ImageError) -> [Artifact] {
        try storing("list the artifacts") { () throws(StorageError) in
            try store.artifacts().map { record throws(StorageError) in
                Artifact(record: record, manifest: try store.manifest(of: record))
            }
        }
    }

    /// The artifact that a full name means, or the beginning of its digest.
    /// - Throws: `notFound`.
    public func find(_ text: String) throws(ImageError) -> Artifact {
        let record = try record(text)
        return try storing("read \(record.name)") { () throws(StorageError) in
            Artifact(record: record, manifest: try store.manifest(of: record))
        }
    }

    func record(_ text: String) throws(ImageError) -> ArtifactRecord {
        let all = try storing("find \(text)") { () throws(StorageError) in try store.artifacts() }
        let missing = ImageError(.notFound, text, "artifact does not exist")
        if let name = try? ImageName(parsing: text), name.domain != nil {
            let reference = try Self.reference(text)
            let found = all.first {
                if $0.name == reference.canonical { return true }
                return $0.digest == reference.digest
                    && (try? ImageReference(parsing: $0.name))?.repository == reference.repository
            }
            guard let found else { throw missing }
            return found
        }
        let digits = text.hasPrefix("sha256:") ? String(text.dropFirst(7)) : text
        let found = all.filter { !digits.isEmpty && $0.digest.hex.hasPrefix(digits) }
        guard found.count < 2 else {
            throw ImageError(
                .invalidReference, text,
                "several artifacts have such a digest: name one of "
                    + found.map(\.name).joined(separator: ", "))
        }
        guard let record = found.first else { throw missing }
        return record
    }

    /// - Parameter text: a full name, or the beginning of a digest.
    /// - Returns: the digest of what was removed.
    public func remove(_ text: String) throws(ImageError) -> Digest {
        while true {
            let record = try record(text)
            do throws(StorageError) {
                try store.removeArtifact(record.name, ifStill: record.digest)
                return record.digest
            } catch  where error.code == .changed || error.code == .notFound {
                // Another process was faster: what the text means now is looked up anew.
            } catch {
                throw ImageError("", error)
            }
        }
    }

    /// Removes what an artifact was found to be; one that another has removed is none.
    public func remove(_ artifact: Artifact) throws(ImageError) -> Bool {
        do throws(StorageError) {
            try store.removeArtifact(artifact.name, ifStill: artifact.digest)
            return true
        } catch  where error.code == .changed || error.code == .notFound {
            return false
        } catch {
            throw ImageError("", error)
        }
    }
}
