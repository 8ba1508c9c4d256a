public import LayerArchive

/// The bytes of a blob as they come from a registry. When the connection breaks, a new one asks for
/// the rest; a large blob comes over several connections where that is faster.
public final class BlobSource: ResumableSource {
    private let blob: RemoteBlob
    private var position: Int64 = 0
    private var session: HTTPSession?
    private var exchange: HTTPExchange?
    /// In place of these two.
    private var split: SplitDownload?
    private var pace: DownloadPace
    private var attempts: Attempts
    private var positionOfLastFailure: Int64 = 0
    private var ended = false
    public private(set) var wasInterrupted = false

    init(_ blob: RemoteBlob) {
        self.blob = blob
        pace = DownloadPace(blob.client.options.splitting)
        attempts = Attempts(blob.client.options)
    }

    public func resume(at position: Int64) -> Bool {
        self.position = position
        positionOfLastFailure = position
        ended = position == blob.size
        return position <= blob.size
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
                let before = DownloadPace.now
                let count = try next(into: buffer)
                pace.waited(since: before)
                position += Int64(count)
                guard position <= blob.size else {
                    throw RegistryError(
                        .tooLarge, exchange!.request.name, "the blob is larger than its \(blob.size) bytes")
                }
                if count == 0 { finish() } else { adapt() }
                return count
            } catch {
                exchange = nil
                session = nil
                if split != nil {
                    // Who breaks one of several connections gets no more than one.
                    blob.client.budget.end()
                    split = nil
                }
                guard error.isTransient else { throw error }
                // Only real progress renews the patience, or a peer could feed us a byte at a time for ever.
                if position - positionOfLastFailure >= 1 << 20 { attempts.succeeded() }
                positionOfLastFailure = position
                try attempts.pause(after: error)
            }
        }
    }

    private func next(into buffer: UnsafeMutableRawBufferPointer) throws(RegistryError) -> Int {
        if let split {
            let count = try split.read(into: buffer)
            if count > 0 || position == blob.size { return count }
            // One connection is as good for the rest.
            self.split = nil
        }
        if exchange == nil { try connect() }
        let count = try exchange!.read(into: buffer)
        // Without a length the end of a broken connection looks like the end of the blob.
        if count == 0, position < blob.size {
            throw RegistryError(
                .connection, exchange!.request.name,
                "the answer ends after \(position) of \(blob.size) bytes")
        }
        return count
    }

    private func finish() {
        ended = true
        exchange = nil
        split = nil
        if let session { blob.client.giveBack(session) }
        session = nil
    }

    private func connect() throws(RegistryError) {
        let session = try blob.client.takeSession()
        self.session = session
        let mayBeSplit = blob.size >= blob.client.options.splitting.smallestBlob
        let exchange = try blob.open(from: position, ranged: position > 0 || mayBeSplit, session: session)
        if exchange.status != 206 { try skip(position, of: exchange) }
        self.exchange = exchange
        pace.begin(at: position, connections: 1, mayGrow: mayBeSplit && exchange.status == 206)
    }

    /// Takes another connection, or one less, as the last second suggests.
    private func adapt() {
        let left = blob.size - position
        switch pace.judge(received: split?.received ?? position, left: left) {
        case .same: break
        case .more:
            if let split {
                if !split.grow() { pace.settle() }
            } else if let split = SplitDownload(blob, from: position) {
                exchange = nil
                session = nil
                self.split = split
            } else {
                pace.settle()
            }
            pace.begin(
                at: split?.received ?? position, connections: split?.connections ?? 1, mayGrow: true)
        case .less:
            split?.shrink()
            pace.settle()
        }
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
