internal import JSONText
internal import LayerArchive

/// One blob on its way into a repository
/// (OCI Distribution Specification, "Pushing blobs"):
///
///     POST …/uploads/[?mount=…&from=…]   201: taken over; 202: begun, at a location
///     PUT location?digest=…              a small blob, in one piece
///     PATCH location … PUT location?…    a large one
///     GET location                       how much arrived, when an answer did not
final class BlobUpload {
    private let client: RegistryClient
    private let repository: Repository
    private let digest: Digest
    private let size: Int64
    private let origin: String?
    private let open: () throws -> any ByteSource

    /// Where the next request goes; nil before there is an upload.
    private var location: String?
    /// What the registry has of the blob, in bytes.
    private var offset: Int64 = 0
    /// The largest body that the registry takes; nil when it refused none.
    private var chunk: Int64?
    /// What it says that a chunk must have (`OCI-Chunk-Min-Length`).
    private var smallestChunk: Int64 = 0
    /// A large blob goes in one request until that failed once.
    private var hasBroken = false
    private var stream: (source: any ByteSource, position: Int64)?

    private static let smallestPiece: Int64 = 16 << 20
    private static let firstChunk: Int64 = 32 << 20
    private static let lastChunk: Int64 = 1 << 20

    init(
        _ client: RegistryClient, _ repository: Repository, _ digest: Digest, size: Int64,
        mounting origin: String?, open: @escaping () throws -> any ByteSource
    ) {
        self.client = client
        self.repository = repository
        self.digest = digest
        self.size = size
        self.origin = origin
        self.open = open
    }

    /// - Returns: false when the registry took the blob over from another repository.
    func run() throws(RegistryError) -> Bool {
        var attempts = Attempts(client.options)
        var offsetOfLastFailure: Int64 = 0
        var broken = false
        while true {
            do throws(RegistryError) {
                if broken, try isThere() { return true }
                if location == nil, try !begin() { return false }
                try send()
                return true
            } catch {
                stream = nil
                hasBroken = true
                if error.status == 413, shrink() {
                    begun(at: nil)
                    continue
                }
                // An upload that went on after a break may not be known any more.
                let forgotten = broken && [.notFound, .refused].contains(error.code)
                guard error.isTransient || forgotten || error.status == 416 else { throw error }
                if offset - offsetOfLastFailure >= 1 << 20 {
                    attempts.succeeded()
                } else if broken, error.code == .connection {
                    // What limits a body may end the connection before its 413 is read.
                    _ = shrink()
                }
                offsetOfLastFailure = offset
                broken = !forgotten
                if forgotten { begun(at: nil) }
                try attempts.pause(after: error)
            }
        }
    }

    private func begun(at place: String?) {
        location = place
        offset = 0
    }

    /// Smaller chunks, if there are any.
    private func shrink() -> Bool {
        let before = chunk ?? size
        let next = max(chunk.map { $0 / 2 } ?? min(Self.firstChunk, size / 2), Self.lastChunk)
        guard next >= smallestChunk, next < before else { return false }
        chunk = next
        return true
    }

    /// - Returns: false when there is nothing to send.
    private func begin() throws(RegistryError) -> Bool {
        let path = "/v2/\(repository.name)/blobs/uploads/"
        var answer: HTTPExchange?
        if let origin {
            let mount = "?mount=\(HTTPURL.escape("\(digest)"))&from=\(HTTPURL.escape(origin))"
            do throws(RegistryError) {
                answer = try client.send("POST", path + mount, to: repository, mounting: origin)
            } catch  where [.unauthorized, .denied, .notFound, .refused].contains(error.code) {
                // We may not read the other repository.
            }
            if let answer, answer.status == 201 {
                try client.expect(digest, of: answer)
                return false
            }
        }
        // A registry that cannot mount the blob begins an upload all the same.
        let start = if let answer { answer } else { try client.send("POST", path, to: repository) }
        guard start.status == 202 else {
            throw RegistryError(
                .malformed, start.request.name, status: start.status, "an upload begins with status 202")
        }
        smallestChunk = start.header("oci-chunk-min-length").flatMap { Int64($0) } ?? 0
        begun(at: try place(in: start))
        return true
    }

    private func send() throws(RegistryError) {
        let isLarge = size > Self.smallestPiece && hasBroken
        if isLarge || size > client.options.pieceLimit || chunk != nil || offset > 0 {
            while offset < size { try sendChunk() }
        }
        let last = location! + (location!.contains("?") ? "&" : "?") + "digest=\(HTTPURL.escape("\(digest)"))"
        let answer = try client.send(
            "PUT", last, to: repository, headers: ["Content-Type: application/octet-stream"],
            body: part(size - offset))
        try client.expect(digest, of: answer)
    }

