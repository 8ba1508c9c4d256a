internal import JSONText
public import LayerArchive
public import LinuxSystem
internal import OCISpec
internal import Synchronization

/// How to reach registries.
public struct RegistryOptions: Sendable {
    /// `--creds`, `--registry-token`
    public var credentials: Credentials?
    /// The host that `credentials` are for: another one, as a mirror is, gets those of the files.
    /// nil for whatever registry is asked.
    public var credentialsHost: String?
    /// `--authfile`
    public var authFile: String?
    /// No credentials of any file are used.
    public var isAnonymous = false
    /// `--cert-dir`
    public var certificateDirectory: String?
    /// `--tls-verify`; nil when it was not given: then loopback registries may speak plain HTTP.
    public var verifyTLS: Bool?
    /// How often a failed request is repeated before it is given up.
    public var retries = 5
    /// The first pause before a repetition; each later one is twice as long, up to ten seconds.
    public var firstPauseMilliseconds = 250
    /// A blob of more bytes than this is worth a further request that lets it be resumed. It costs:
    /// docker-registry reads and hashes once more what did not come with the last request.
    public var pieceLimit: Int64 = 4 << 30
    /// Of one list.
    public var pageLimit = 10_000
    public var splitting = Splitting()
    public var stop: StopFlag?
    /// Ask token servers for the right to push.
    public var pushes = false

    public init() {}
}

/// Speaks the distribution protocol (OCI Distribution Specification 1.1).
/// Any number of threads use one client; each request in flight has a
/// connection of its own, whatever the protocol, and connections are kept for the next request.
public final class RegistryClient: Sendable {
    public let options: RegistryOptions
    private let authorizer: Authorizer
    let budget: ConnectionBudget
    private let idle = Mutex<[HTTPSession]>([])
    /// What a host was found to speak.
    private let schemes = Mutex<[String: String]>([:])
    private let tls = Mutex<[String: TLSSettings]>([:])

    public init(_ options: RegistryOptions = RegistryOptions()) {
        self.options = options
        budget = ConnectionBudget(options.splitting.furtherConnections)
        authorizer = Authorizer(
            explicit: options.credentials, host: options.credentialsHost,
            files: options.isAnonymous ? .none : AuthFile(explicit: options.authFile),
            pushes: options.pushes)
    }

    /// Loads libcurl, and the libraries behind it. Otherwise the first request does.
    public static func prepare() { _ = try? CurlLibrary.shared() }

    /// What a registry answered when asked for a manifest.
    public struct Manifest: Sendable {
        public var bytes: [UInt8]
        /// From `Content-Type`, without parameters; empty when there was none.
        public var mediaType: String
    }

    /// The largest manifest that is accepted: registries accept none larger
    /// (OCI Distribution Specification, "Pushing Manifests").
    public static let manifestLimit = 4 << 20

    static let manifestTypes = [
        MediaType.ociManifest, MediaType.ociIndex, MediaType.dockerManifest, MediaType.dockerIndex,
        MediaType.dockerSchema1Signed, MediaType.dockerSchema1,
    ].map { "Accept: \($0)" }

    /// A manifest or an index by tag or digest. The caller verifies a digest.
    public func manifest(_ repository: Repository, reference: String) throws(RegistryError) -> Manifest {
        let headers = Self.manifestTypes
        return try repeating { () throws(RegistryError) -> Manifest in
            let session = try takeSession()
            let exchange = try open(
                "/v2/\(repository.name)/manifests/\(reference)", of: repository, headers: headers,
                downgrade: false, session: session)
            if let announced = exchange.header("content-length").flatMap({ Int($0) }),
                announced > Self.manifestLimit
            {
                throw RegistryError(
                    .tooLarge, exchange.request.name,
                    "the manifest has \(announced) bytes; more than \(Self.manifestLimit) are not accepted"
                )
            }
            let bytes = try exchange.body(limit: Self.manifestLimit)
            giveBack(session, after: exchange)
            let type = (exchange.header("content-type") ?? "").prefix { $0 != ";" }
            return Manifest(bytes: bytes, mediaType: String(type).trimmed)
        }
    }

    /// Does it again, after a pause, while it fails for what may pass.
    func repeating<Value>(_ body: () throws(RegistryError) -> Value) throws(RegistryError) -> Value {
        var attempts = Attempts(options)
        while true {
            do throws(RegistryError) {
                return try body()
            } catch  where error.isTransient {
                try attempts.pause(after: error)
            }
        }
    }

    /// A blob, as a stream that goes on where it was when its connection breaks.
    /// It is not verified: put a `VerifyingSource` around it.
    /// - Parameter size: what its descriptor says; a registry that announces another size is refused.
    public func blob(_ repository: Repository, digest: Digest, size: Int64) -> BlobSource {
        BlobSource(RemoteBlob(client: self, repository: repository, digest: digest, size: size))
    }

    func takeSession() throws(RegistryError) -> HTTPSession {
        if let session = idle.withLock({ $0.popLast() }) { return session }
        return try HTTPSession()
    }

    /// Only after an answer was read to its end: a half-read one has closed its connection.
    /// - Parameter exchange: the last one, if it is still needed. Another thread may have the session at
    ///   once, so it must not use it when it ends.
    func giveBack(_ session: HTTPSession, after exchange: HTTPExchange? = nil) {
        exchange?.detach()
        idle.withLock { $0.append(session) }
    }
}

