public import LayerArchive

extension RegistryClient {
    /// Whether the registry answers, to the credentials that we have.
    public func ping(_ registry: Registry) throws(RegistryError) {
        _ = try send("GET", "/v2/", to: Repository(registry: registry, name: ""))
    }

    public func hasBlob(_ repository: Repository, digest: Digest) throws(RegistryError) -> Bool {
        do throws(RegistryError) {
            return try repeating { () throws(RegistryError) -> Bool in
                _ = try send("HEAD", "/v2/\(repository.name)/blobs/\(digest)", to: repository)
                return true
            }
        } catch  where error.code == .notFound {
            return false
        }
    }

    /// Sends a blob in one piece. One that breaks off is sent anew, after a pause.
    /// - Parameters:
    ///   - source: the name of a repository of the registry that may have the blob.
    ///   - open: called for each attempt.
    /// - Returns: false when the registry took the blob over from `source`.
    public func uploadBlob(
        _ repository: Repository, digest: Digest, size: Int64, mounting source: String? = nil,
        open: @escaping () throws -> any ByteSource
    ) throws(RegistryError) -> Bool {
        try repeating { () throws(RegistryError) -> Bool in
            let begun = try beginUpload(repository, digest, mounting: source)
            if begun.status == 201 { return false }
            let location = begun.header("location") ?? ""
            guard let path = uploadPath(location, of: repository) else {
                throw RegistryError(
                    .malformed, begun.request.name, status: begun.status,
                    "the registry names no usable place for the upload "
                        + "(\"\(location.printable(limit: 100))\")")
            }
            let target = path + (path.contains("?") ? "&" : "?") + "digest=\(HTTPURL.escape("\(digest)"))"
            _ = try send(
                "PUT", target, to: repository, headers: ["Content-Type: application/octet-stream"],
                body: HTTPBody(size: size, open: open))
            return true
        }
    }

    /// A registry that cannot mount the blob begins an upload all the same.
    private func beginUpload(
        _ repository: Repository, _ digest: Digest, mounting source: String?
    ) throws(RegistryError) -> HTTPExchange {
        let path = "/v2/\(repository.name)/blobs/uploads/"
        guard let source else { return try send("POST", path, to: repository) }
        let mount = "?mount=\(HTTPURL.escape("\(digest)"))&from=\(HTTPURL.escape(source))"
        do throws(RegistryError) {
            return try send("POST", path + mount, to: repository, mounting: source)
        } catch  where [.unauthorized, .denied, .notFound, .refused].contains(error.code) {
            // We may not read the other repository.
            return try send("POST", path, to: repository)
        }
    }

    /// Gives a manifest its place under a tag or its digest.
    public func putManifest(
        _ repository: Repository, reference: String, _ bytes: [UInt8], mediaType: String
    ) throws(RegistryError) {
        try repeating { () throws(RegistryError) -> Void in
            _ = try send(
                "PUT", "/v2/\(repository.name)/manifests/\(reference)", to: repository,
                headers: ["Content-Type: \(mediaType)"],
                body: HTTPBody(size: Int64(bytes.count)) { BytesSource(bytes) })
        }
    }

    /// One request whose answer's head is all that matters.
    private func send(
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
        giveBack(session)
        return exchange
    }

    /// Where to send a blob: a path for the registry itself, whatever scheme
    /// it believes that it is reached by, or the URL of another host.
    private func uploadPath(_ location: String, of repository: Repository) -> String? {
        if location.hasPrefix("/"), !location.hasPrefix("//") { return location }
        guard let url = HTTPURL(location) else { return nil }
        let own = HTTPURL("\(url.scheme)://\(repository.registry.apiHost)")
        guard url.authority == own?.authority || url.origin == own?.origin else {
            return url.scheme == "https" ? location : nil
        }
        let rest = location.dropFirst(url.scheme.count + 3)
        return rest.firstIndex(of: "/").map { String(rest[$0...]) }
    }
}
