internal import JSONText
internal import LayerArchive

extension HTTPExchange {
    /// The redirections that are followed, one after another.
    static let maximumRedirections = 10

    /// Sends a request and follows where it is redirected to. Credentials stay with the origin that
    /// they are for.
    /// - Parameters:
    ///   - headers: what another origin than the request's gets to see.
    ///   - downgrade: also from https to http.
    ///   - staysAtOrigin: no other origin is asked.
    /// - Returns: the first answer that is no redirection.
    static func following(
        _ request: HTTPRequest, headers: [String], downgrade: Bool, staysAtOrigin: Bool = false,
        session: HTTPSession
    ) throws(RegistryError) -> HTTPExchange {
        var exchange = try sent(request, session: session)
        var count = 0
        // What changes something is not sent anywhere else: a redirection ends it.
        while [301, 302, 303, 307, 308].contains(exchange.status), ["GET", "HEAD"].contains(request.method) {
            guard count < maximumRedirections else {
                throw RegistryError(.malformed, request.name, "more than \(maximumRedirections) redirections")
            }
            count += 1
            let next = try exchange.redirected(headers: headers, downgrade: downgrade)
            guard !staysAtOrigin || next.url.origin == request.url.origin else {
                throw RegistryError(
                    .unauthorized, request.name, status: exchange.status,
                    "redirected to another server: \(next.url.withoutQuery)")
            }
            exchange = try sent(next, session: session)
        }
        return exchange
    }

    /// Who speaks HTTP/2 alone breaks off, in one way or another, when it is not offered.
    private static func sent(
        _ request: HTTPRequest, session: HTTPSession
    ) throws(RegistryError) -> HTTPExchange {
        do throws(RegistryError) {
            return try HTTPExchange(request, session: session)
        } catch {
            guard request.isLarge, request.url.scheme == "https", !error.neverConnected,
                [.connection, .tls, .malformed].contains(error.code)
            else { throw error }
            var request = request
            request.isLarge = false
            return try HTTPExchange(request, session: session)
        }
    }

    private func redirected(headers: [String], downgrade: Bool) throws(RegistryError) -> HTTPRequest {
        let location = redirection
        guard let location, let url = HTTPURL(location) else {
            throw RegistryError(
                .malformed, request.name, status: status,
                "redirected to \"\((location ?? header("location") ?? "").printable(limit: 100))\", "
                    + "which is no http or https URL")
        }
        guard url.scheme == "https" || request.url.scheme == "http" || downgrade else {
            throw RegistryError(
                .tls, request.name, status: status,
                "redirected from https to plain http: \(url.withoutQuery)")
        }
        var next = HTTPRequest(url: url)
        next.method = request.method
        next.tls = request.tls
        next.stops = request.stops
        next.isLarge = request.isLarge
        if url.origin == request.url.origin {
            next.headers = request.headers
        } else {
            next.headers = headers
            next.tls.certificate = nil
            next.tls.key = nil
        }
        return next
    }
}
