public import LayerArchive

extension RegistryClient {
    /// Whether the registry answers, to the credentials that we have.
    public func ping(_ registry: Registry) throws(RegistryError) {
        _ = try repeating { () throws(RegistryError) in
            try send("GET", "/v2/", to: Repository(registry: registry, name: ""))
        }
    }

    /// - Parameter size: a blob that is there with another size counts as missing.
    public func hasBlob(
        _ repository: Repository, digest: Digest, size: Int64
    ) throws(RegistryError) -> Bool {
        try repeating { () throws(RegistryError) -> Bool in
            try asked(repository, digest: digest, size: size)
        }
    }

    /// Whether a manifest is there, and with it all that it names: registries take no other.
    public func hasManifest(_ repository: Repository, digest: Digest) throws(RegistryError) -> Bool {
        try repeating { () throws(RegistryError) -> Bool in
            do throws(RegistryError) {
                _ = try send(
                    "HEAD", "/v2/\(repository.name)/manifests/\(digest)", to: repository,
                    headers: Self.manifestTypes)
                return true
            } catch  where [.notFound, .unauthorized, .denied].contains(error.code) {
                // Who may only push is not told what is there.
                return false
            }
        }
    }

    /// Like `hasBlob`, but once.
    func asked(_ repository: Repository, digest: Digest, size: Int64) throws(RegistryError) -> Bool {
        do throws(RegistryError) {
            let answer = try send("HEAD", "/v2/\(repository.name)/blobs/\(digest)", to: repository)
            return answer.header("content-length").flatMap { Int64($0) } ?? size == size
        } catch  where error.code == .notFound {
            return false
        }
    }

    /// Sends a blob. One that breaks off is gone on with where the registry
    /// says that it stopped, or is sent anew.
    /// - Parameters:
    ///   - source: the name of a repository of the registry that may have the blob.
    ///   - open: called for each attempt.
    /// - Returns: false when the registry took the blob over from `source`.
    public func uploadBlob(
        _ repository: Repository, digest: Digest, size: Int64, mounting source: String? = nil,
        open: @escaping () throws -> any ByteSource
    ) throws(RegistryError) -> Bool {
        try BlobUpload(self, repository, digest, size: size, mounting: source, open: open).run()
    }

    /// Gives a manifest its place under a tag or its digest.
    /// - Returns: whether the registry keeps account of what refers to what (`OCI-Subject`).
    @discardableResult
    public func putManifest(
        _ repository: Repository, reference: String, _ bytes: [UInt8], mediaType: String
    ) throws(RegistryError) -> Bool {
        let digest = Digest.sha256(of: bytes)
        return try repeating { () throws(RegistryError) -> Bool in
            let answer = try send(
                "PUT", "/v2/\(repository.name)/manifests/\(reference)", to: repository,
                headers: ["Content-Type: \(mediaType)"],
                body: HTTPBody(size: Int64(bytes.count)) { BytesSource(bytes) })
            try expect(digest, of: answer)
            return answer.header("oci-subject") != nil
        }
    }

    /// What a registry says that it has stored must be what was sent.
    func expect(_ digest: Digest, of answer: HTTPExchange) throws(RegistryError) {
        guard let text = answer.header("docker-content-digest"), let stored = try? Digest(parsing: text),
            stored.algorithm == digest.algorithm, stored != digest
        else { return }
        throw RegistryError(
            .malformed, answer.request.name, status: answer.status,
            "the registry has stored \(stored) instead of \(digest)")
    }

    /// One request whose answer's head is all that matters.
    func send(
        _ method: String, _ path: String, to repository: Repository, mounting: String? = nil,
        headers: [String] = [], body: HTTPBody? = nil
    ) throws(RegistryError) -> HTTPExchange {
        let session = try takeSession()
        let none = method == "POST" ? HTTPBody(size: 0) { BytesSource([]) } : nil
        let exchange = try open(
            path, method: method, body: body ?? none, of: repository, mounting: mounting,
            // Not to wait for a `100 Continue`: what is refused is refused before there is a body.
            headers: headers + (body == nil ? [] : ["Expect:"]), downgrade: false, session: session)
        _ = try exchange.body(limit: 1 << 20)
        giveBack(session, after: exchange)
        return exchange
    }
}
