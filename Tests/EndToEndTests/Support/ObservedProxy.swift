import LinuxSystem
import Synchronization

/// A TCP proxy before an HTTP server: it remembers the requests, and may fail in the middle of an
/// answer.
final class ObservedProxy: Sendable {
    enum Fault: Sendable {
        case none
        /// After so many bytes of one connection no more come, and it stays open.
        case stall(after: Int)
        /// After so many bytes of one connection the network is gone for good.
        case cut(after: Int)
    }

    /// `127.0.0.1:PORT`
    var address: String { "127.0.0.1:\(port)" }
    /// The heads of the requests so far.
    var requests: [String] { log.withLock { $0 } }
    private let port: UInt16
    private let target: UInt16
    private let log = Mutex<[String]>([])
    private let state: Mutex<(fault: Fault, listener: Int32)>

    init(_ host: Host, to target: UInt16) throws {
        self.target = target
        port = try Ports.free()
        state = Mutex((.none, try Self.listen(port)))
        accept()
        host.later { [self] in close() }
    }

    /// From the next connection on; the network is back.
    func fail(_ fault: Fault) throws {
        let isGone = state.withLock { state in
            state.fault = fault
            return state.listener < 0
        }
        guard isGone else { return }
        let listener = try Self.listen(port)
        state.withLock { $0.listener = listener }
        accept()
    }

    private func close() {
        state.withLock { state in
            shutdown(state.listener, Int32(SHUT_RDWR))
            _ = Glibc.close(state.listener)
            state.listener = -1
        }
    }

    private func accept() {
        let listener = state.withLock { $0.listener }
        Self.detach { [self] in
            while true {
                let client = Glibc.accept(listener, nil, nil)
                if client < 0 { return }
                Self.detach { self.serve(client) }
            }
        }
    }

    private func serve(_ client: Int32) {
        let fault = state.withLock { $0.fault }
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        defer {
            _ = Glibc.close(client)
            _ = Glibc.close(server)
        }
        var address = Self.loopback(target)
        guard withUnsafePointer(to: &address, { Self.call(connect, server, $0) }) == 0 else { return }
        var head: [UInt8] = []
        var given = 0
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            var events = [client, server].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&events, 2, -1) > 0 else { return }
            if events[0].revents != 0 {
                let count = read(client, &buffer, buffer.count)
                guard count > 0 else { return }
                head += buffer[..<count]
                note(&head)
                guard (try? FD.writeAll(server, Array(buffer[..<count]))) != nil else { return }
            }
            if events[1].revents != 0 {
                let count = read(server, &buffer, buffer.count)
                guard count > 0 else { return }
                given += count
                guard (try? FD.writeAll(client, Array(buffer[..<count]))) != nil else { return }
            }
            switch fault {
            case .stall(let limit) where given >= limit:
                // Until the client is gone.
                while read(client, &buffer, buffer.count) > 0 {}
                return
            case .cut(let limit) where given >= limit:
                close()
                return
            default: break
            }
        }
    }

    /// Only requests without a body are told apart.
    private func note(_ bytes: inout [UInt8]) {
        let end = Array("\r\n\r\n".utf8)
        while let index = bytes.indices.dropLast(3).first(where: { bytes[$0..<$0 + 4].elementsEqual(end) }) {
            let text = String(decoding: bytes[..<index], as: UTF8.self)
            log.withLock { $0.append(text) }
            bytes.removeFirst(index + 4)
        }
    }

    private static func listen(_ port: UInt16) throws -> Int32 {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        var on: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = loopback(port)
        guard withUnsafePointer(to: &address, { call(bind, listener, $0) }) == 0,
            Glibc.listen(listener, 16) == 0
        else { throw SystemError("listen", "127.0.0.1:\(port)", .current) }
        return listener
    }

    private static func call(
        _ function: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32, _ fd: Int32,
        _ address: UnsafePointer<sockaddr_in>
    ) -> Int32 {
        address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            function(fd, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    private static func detach(_ body: @escaping @Sendable () -> Void) {
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
}
