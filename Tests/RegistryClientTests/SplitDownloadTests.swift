import LayerArchive
import LinuxSystem
import RegistryClient
import ScriptedHTTP
import Synchronization
import Testing

/// Large blobs from a server that gives each connection only so much.
@Suite struct SplitDownloadTests {
    typealias Response = ScriptedServer.Response

    /// In bytes a second, of each connection.
    private static let rate = 3_000_000
    private static let blob: [UInt8] = (0..<6_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }

    private static func client(_ change: (inout RegistryOptions) -> Void = { _ in }) -> RegistryClient {
        RegistryClientTests.client {
            $0.splitting.smallestBlob = 1 << 20
            $0.splitting.part = 256 << 10
            $0.splitting.connections = 4
            $0.splitting.furtherConnections = 3
            $0.splitting.milliseconds = 100
            change(&$0)
        }
    }

    private static func source(_ server: ScriptedServer, _ client: RegistryClient) -> BlobSource {
        client.blob(
            RegistryClientTests.repository(server), digest: .sha256(of: blob), size: Int64(blob.count))
    }

    /// What a server does that knows ranges.
    private static func answer(_ request: ScriptedServer.Request, rate: Int = rate) -> Response {
        var response = Response(200)
        response.body = blob
        response.rate = rate
        if let (start, end) = range(request) {
            response.status = 206
            response.headers = ["Content-Range: bytes \(start)-\(end - 1)/\(blob.count)"]
            response.body = Array(blob[start..<end])
        }
        return response
    }

    private static func range(_ request: ScriptedServer.Request) -> (start: Int, end: Int)? {
        guard let range = request.headers["range"], range.hasPrefix("bytes=") else { return nil }
        let bounds = range.dropFirst(6).split(separator: "-").compactMap { Int($0) }
        return (bounds[0], bounds.count > 1 ? bounds[1] + 1 : blob.count)
    }

    /// Those of one of several connections say where they end.
    private static func isPart(_ request: ScriptedServer.Request) -> Bool {
        request.headers["range"]?.hasSuffix("-") == false
    }

    @Test func severalAreFaster() throws {
        let server = try ScriptedServer { Self.answer($0) }
        defer { server.stop() }
        #expect(try RegistryClientTests.readAll(Self.source(server, Self.client())) == Self.blob)
        #expect(server.mostAtOnce > 2)
        // No byte was fetched twice but what was under way when the first connection gave way.
        let parts = server.requests.filter(Self.isPart).compactMap(Self.range).sorted { $0.start < $1.start }
        #expect(parts.last?.end == Self.blob.count)
        #expect(zip(parts, parts.dropFirst()).allSatisfy { $0.end == $1.start })
    }

    @Test func smallBlobsAndFastServersNeedOne() throws {
        let server = try ScriptedServer { Self.answer($0, rate: 0) }
        defer { server.stop() }
        #expect(try RegistryClientTests.readAll(Self.source(server, Self.client())) == Self.blob)
        #expect(server.requests.map { $0.headers["range"] } == ["bytes=0-"])
        let client = Self.client { $0.splitting.smallestBlob = 64 << 20 }
        #expect(try RegistryClientTests.readAll(Self.source(server, client)) == Self.blob)
        #expect(server.requests.last?.headers["range"] == nil)
    }

