internal import JSONText
internal import LinuxSystem
internal import OCISpec
internal import Synchronization

/// Answers registries' challenges, and remembers the answers
/// (distribution's token authentication specification).
final class Authorizer: Sendable {
    fileprivate struct Key: Hashable {
        var host: String
        var repository: String
        var mounting: String?
    }
    private struct Answer {
        var header: String
        /// Seconds of the monotonic clock.
        var expires: Int
    }

    private let explicit: Credentials?
    private let host: String?
    private let files: AuthFile
    private let pushes: Bool
    private let answers = Mutex<[Key: Answer]>([:])

    /// - Parameters:
    ///   - host: the registry that the explicit ones are for; nil for any.
    ///   - pushes: tokens are for writing, too.
    init(explicit: Credentials?, host: String?, files: AuthFile, pushes: Bool) {
        self.explicit = explicit
        self.host = host
        self.files = files
        self.pushes = pushes
    }

    private static var now: Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec
    }

    /// The `Authorization` to send without being asked, if one is known.
    /// - Parameter mounting: the name of another repository that is read.
    func header(for repository: Repository, mounting: String?) -> String? {
        answers.withLock { answers in
            guard let answer = answers[Key(repository, mounting)], answer.expires > Self.now else {
                return nil
            }
            return answer.header
        }
    }

    func forget(_ repository: Repository, mounting: String?, header: String) {
        let key = Key(repository, mounting)
        answers.withLock { if $0[key]?.header == header { $0[key] = nil } }
    }

    /// Answers the challenges of a 401.
    /// - Parameter send: Performs the request for a token.
    func answer(
        _ exchange: HTTPExchange, for repository: Repository, mounting: String?, insecure: Bool,
        send: (HTTPRequest) throws(RegistryError) -> HTTPExchange
    ) throws(RegistryError) -> String {
        let challenges = exchange.headers.filter { $0.name == "www-authenticate" }
            .flatMap { Challenge.parse($0.value) }
        let isTheirs = host.map { Registry(host: $0).apiHost == repository.registry.apiHost } ?? true
        var credentials = isTheirs ? explicit : nil
        if credentials == nil {
            credentials = try files.credentials(registry: repository.registry.host, name: repository.name)
        }
        func remember(_ header: String, seconds: Int) -> String {
            let expires = Self.now + seconds
            answers.withLock { $0[Key(repository, mounting)] = Answer(header: header, expires: expires) }
            return header
        }
        if case .registryToken(let token) = credentials {
            return remember("Bearer \(token)", seconds: 3600)
        }
        if let challenge = challenges.first(where: { $0.scheme == "bearer" }) {
            let (token, seconds) = try token(
                challenge, credentials, scopes: scopes(challenge, repository, mounting: mounting),
                for: repository, registryURL: exchange.request.url, insecure: insecure, send: send)
            return remember("Bearer \(token)", seconds: seconds)
        }
        if challenges.contains(where: { $0.scheme == "basic" }) {
            guard let basic = credentials?.basic else {
                throw RegistryError(
                    .unauthorized, exchange.request.name, status: 401,
                    "authentication required: registry \(repository.registry) asks for a user name and a password, and none is known: "
                        + "give --creds USER:PASSWORD or --authfile FILE")
            }
            return remember(basic, seconds: 86400)
        }
        throw RegistryError(
            .unauthorized, exchange.request.name, status: 401,
            challenges.isEmpty
                ? "the registry does not say how to log in"
                : "the registry asks for \(challenges[0].scheme.printable(limit: 30)) authentication, which is not supported"
        )
    }

    /// What a token is to allow.
    private func scopes(_ challenge: Challenge, _ repository: Repository, mounting: String?) -> [String] {
        // To log in is to ask for nothing.
        if repository.name.isEmpty { return [] }
        if pushes {
            // One token for all that a push does: a registry asks first for what a HEAD takes.
            return ["repository:\(repository.name):pull,push"]
                + (mounting.map { ["repository:\($0):pull"] } ?? [])
        }
        return [challenge.parameters["scope"] ?? "repository:\(repository.name):pull"]
    }

    private func token(
        _ challenge: Challenge, _ credentials: Credentials?, scopes: [String], for repository: Repository,
        registryURL: HTTPURL, insecure: Bool, send: (HTTPRequest) throws(RegistryError) -> HTTPExchange
    ) throws(RegistryError) -> (token: String, seconds: Int) {
        guard let realm = challenge.parameters["realm"], let url = HTTPURL(realm) else {
            throw RegistryError(
                .malformed, registryURL.withoutQuery,
                "the registry names no usable token server "
                    + "(realm \"\((challenge.parameters["realm"] ?? "").printable(limit: 100))\")")
        }
        guard url.scheme == "https" || insecure || registryURL.scheme == "http" else {
            throw RegistryError(
                .unauthorized, registryURL.withoutQuery,
                "the registry names a token server without TLS: \(url.withoutQuery)")
        }
        guard url.mayBeNamed(by: registryURL) else {
            throw RegistryError(
                .unauthorized, registryURL.withoutQuery,
                "the registry names a token server inside this machine or network: "
                    + url.withoutQuery.printable(limit: 300))
        }
        let service = challenge.parameters["service"]
        var request = HTTPRequest(url: url)
        if case .identityToken(let refresh) = credentials {
            var form = "grant_type=refresh_token&client_id=apus&refresh_token=\(HTTPURL.escape(refresh))"
            if !scopes.isEmpty { form += "&scope=\(HTTPURL.escape(scopes.joined(separator: " ")))" }
            if let service { form += "&service=\(HTTPURL.escape(service))" }
            request.form = Array(form.utf8)
        } else {
            var text = url
            if let service { text = HTTPURL(text.adding("service", service)) ?? text }
            for scope in scopes { text = HTTPURL(text.adding("scope", scope)) ?? text }
            if case .password(let user, _) = credentials {
                text = HTTPURL(text.adding("account", user)) ?? text
            }
            request.url = text
            if let basic = credentials?.basic { request.headers.append("Authorization: \(basic)") }
        }
        let exchange = try send(request)
        let body = try exchange.body(limit: 1 << 20)
        guard exchange.status == 200 else {
            let code: RegistryError.Code =
                [401, 403].contains(exchange.status) ? .unauthorized : .unavailable
            let why =
                credentials == nil
                ? "no credentials are known for \(repository.registry)" : "the credentials are refused"
            throw RegistryError(
                code, exchange.request.name, status: exchange.status,
                ([401, 403].contains(exchange.status) ? why : "")
                    + RegistryClient.reason(body, separator: ": "))
        }
        do throws(JSONError) {
            var reader = try ObjectReader(try JSON(parsing: body))
            let token: String? = try reader.optional("token")
            let accessToken: String? = try reader.optional("access_token")
            guard let token = [token, accessToken].compactMap({ $0 }).first(where: { !$0.isEmpty }) else {
                throw JSONError(path: "token", "is missing")
            }
            guard token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                throw JSONError(path: "token", "is no token")
            }
            let seconds: Int = try reader.optional("expires_in") ?? 60
            // Renewed a little early, so that none expires on its way.
            return (token, max(30, min(seconds, 86400)) - 10)
        } catch {
            throw RegistryError(.malformed, exchange.request.name, "the token server's answer: \(error)")
        }
    }
}

extension Authorizer.Key {
    fileprivate init(_ repository: Repository, _ mounting: String?) {
        self.init(host: repository.registry.host, repository: repository.name, mounting: mounting)
    }
}
