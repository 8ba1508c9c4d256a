public import LayerArchive

/// Some of a blob's bytes. When the connection breaks, a new one asks for the rest of them.
public final class BlobRange: ByteSource {
    private let blob: RemoteBlob
    private var position: Int64
    private let end: Int64
    private var session: HTTPSession?
    private var exchange: HTTPExchange?
    private var attempts: Attempts
    private var positionOfLastFailure: Int64

    init(_ blob: RemoteBlob, _ range: Range<Int64>) {
        self.blob = blob
        position = range.lowerBound
        end = range.upperBound
        positionOfLastFailure = position
        attempts = Attempts(blob.client.options)
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
        if excess == 0, let session { blob.client.giveBack(session) }
        session = nil
    }

    private func connect() throws(RegistryError) {
        let session = try blob.client.takeSession()
        self.session = session
        let exchange = try blob.open(from: position, to: end, session: session)
        guard exchange.status == 206 else {
            throw RegistryError(
                .noRanges, exchange.request.name, status: exchange.status,
                "the server knows no ranges: it would send all of the blob")
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
        BlobRange(RemoteBlob(client: self, repository: repository, digest: digest, size: size), range)
    }
}
