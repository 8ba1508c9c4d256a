internal import JSONText
internal import LayerArchive
internal import LinuxSystem

/// A blob in a registry, and how to ask for a range of its bytes.
struct RemoteBlob: Sendable {
    let client: RegistryClient
    let repository: Repository
    let digest: Digest
    let size: Int64

    /// In bytes: from here on another connection is worth while for the sake of HTTP/1.1.
    private static let large: Int64 = 8 << 20

    /// Asks the registry for the bytes from `start` on, up to `end` where there is one.
    /// - Parameter ranged: also for those from 0 on, to learn whether the server gives ranges.
    /// - Returns: an answer with them (206), or with the whole blob (200).
    func open(
        from start: Int64, to end: Int64? = nil, ranged: Bool = true, session: HTTPSession,
        stop: StopFlag? = nil
    ) throws(RegistryError) -> HTTPExchange {
        var headers = ["Accept-Encoding: identity"]
        if ranged { headers.append(Self.header(start, end)) }
        let exchange = try client.open(
            "/v2/\(repository.name)/blobs/\(digest)", of: repository, headers: headers, downgrade: true,
            session: session, isLarge: size >= Self.large, stop: stop)
        try check(exchange, start, end)
        return exchange
    }

    /// Asks for a range where another one came from, without a further redirection by the registry.
    /// - Returns: nil when it does not come from there any more: signed URLs run out.
    func open(
        from start: Int64, to end: Int64, like other: HTTPRequest, session: HTTPSession
    ) throws(RegistryError) -> HTTPExchange? {
        var request = other
        request.headers.removeAll { $0.hasPrefix("Range:") }
        request.headers.append(Self.header(start, end))
        let exchange = try HTTPExchange(request, session: session)
        guard exchange.status == 206 else { return nil }
        try check(exchange, start, end)
        return exchange
    }

    private static func header(_ start: Int64, _ end: Int64?) -> String {
        "Range: bytes=\(start)-" + (end.map { "\($0 - 1)" } ?? "")
    }

    /// Whether it is what was asked for, of a blob of that size.
    private func check(_ exchange: HTTPExchange, _ start: Int64, _ end: Int64?) throws(RegistryError) {
        if exchange.status == 206 {
            let range = exchange.header("content-range") ?? ""
            let right = "bytes \(start)-\((end ?? size) - 1)/"
            guard range == right + "\(size)" || range == right + "*" else {
                throw RegistryError(
                    .malformed, exchange.request.name,
                    "asked for bytes from \(start) of \(size), the answer has \"\(range.printable(limit: 60))\""
                )
            }
        } else if let announced = exchange.header("content-length").flatMap({ Int64($0) }), announced != size
        {
            throw RegistryError(
                .malformed, exchange.request.name,
                "the registry announces \(announced) bytes, the manifest says \(size)")
        }
    }
}
