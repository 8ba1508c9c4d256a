internal import JSONText
public import LayerArchive

/// What a web server answers to a GET, whatever it is. Redirections are
/// followed, but not from https to http.
public final class HTTPDownload: ByteSource {
    private let session: HTTPSession
    private let exchange: HTTPExchange

    public init(_ url: String) throws(RegistryError) {
        guard let target = HTTPURL(url) else {
            throw RegistryError(
                .malformed, "get \(url.printable(limit: 200))", "this is no http or https URL")
        }
        session = try HTTPSession()
        let headers = ["Accept-Encoding: identity"]
        exchange = try .following(
            HTTPRequest(url: target, headers: headers), headers: headers, downgrade: false, session: session)
        guard exchange.status == 200 else {
            throw RegistryError(
                exchange.status == 404 ? .notFound : exchange.status >= 500 ? .unavailable : .refused,
                exchange.request.name, "the server answers \(exchange.status)")
        }
    }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try exchange.read(into: buffer)
    }
}
