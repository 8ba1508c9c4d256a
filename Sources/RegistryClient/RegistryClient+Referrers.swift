public import JSONText
public import LayerArchive
public import OCISpec

/// What refers to a manifest by its `subject`: signatures, bills of materials
/// (OCI Distribution Specification 1.1, "Listing Referrers"). A registry that does not keep account
/// of them has them in an index under a tag, which the clients write.
extension RegistryClient {
    /// - Parameter artifactType: nil for all.
    public func referrers(
        _ repository: Repository, to digest: Digest, artifactType: String? = nil
    ) throws(RegistryError) -> [ContentDescriptor] {
        var found: [ContentDescriptor] = []
        do throws(RegistryError) {
            let query = artifactType.map { "?artifactType=\(HTTPURL.escape($0))" } ?? ""
            try pages("/v2/\(repository.name)/referrers/\(digest)\(query)", of: repository) {
                page throws(JSONError) in
                found += try ImageIndex(json: page).manifests
                return found.count
            }
        } catch  where [.notFound, .refused].contains(error.code) {
            found = try referrersTag(repository, digest)?.manifests ?? []
        }
        // Not every registry filters.
        guard let artifactType else { return found }
        return found.filter { $0.artifactType == artifactType }
    }

    private static func tag(_ digest: Digest) -> String {
        "\(digest.algorithm.rawValue)-\(digest.hex.prefix(64))"
    }

    private func referrersTag(_ repository: Repository, _ digest: Digest) throws(RegistryError) -> ImageIndex?
    {
        let bytes: [UInt8]
        do throws(RegistryError) {
            bytes = try manifest(repository, reference: Self.tag(digest)).bytes
        } catch  where error.code == .notFound {
            return nil
        }
        do throws(JSONError) {
            return try ImageIndex(json: JSON(parsing: bytes))
        } catch {
            throw RegistryError(.malformed, "get \(repository):\(Self.tag(digest))", error.description)
        }
    }

    /// Enters a manifest that was put among those that refer to its subject.
    public func addReferrer(
        _ referrer: ContentDescriptor, to subject: Digest, in repository: Repository
    ) throws(RegistryError) {
        var index = try referrersTag(repository, subject) ?? ImageIndex(manifests: [])
        guard !index.manifests.contains(where: { $0.digest == referrer.digest }) else { return }
        index.manifests.append(referrer)
        try put(index, subject, repository)
    }

    /// Strikes a manifest that was deleted from those that refer to its subject.
    public func removeReferrer(
        _ referrer: Digest, to subject: Digest, in repository: Repository
    ) throws(RegistryError) {
        guard var index = try referrersTag(repository, subject) else { return }
        let count = index.manifests.count
        index.manifests.removeAll { $0.digest == "\(referrer)" }
        if index.manifests.count < count { try put(index, subject, repository) }
    }

    private func put(
        _ index: ImageIndex, _ subject: Digest, _ repository: Repository
    ) throws(RegistryError) {
        try putManifest(
            repository, reference: Self.tag(subject), index.json.bytes(), mediaType: MediaType.ociIndex)
    }

    /// What a manifest refers to.
    public static func subject(of manifest: JSON) -> Digest? {
        manifest["subject"]?["digest"]?.string.flatMap { try? Digest(parsing: $0) }
    }
}
