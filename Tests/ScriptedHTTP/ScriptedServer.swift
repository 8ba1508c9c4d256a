internal import LinuxSystem
internal import Synchronization

/// An HTTP server that answers as a test tells it to, badly too.
package final class ScriptedServer: Sendable {
    package struct Request: Sendable {
        package var method: String
        package var path: String
        /// Names in lower case.
        package var headers: [String: String]
        package var body: String
    }

    package struct Response: Sendable {
        package var status = 200
        package var headers: [String] = []
        package var body: [UInt8] = []
        /// Sends only so many bytes of the body, then closes.
        package var cut: Int?
        /// Of the body, in bytes a second; 0 for as fast as it goes.
        package var rate = 0

        package init(_ status: Int = 200, _ headers: [String] = [], _ body: String = "") {
            self.status = status
            self.headers = headers
            self.body = Array(body.utf8)
        }
    }

    package let port: UInt16
    package var host: String { "127.0.0.1:\(port)" }
    private let listener: Int32
    private let handler: @Sendable (Request) -> Response
    private let log = Mutex<[Request]>([])
    package var requests: [Request] { log.withLock { $0 } }
    private let busy = Mutex((now: 0, most: 0))
    /// How many answers were on their way at a time.
    package var mostAtOnce: Int { busy.withLock { $0.most } }

    package init(_ handler: @escaping @Sendable (Request) -> Response) throws {
        self.handler = handler
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { [listener] address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 64) == 0
                    && getsockname(listener, $0, &length) == 0
            }
        }
        guard bound else { throw SystemError("bind", "127.0.0.1", .current) }
        port = UInt16(bigEndian: address.sin_port)
        Self.thread { [self] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else {
                    // Here, where nobody can wait on it any more: its number is soon another's.
                    close(listener)
                    return
                }
                Self.thread { self.serve(connection) }
            }
        }
    }

    /// Ends the server; without it the accepting thread keeps it alive.
    package func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private static func thread(_ body: @escaping @Sendable () -> Void) {
        final class Box: Sendable {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { context in
                Unmanaged<Box>.fromOpaque(context!).takeRetainedValue().body()
                return nil
            }, Unmanaged.passRetained(Box(body)).toOpaque())
        pthread_detach(thread)
    }

    private func serve(_ connection: Int32) {
        defer { close(connection) }
        var head: [UInt8] = []
        var byte: UInt8 = 0
        while !head.ends(with: "\r\n\r\n") {
            guard read(connection, &byte, 1) == 1 else { return }
            // A TLS client hello: not our language.
            if head.isEmpty, byte == 0x16 { return }
            head.append(byte)
        }
        let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n").map(String.init)
        let start = lines[0].split(separator: " ")
        var request = Request(method: String(start[0]), path: String(start[1]), headers: [:], body: "")
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = line[..<colon].lowercased()
            let value = String(line[line.index(after: colon)...].drop { $0 == " " })
            request.headers[name] = request.headers[name].map { $0 + "," + value } ?? value
        }
        if let length = request.headers["content-length"].flatMap({ Int($0) }) {
            var body: [UInt8] = []
            var part = [UInt8](repeating: 0, count: 64 << 10)
            while body.count < length {
                let count = read(connection, &part, min(part.count, length - body.count))
                if count <= 0 { break }
                body += part[..<count]
            }
            request.body = String(decoding: body, as: UTF8.self)
        }
        log.withLock { $0.append(request) }
        let response = handler(request)
        var text = "HTTP/1.1 \(response.status) X\r\nConnection: close\r\n"
        if !response.headers.contains(where: { $0.lowercased().hasPrefix("content-length") }) {
            text += "Content-Length: \(response.body.count)\r\n"
        }
        text += response.headers.map { $0 + "\r\n" }.joined() + "\r\n"
        busy.withLock { busy in
            busy.now += 1
            busy.most = max(busy.most, busy.now)
        }
        defer { busy.withLock { $0.now -= 1 } }
        let body = response.body.prefix(response.cut ?? response.body.count)
        send(Array(text.utf8), body, rate: response.rate, to: connection)
    }

    private func send(_ head: [UInt8], _ body: ArraySlice<UInt8>, rate: Int, to connection: Int32) {
        guard rate > 0 else {
            try? FD.writeAll(connection, head + body)
            return
        }
        try? FD.writeAll(connection, head)
        let start = ContinuousClock.now
        var rest = body
        while !rest.isEmpty {
            let part = Array(rest.prefix(16 << 10))
            guard (try? FD.writeAll(connection, part)) != nil else { return }
            rest = rest.dropFirst(part.count)
            let due = start + .seconds(Double(body.count - rest.count) / Double(rate))
            let early = (due - ContinuousClock.now) / .microseconds(1)
            if early > 0 { usleep(useconds_t(early)) }
        }
    }
}

extension [UInt8] {
    fileprivate func ends(with text: String) -> Bool { suffix(text.utf8.count).elementsEqual(text.utf8) }
}
