internal import JSONText
public import LayerArchive
public import LinuxSystem

/// A Docker daemon, asked over its socket (Docker Engine API, `ImageGet` and `ImageLoad`).
public struct DockerDaemon: Sendable {
    private let socket: String?
    private let base: String
    private let stop: StopFlag?

    /// - Parameter host: `unix:///path` or `tcp://host:port`; nil for DOCKER_HOST's, or the usual socket.
    public init(host: String?, stop: StopFlag? = nil) throws(RegistryError) {
        let named = host ?? AuthFile.environment("DOCKER_HOST") ?? ""
        let host = named.isEmpty ? "unix:///var/run/docker.sock" : named
        self.stop = stop
        if host.hasPrefix("unix://") {
            socket = String(host.dropFirst(7))
            base = "http://docker"
        } else if host.hasPrefix("tcp://") || host.hasPrefix("http://") {
            socket = nil
            base = "http://" + String(host[host.range(of: "://")!.upperBound...])
        } else {
            throw RegistryError(
                .configuration, "reach the Docker daemon at \(host.printable(limit: 100))",
                "expected unix://PATH or tcp://HOST:PORT")
        }
    }

    private func send(
        _ method: String, _ path: String, _ body: HTTPBody? = nil, type: String? = nil
    ) throws(RegistryError) -> HTTPExchange {
        guard let url = HTTPURL(base + path) else {
            throw RegistryError(.configuration, "reach the Docker daemon", "\(base) is no host")
        }
        var request = HTTPRequest(url: url)
        request.method = method
        request.socket = socket
        request.body = body
        request.stops = [stop].compactMap(\.self)
        request.headers = ["Expect:"] + (type.map { ["Content-Type: \($0)"] } ?? [])
        let exchange: HTTPExchange
        do throws(RegistryError) {
            exchange = try HTTPExchange(request, session: HTTPSession())
        } catch {
            guard error.neverConnected, let socket else { throw error }
            throw RegistryError(
                .connection, "reach the Docker daemon at \(socket)", "\(error.message): is it running?")
        }
        guard (200..<300).contains(exchange.status) else {
            let answer = try exchange.body(limit: 64 << 10)
            let message = (try? JSON(parsing: answer))?["message"]?.string ?? ""
            throw RegistryError(
                exchange.status == 404 ? .notFound : .refused, exchange.request.name,
                status: exchange.status, message.printable(limit: 300))
        }
        return exchange
    }

    /// An image by name or ID, as a docker archive.
    public func image(_ name: String) throws(RegistryError) -> any ByteSource {
        Body(try send("GET", "/images/\(HTTPURL.escape(name))/get"))
    }

    /// Loads a docker archive.
    public func load(size: Int64, open: @escaping () throws -> any ByteSource) throws(RegistryError) {
        let exchange = try send(
            "POST", "/images/load?quiet=1", HTTPBody(size: size, open: open), type: "application/x-tar")
        // A stream of JSON documents, one a line; a failure comes with a status of success.
        let answer = try exchange.body(limit: 1 << 20)
        for line in answer.split(separator: 0x0A) {
            guard let json = try? JSON(parsing: Array(line)), let error = json["error"]?.string else {
                continue
            }
            throw RegistryError(.refused, exchange.request.name, error.printable(limit: 300))
        }
    }

    private final class Body: ByteSource {
        private let exchange: HTTPExchange
        init(_ exchange: HTTPExchange) { self.exchange = exchange }
        func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
            try exchange.read(into: buffer)
        }
    }
}
