import LinuxSystem
import Synchronization

/// A TCP proxy that breaks the first connections that send much, and counts what comes back.
final class CuttingProxy: Sendable {
    let port: UInt16
    private let listener: Int32
    private let target: UInt16
    private let limit: Int
    private let ofAnswers: Bool
    private let cuts: Mutex<Int>
    var cutsLeft: Int { cuts.withLock { $0 } }
    private let hidesRanges: Bool
    private let answered_ = Mutex(0)
    /// The bytes that went to clients.
    var answered: Int { answered_.withLock { $0 } }

    /// - Parameters:
    ///   - host: `localhost:PORT`
    ///   - limit: the bytes from a client after which its connection is cut.
    ///   - ofAnswers: the bytes to a client.
    ///   - hidesRanges: the server does not get to see that only a part is wanted.
    init(
        to host: String, cuts: Int = 0, after limit: Int = 0, ofAnswers: Bool = false,
        hidesRanges: Bool = false
    ) throws {
        self.ofAnswers = ofAnswers
        self.hidesRanges = hidesRanges
        target = UInt16(host.split(separator: ":")[1])!
        self.limit = limit
        self.cuts = Mutex(cuts)
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        var address = Self.address(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { [listener] address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 16) == 0
                    && getsockname(listener, $0, &length) == 0
            }
        }
        guard bound else { throw SystemError("bind", "127.0.0.1", .current) }
        port = UInt16(bigEndian: address.sin_port)
        Self.thread { [self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else {
                    // Here, where nobody can wait on it any more: its number is soon another's.
                    close(listener)
                    return
                }
                Self.thread { self.serve(client) }
            }
        }
    }

    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private func serve(_ client: Int32) {
        defer { close(client) }
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        defer { close(server) }
        var address = Self.address(target)
        let connected = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard connected else { return }
        var sent = 0
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            var events = [client, server].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&events, 2, -1) > 0 else { return }
            for (index, event) in events.enumerated() where event.revents != 0 {
                let count = read(event.fd, &buffer, buffer.count)
                guard count > 0 else { return }
                if (index == 0) != ofAnswers {
                    sent += count
                    let cut = cuts.withLock { left in
                        guard sent > limit, left > 0 else { return false }
                        left -= 1
                        return true
                    }
                    if cut { return }
                }
                var part = Array(buffer[..<count])
                if index == 1 {
                    answered_.withLock { $0 += count }
                } else if hidesRanges {
                    hide("\r\nRange:", in: &part)
                }
                guard (try? FD.writeAll(index == 0 ? server : client, part)) != nil else { return }
            }
        }
    }

    private func hide(_ name: String, in bytes: inout [UInt8]) {
        let wanted = Array(name.utf8)
        for start in bytes.indices where bytes[start...].starts(with: wanted) {
            bytes[start + 2] = UInt8(ascii: "X")
        }
    }

    private static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return address
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
}
