public import LayerArchive

/// What a web server answers to a GET, whatever it is. Redirections are
/// followed, but not from https to http.
public final class HTTPDownload: ByteSource {
    private static let maximumRedirections = 10

    private let session: HTTPSession
    private let exchange: HTTPExchange

    public init(_ url: String) throws(RegistryError) {
        session = try HTTPSession()
        var target = url
        for _ in 0...Self.maximumRedirections {
            guard let parsed = HTTPURL(target) else {
                throw RegistryError(
                    .malformed, "get \(target.printable(limit: 200))", "this is no http or https URL")
            }
            let request = HTTPRequest(url: parsed, headers: ["Accept-Encoding: identity"])
            let exchange = try HTTPExchange(request, session: session)
            switch exchange.status {
            case 200:
                self.exchange = exchange
                return
            case 301, 302, 303, 307, 308:
                guard let next = exchange.redirection else {
                    throw RegistryError(.malformed, request.name, "a redirection to nowhere")
                }
                guard !(parsed.scheme == "https" && HTTPURL(next)?.scheme == "http") else {
                    throw RegistryError(.malformed, request.name, "a redirection from https to http")
                }
                target = next
            default:
                throw RegistryError(
                    exchange.status == 404 ? .notFound : exchange.status >= 500 ? .unavailable : .refused,
                    request.name,
                    "the server answers \(exchange.status)")
            }
        }
        throw RegistryError(.malformed, "get \(url)", "more than \(Self.maximumRedirections) redirections")
    }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try exchange.read(into: buffer)
    }
}
