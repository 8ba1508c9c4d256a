public import LayerArchive

/// The bytes of a blob as they come from a registry. When the connection
/// breaks, a new one asks for the rest.
public final class BlobSource: ResumableSource {
    private let client: RegistryClient
    private let repository: Repository
    private let digest: Digest
    private let size: Int64
    private var position: Int64 = 0
    private var session: HTTPSession?
    private var exchange: HTTPExchange?
    private var attempts: Attempts
    private var positionOfLastFailure: Int64 = 0
    private var ended = false
    public private(set) var wasInterrupted = false

    init(_ client: RegistryClient, _ repository: Repository, _ digest: Digest, size: Int64) {
        self.client = client
        self.repository = repository
        self.digest = digest
        self.size = size
        attempts = Attempts(client.options)
    }

    public func resume(at position: Int64) -> Bool {
        self.position = position
        positionOfLastFailure = position
        ended = position == size
        return position <= size
    }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        do {
            return try readTyped(into: buffer)
        } catch {
            wasInterrupted = error.isTransient || error.code == .cancelled
            throw error
        }
    }

    private func readTyped(into buffer: UnsafeMutableRawBufferPointer) throws(RegistryError) -> Int {
        if ended { return 0 }
        while true {
            do throws(RegistryError) {
                if exchange == nil { try connect() }
                let count = try exchange!.read(into: buffer)
                if count == 0 {
                    // Without a length the end of a broken connection looks like the end of the blob.
                    if position < size {
                        throw RegistryError(
                            .connection, exchange!.request.name,
                            "the answer ends after \(position) of \(size) bytes")
                    }
                    finish()
                    return 0
                }
                position += Int64(count)
                guard position <= size else {
                    throw RegistryError(
                        .tooLarge, exchange!.request.name, "the blob is larger than its \(size) bytes")
                }
                return count
            } catch {
                exchange = nil
                session = nil
                guard error.isTransient else { throw error }
                // Only real progress renews the patience, or a peer could feed us a byte at a time for ever.
                if position - positionOfLastFailure >= 1 << 20 { attempts.succeeded() }
                positionOfLastFailure = position
                try attempts.pause(after: error)
            }
        }
    }

    private func finish() {
        ended = true
        exchange = nil
        if let session { client.giveBack(session) }
        session = nil
    }

    private func connect() throws(RegistryError) {
        let session = try client.takeSession()
        self.session = session
        var headers = ["Accept-Encoding: identity"]
        if position > 0 { headers.append("Range: bytes=\(position)-") }
        let exchange = try client.open(
            "/v2/\(repository.name)/blobs/\(digest)", of: repository, headers: headers, downgrade: true,
            session: session)
        if position > 0 {
            if exchange.status == 206 {
                let range = exchange.header("content-range") ?? ""
                guard range.hasPrefix("bytes \(position)-") else {
                    throw RegistryError(
                        .malformed, exchange.request.name,
                        "asked for bytes from \(position), the answer has \"\(range.printable(limit: 60))\"")
                }
            } else {
                try skip(position, of: exchange)
            }
        } else if let announced = exchange.header("content-length").flatMap({ Int64($0) }), announced != size
        {
            throw RegistryError(
                .malformed, exchange.request.name,
                "the registry announces \(announced) bytes, the manifest says \(size)")
        }
        self.exchange = exchange
    }

    /// The server knows no ranges: what we have already goes by.
    private func skip(_ count: Int64, of exchange: HTTPExchange) throws(RegistryError) {
        var left = count
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
        defer { buffer.deallocate() }
        while left > 0 {
            let wanted = UnsafeMutableRawBufferPointer(
                rebasing: buffer[..<Int(min(left, Int64(buffer.count)))])
            let got = try exchange.read(into: wanted)
            guard got > 0 else {
                throw RegistryError(.connection, exchange.request.name, "the answer ends early")
            }
            left -= Int64(got)
        }
    }
}
