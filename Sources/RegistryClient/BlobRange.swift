public import LayerArchive

/// Some of a blob's bytes. When the connection breaks, a new one asks for the rest of them.
public final class BlobRange: ByteSource {
    private let client: RegistryClient
    private let repository: Repository
    private let digest: Digest
    /// Of the whole blob.
    private let size: Int64
    private var position: Int64
    private let end: Int64
    private var session: HTTPSession?
    private var exchange: HTTPExchange?
    private var attempts: Attempts
    private var positionOfLastFailure: Int64

    init(
        _ client: RegistryClient, _ repository: Repository, _ digest: Digest, size: Int64,
        _ range: Range<Int64>
    ) {
        self.client = client
        self.repository = repository
        self.digest = digest
        self.size = size
        position = range.lowerBound
        end = range.upperBound
        positionOfLastFailure = position
        attempts = Attempts(client.options)
    }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try readTyped(into: buffer)
    }

    private func readTyped(into buffer: UnsafeMutableRawBufferPointer) throws(RegistryError) -> Int {
        while position < end {
            do throws(RegistryError) {
                if exchange == nil { try connect() }
                let wanted = Int(min(Int64(buffer.count), end - position))
                let count = try exchange!.read(
                    into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]))
                guard count > 0 else {
                    throw RegistryError(
                        .connection, exchange!.request.name, "the answer ends at byte \(position) of \(end)")
                }
                position += Int64(count)
                if position == end { try finish() }
                return count
            } catch {
                try retry(error)
            }
        }
        return 0
    }

    private func retry(_ error: RegistryError) throws(RegistryError) {
        exchange = nil
        session = nil
        guard error.isTransient else { throw error }
        // As with whole blobs: only real progress renews the patience.
        if position - positionOfLastFailure >= 1 << 20 { attempts.succeeded() }
        positionOfLastFailure = position
        try attempts.pause(after: error)
    }

    /// The connection can take another request only when the answer was read to its end.
    private func finish() throws(RegistryError) {
        var byte: UInt8 = 0
        var excess = 0
        do throws(RegistryError) {
            excess = try withUnsafeMutableBytes(of: &byte) { bytes throws(RegistryError) in
                try exchange!.read(into: bytes)
            }
        } catch {
            // What was asked for is here.
            excess = 1
        }
        exchange = nil
        if excess == 0, let session { client.giveBack(session) }
        session = nil
    }

    private func connect() throws(RegistryError) {
        let session = try client.takeSession()
        self.session = session
        let exchange = try client.open(
            "/v2/\(repository.name)/blobs/\(digest)", of: repository,
            headers: ["Accept-Encoding: identity", "Range: bytes=\(position)-\(end - 1)"], downgrade: true,
            session: session)
        guard exchange.status == 206 else {
            throw RegistryError(
                .noRanges, exchange.request.name, status: exchange.status,
                "the server knows no ranges: it would send all of the blob")
        }
        let range = exchange.header("content-range") ?? ""
        guard range == "bytes \(position)-\(end - 1)/\(size)" || range == "bytes \(position)-\(end - 1)/*"
        else {
            throw RegistryError(
                .noRanges, exchange.request.name,
                "asked for bytes \(position)-\(end - 1) of \(size), the answer has \"\(range.printable(limit: 60))\""
            )
        }
        self.exchange = exchange
    }
}

extension RegistryClient {
    /// Some of a blob's bytes, not verified.
    /// - Parameters:
    ///   - size: of the whole blob, as its descriptor says.
    ///   - range: not empty, and within the blob.
    public func blob(_ repository: Repository, digest: Digest, size: Int64, range: Range<Int64>) -> BlobRange
    {
        BlobRange(self, repository, digest, size: size, range)
    }
}