    @Test func whoIsSlowHimselfNeedsOne() throws {
        let server = try ScriptedServer { Self.answer($0, rate: 20_000_000) }
        defer { server.stop() }
        let source = Self.source(server, Self.client())
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = try buffer.withUnsafeMutableBytes { try source.read(into: $0) }
            if count == 0 { break }
            bytes += buffer[..<count]
            usleep(5000)
        }
        #expect(bytes == Self.blob)
        #expect(server.requests.count == 1)
    }

    @Test func serversWithoutRanges() throws {
        let server = try ScriptedServer { request in
            var plain = request
            plain.headers["range"] = nil
            return Self.answer(plain, rate: 10_000_000)
        }
        defer { server.stop() }
        #expect(try RegistryClientTests.readAll(Self.source(server, Self.client())) == Self.blob)
        #expect(server.requests.count == 1)
    }

    /// Two share what one has, and then some is lost.
    @Test func whereItDoesNotHelpOneIsLeft() throws {
        let server = try ScriptedServer { request in
            Self.answer(request, rate: Self.isPart(request) ? Self.rate / 3 : Self.rate)
        }
        defer { server.stop() }
        #expect(try RegistryClientTests.readAll(Self.source(server, Self.client())) == Self.blob)
        #expect(server.requests.contains(where: Self.isPart))
        #expect(server.requests.last.map(Self.isPart) == false)
        #expect(server.requests.count { !Self.isPart($0) } == 2)
    }

    @Test(arguments: [429, 503, 200]) func whoBearsOneGetsOne(_ status: Int) throws {
        let server = try ScriptedServer { request in
            guard Self.isPart(request) else { return Self.answer(request) }
            if status != 200 { return Response(status, ["Retry-After: 0"]) }
            var plain = request
            plain.headers["range"] = nil
            return Self.answer(plain, rate: 0)
        }
        defer { server.stop() }
        #expect(try RegistryClientTests.readAll(Self.source(server, Self.client())) == Self.blob)
        let parts = server.requests.count(where: Self.isPart)
        #expect(parts > 0 && parts <= 4)
        #expect(server.requests.last.map(Self.isPart) == false)
    }

    @Test func brokenPartsGoOn() throws {
        let parts = Mutex(0)
        let server = try ScriptedServer { request in
            var answer = Self.answer(request)
            let number = parts.withLock { count in
                if Self.isPart(request) { count += 1 }
                return count
            }
            if number == 5 { answer.cut = 100_000 }
            return answer
        }
        defer { server.stop() }
        #expect(try RegistryClientTests.readAll(Self.source(server, Self.client())) == Self.blob)
        #expect(server.requests.last.map(Self.isPart) == false)
    }

    @Test func rangesThatAreOthersAreRefused() throws {
        let server = try ScriptedServer { request in
            var answer = Self.answer(request)
            if Self.isPart(request), let (start, end) = Self.range(request) {
                answer.headers = ["Content-Range: bytes \(start + 1)-\(end)/\(Self.blob.count)"]
            }
            return answer
        }
        defer { server.stop() }
        let error = #expect(throws: RegistryError.self) {
            try RegistryClientTests.readAll(Self.source(server, Self.client()))
        }
        #expect(error?.code == .malformed)
    }

    @Test func cancelled() throws {
        let server = try ScriptedServer { Self.answer($0, rate: 500_000) }
        defer { server.stop() }
        let stop = StopFlag()
        let source = Self.source(server, Self.client { $0.stop = stop })
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        let error = #expect(throws: RegistryError.self) {
            while true {
                _ = try buffer.withUnsafeMutableBytes { try source.read(into: $0) }
                if server.mostAtOnce > 2 { stop.raise() }
            }
        }
        #expect(error?.code == .cancelled)
    }

    /// The registry sends its clients elsewhere, by URLs that run out.
    @Test func partsComeFromWhereTheFirstCame() throws {
        let uses = Mutex<[String: Int]>([:])
        let store = try ScriptedServer { request in
            let count = uses.withLock { uses in
                uses[request.path, default: 0] += 1
                return uses[request.path]!
            }
            return count > 4 || request.headers["authorization"] != nil
                ? Response(403) : Self.answer(request)
        }
        defer { store.stop() }
        let number = Mutex(0)
        let registry = try ScriptedServer { request in
            guard request.headers["authorization"] != nil else {
                return Response(401, ["WWW-Authenticate: Basic realm=x"])
            }
            let key = number.withLock { number in
                number += 1
                return number
            }
            return Response(307, ["Location: http://\(store.host)/signed?key=\(key)"])
        }
        defer { registry.stop() }
        #expect(try RegistryClientTests.readAll(Self.source(registry, Self.client())) == Self.blob)
        #expect(registry.requests.count < store.requests.count / 2)
        #expect(uses.withLock { $0.values.max() } == 5)
    }

    /// What one blob no longer needs, the next may have.
    @Test(arguments: [0, 1]) func blobsShareTheirConnections(_ further: Int) throws {
        let server = try ScriptedServer { Self.answer($0) }
        defer { server.stop() }
        let client = Self.client { $0.splitting.furtherConnections = further }
        for _ in 0..<2 {
            let before = server.requests.count
            #expect(try RegistryClientTests.readAll(Self.source(server, client)) == Self.blob)
            #expect(server.requests[before...].contains(where: Self.isPart) == (further > 0))
        }
    }
}