    private func sendChunk() throws(RegistryError) {
        let count = min(size - offset, chunk.map { max($0, smallestChunk) } ?? .max)
        let answer = try client.send(
            "PATCH", location!, to: repository,
            headers: [
                "Content-Type: application/octet-stream", "Content-Range: \(offset)-\(offset + count - 1)",
            ], body: part(count))
        let arrived = answer.header("range") == nil ? offset + count : Self.arrived(answer)
        guard let arrived, arrived > offset, arrived <= offset + count else {
            throw RegistryError(
                .malformed, answer.request.name, status: answer.status,
                "sent bytes \(offset)-\(offset + count - 1), the answer has the range "
                    + "\"\((answer.header("range") ?? "").printable(limit: 60))\"")
        }
        offset = arrived
        if answer.header("location") != nil { location = try place(in: answer) }
    }

    /// Finds out how far a broken upload came.
    /// - Returns: true when all is done, and it was only the answer that got lost.
    private func isThere() throws(RegistryError) -> Bool {
        if let place = location {
            do throws(RegistryError) {
                let answer = try client.send("GET", place, to: repository)
                // `0-0` is what some say of one byte and others of none.
                if let arrived = Self.arrived(answer), arrived > 1, arrived <= size {
                    if answer.header("location") != nil { location = try self.place(in: answer) }
                    offset = arrived
                    return false
                }
            } catch  where !error.isTransient && error.code != .cancelled {
                // Not every registry remembers.
            }
            begun(at: nil)
        }
        return try client.asked(repository, digest: digest, size: size)
    }

    /// The end of `Range: 0-99`, in bytes from the start.
    private static func arrived(_ answer: HTTPExchange) -> Int64? {
        var text = Substring(answer.header("range") ?? "")
        if text.hasPrefix("bytes=") { text = text.dropFirst(6) }
        guard text.hasPrefix("0-"), let last = Int64(text.dropFirst(2)), last >= 0, last < .max else {
            return nil
        }
        return last + 1
    }

    /// The next bytes of the blob. The blob is verified over all of its parts.
    private func part(_ count: Int64) -> HTTPBody {
        let start = offset
        if count == 0 { return HTTPBody(size: 0) { BytesSource([]) } }
        return HTTPBody(size: count) { [self] in
            if stream == nil || stream!.position != start {
                stream = (try open(), 0)
                try skip(start)
            }
            return Part(self, count: count)
        }
    }

    private func skip(_ count: Int64) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: streamBufferSize, alignment: 16)
        defer { buffer.deallocate() }
        while let position = stream?.position, position < count {
            let wanted = Int(min(Int64(buffer.count), count - position))
            guard try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted])) > 0 else {
                throw ArchiveError(.truncated, "\(position) bytes instead of \(size)")
            }
        }
    }

    private func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = try stream!.source.read(into: buffer)
        stream!.position += Int64(count)
        return count
    }

    private final class Part: ByteSource {
        private let upload: BlobUpload
        private var left: Int64

        init(_ upload: BlobUpload, count: Int64) {
            self.upload = upload
            left = count
        }

        func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
            // After the last part the blob's own end is asked for: there it is verified.
            if left == 0, upload.stream!.position < upload.size { return 0 }
            let wanted = left == 0 ? buffer.count : Int(min(Int64(buffer.count), left))
            let count = try upload.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]))
            left -= min(left, Int64(count))
            return count
        }
    }

    private func place(in answer: HTTPExchange) throws(RegistryError) -> String {
        let location = answer.header("location") ?? ""
        guard let place = Self.place(location, from: answer.request.url, at: repository.registry) else {
            throw RegistryError(
                .malformed, answer.request.name, status: answer.status,
                "the registry names no usable place for the upload (\"\(location.printable(limit: 100))\")")
        }
        return place
    }

    /// Where to send a blob: a path for the registry itself, whatever scheme
    /// it believes that it is reached by, or the URL of another host.
    /// - Parameter base: what the location answers, and may be relative to.
    static func place(_ location: String, from base: HTTPURL, at registry: Registry) -> String? {
        func own(_ url: HTTPURL) -> Bool {
            let home = HTTPURL("\(url.scheme)://\(registry.apiHost)")
            return url.authority == home?.authority || url.origin == home?.origin
        }
        if let url = HTTPURL(location) {
            if own(url) { return url.path }
            return url.scheme == "https" ? location : nil
        }
        let beforeSlash = location.prefix { !"/?".contains($0) }
        guard !location.isEmpty, !location.hasPrefix("//"), !beforeSlash.contains(":"),
            !location.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F })
        else { return nil }
        var path = location
        if !location.hasPrefix("/") {
            let folder = String((base.path ?? "/").prefix { !"?#".contains($0) })
            path = location.hasPrefix("?") ? folder : String(folder[...folder.lastIndex(of: "/")!])
            path += location
        }
        return own(base) ? path : "\(base.scheme)://\(base.authority)\(path)"
    }
}

extension HTTPURL {
    /// With the query; nil when there is none.
    fileprivate var path: String? {
        let rest = text.dropFirst(scheme.count + 3)
        return rest.firstIndex(of: "/").map { String(rest[$0...]) }
    }
}