extension RegistryClient {
    /// Sends a request and follows it to its 2xx answer: picks the scheme, answers a
    /// challenge, follows redirections.
    /// - Parameters:
    ///   - path: or a whole URL, which gets no credentials.
    ///   - mounting: another repository's name, for which rights are asked for too.
    ///   - downgrade: a redirection from https to http is followed,
    ///     because the caller knows the digest of what comes.
    ///   - isLarge: what comes.
    ///   - stop: gives up as the options' does.
    func open(
        _ path: String, method: String = "GET", body: HTTPBody? = nil, of repository: Repository,
        mounting: String? = nil, headers: [String], downgrade: Bool, session: HTTPSession,
        isLarge: Bool = false, stop: StopFlag? = nil
    ) throws(RegistryError) -> HTTPExchange {
        let stops = [options.stop, stop].compactMap(\.self)
        let registry = repository.registry
        let insecure = options.verifyTLS.map { !$0 } ?? registry.insecure
        let mayUseHTTP = insecure || (options.verifyTLS == nil && registry.isLoopback)
        var settings = try tlsSettings(registry)
        settings.verify = !insecure

        var schemes = mayUseHTTP ? ["https", "http"] : ["https"]
        // What a host was found to speak when plain HTTP would do says nothing of when it will not.
        if let known = self.schemes.withLock({ $0[registry.apiHost] }), schemes.contains(known) {
            schemes = [known]
        }
        let foreign = path.hasPrefix("/") ? nil : HTTPURL(path)
        if foreign != nil {
            settings.certificate = nil
            settings.key = nil
        }
        var headerOfTry = foreign == nil ? authorizer.header(for: repository, mounting: mounting) : nil
        var challenged = false
        while true {
            var request = HTTPRequest(
                url: try foreign == nil ? url(schemes[0], registry.apiHost, path) : foreign!)
            request.method = method
            request.body = body
            request.tls = settings
            request.stops = stops
            request.isLarge = isLarge
            request.headers = headers + (headerOfTry.map { ["Authorization: \($0)"] } ?? [])
            let exchange: HTTPExchange
            do throws(RegistryError) {
                exchange = try .following(
                    request, headers: headers, downgrade: downgrade || insecure, session: session)
            } catch {
                if schemes.count > 1,
                    error.failedHandshake || error.neverConnected || error.code == .malformed
                {
                    schemes.removeFirst()
                    continue
                }
                if error.code == .tls, !insecure {
                    var error = error
                    error.message +=
                        mayUseHTTP || error.failedHandshake
                        ? "" : " (--tls-verify=false accepts it all the same)"
                    if error.failedHandshake {
                        error.message += " (if the registry speaks plain HTTP: --tls-verify=false)"
                    }
                    throw error
                }
                throw error
            }
            let used = schemes[0]
            if foreign == nil { self.schemes.withLock { $0[registry.apiHost] = used } }
            if (200..<300).contains(exchange.status) { return exchange }
            let body = (try? exchange.body(limit: 64 << 10)) ?? []
            if exchange.status == 401, exchange.request.url.origin == request.url.origin, foreign == nil {
                if let refused = headerOfTry {
                    authorizer.forget(repository, mounting: mounting, header: refused)
                }
                // A remembered answer may have expired: then one more challenge is answered.
                if !challenged {
                    challenged = true
                    headerOfTry = try authorizer.answer(
                        exchange, for: repository, mounting: mounting, insecure: insecure
                    ) {
                        request throws(RegistryError) in
                        var request = request
                        request.tls = settings
                        request.stops = stops
                        return try .following(
                            request, headers: [], downgrade: insecure, staysAtOrigin: true,
                            session: session)
                    }
                    continue
                }
            }
            throw failure(exchange, body)
        }
    }

    private func url(_ scheme: String, _ host: String, _ path: String) throws(RegistryError) -> HTTPURL {
        guard let url = HTTPURL("\(scheme)://\(host)\(path)") else {
            throw RegistryError(
                .configuration, "reach \(scheme)://\(host)\(path)", "the registry's name is no host")
        }
        return url
    }

    private func tlsSettings(_ registry: Registry) throws(RegistryError) -> TLSSettings {
        if let known = tls.withLock({ $0[registry.host] }) { return known }
        let settings = try CertificateDirectory.settings(
            registry: registry.host, explicit: options.certificateDirectory)
        tls.withLock { $0[registry.host] = settings }
        return settings
    }

    private func failure(_ exchange: HTTPExchange, _ body: [UInt8]) -> RegistryError {
        let code: RegistryError.Code
        var message = Self.reason(body)
        switch exchange.status {
        case 401: code = .unauthorized
        case 403: code = .denied
        case 404: code = .notFound
        case 429: code = .tooManyRequests
        case 400..<500: code = .refused
        case 500..<600: code = .unavailable
        default: code = .malformed
        }
        if message.isEmpty {
            switch code {
            case .unauthorized: message = "there is no such repository, or it needs other credentials"
            case .denied: message = "access denied"
            case .notFound: message = "not found"
            case .tooManyRequests: message = "too many requests"
            case .unavailable: message = "the server failed"
            default: break
            }
        }
        var error = RegistryError(code, exchange.request.name, status: exchange.status, message)
        error.retryAfter = exchange.header("retry-after").flatMap { Int($0) }
        return error
    }

    /// The messages in an error body of the distribution protocol.
    static func reason(_ body: [UInt8], separator: String = "") -> String {
        guard let json = try? JSON(parsing: body) else { return "" }
        var parts: [String] = []
        for error in (json["errors"]?.array ?? []).prefix(3) {
            let text = error["message"]?.string ?? error["code"]?.string ?? ""
            if !text.isEmpty { parts.append(text) }
        }
        if parts.isEmpty, let details = json["details"]?.string { parts.append(details) }
        return parts.isEmpty ? "" : separator + parts.joined(separator: "; ").trimmed.printable(limit: 300)
    }
}
