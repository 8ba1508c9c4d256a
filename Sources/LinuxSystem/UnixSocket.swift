/// UNIX sockets that keep message boundaries (unix(7), SOCK_SEQPACKET) and
/// carry descriptors beside the bytes, and the streams that OCI runtimes use
/// for their console sockets.
public enum UnixSocket {
    public enum Kind: Sendable {
        case packets, stream
        var raw: Int32 {
            switch self {
            case .packets: Int32(SOCK_SEQPACKET.rawValue)
            case .stream: Int32(SOCK_STREAM.rawValue)
            }
        }
    }

    @frozen public struct Pair: ~Copyable, Sendable {
        public var first: Descriptor
        public var second: Descriptor
    }

    public static func pair(_ kind: Kind = .packets) throws(SystemError) -> Pair {
        var ends: [Int32] = [0, 0]
        _ = try retrying("socketpair") {
            socketpair(AF_UNIX, kind.raw | Int32(SOCK_CLOEXEC.rawValue), 0, &ends)
        }
        return Pair(first: Descriptor(owning: ends[0]), second: Descriptor(owning: ends[1]))
    }

    /// A listening socket of mode 0600. What stood at the path before is gone.
    public static func listen(
        _ path: String, _ kind: Kind = .packets, nonBlocking: Bool = false
    ) throws(SystemError) -> Descriptor {
        let place = try Place(path)
        let socket = try make(kind, nonBlocking: nonBlocking)
        var address = try place.address()
        try? File.unlink(path)
        let raw = socket.raw
        // bind(2) gives the name the socket's mode less the umask: no instant of wider access.
        fchmod(raw, 0o600)
        _ = try retrying("bind", path) {
            withAddress(&address) { bind(raw, $0, $1) }
        }
        _ = try retrying("listen", path) { Glibc.listen(raw, 64) }
        return socket
    }

    public static func connect(_ path: String, _ kind: Kind = .packets) throws(SystemError) -> Descriptor {
        let place = try Place(path)
        let socket = try make(kind, nonBlocking: false)
        var address = try place.address()
        let raw = socket.raw
        _ = try retrying("connect", path) {
            withAddress(&address) { Glibc.connect(raw, $0, $1) }
        }
        return socket
    }

    /// The next connection, or nil when none waits (on a non-blocking socket).
    public static func accept(_ fd: Int32, nonBlocking: Bool = false) throws(SystemError) -> Descriptor? {
        let flags = Int32(SOCK_CLOEXEC.rawValue) | (nonBlocking ? Int32(SOCK_NONBLOCK.rawValue) : 0)
        do throws(SystemError) {
            return Descriptor(owning: try retrying("accept") { accept4(fd, nil, nil, flags) })
        } catch  where error.errno == .again || error.errno.rawValue == ECONNABORTED {
            return nil
        }
    }

    /// Sends one message.
    /// - Throws: EAGAIN on a non-blocking socket that is full, EPIPE when the peer is gone.
    public static func send(_ fd: Int32, _ bytes: [UInt8], descriptors: [Int32] = []) throws(SystemError) {
        _ = try checked("send") {
            bytes.withUnsafeBytes { bytes in
                linux_send_descriptors(
                    fd, bytes.baseAddress, bytes.count, descriptors, UInt32(descriptors.count), 0)
            }
        }
    }

    @frozen public struct Message: ~Copyable, Sendable {
        public var bytes: [UInt8]
        public var descriptors: PassedDescriptors
    }

    /// Receives one message; its bytes are empty at the end.
    /// - Throws: EAGAIN on a non-blocking socket, EMSGSIZE when the message is longer than `limit`.
    public static func receive(_ fd: Int32, limit: Int = 4096) throws(SystemError) -> Message {
        var passed = [Int32](repeating: -1, count: Int(LINUX_MAX_PASSED))
        var passedCount: UInt32 = 0
        var count = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, initialized in
            repeat {
                count = linux_receive_descriptors(fd, buffer.baseAddress, limit, &passed, &passedCount, 0)
            } while count == -Int(EINTR)
            initialized = max(count, 0)
        }
        // Owned before anything can fail, so that none is lost.
        let descriptors = PassedDescriptors(owning: Array(passed[..<Int(passedCount)]))
        if count < 0 { throw SystemError("receive", "", Errno(Int32(-count))) }
        return Message(bytes: bytes, descriptors: descriptors)
    }

    private static func make(_ kind: Kind, nonBlocking: Bool) throws(SystemError) -> Descriptor {
        let flags = Int32(SOCK_CLOEXEC.rawValue) | (nonBlocking ? Int32(SOCK_NONBLOCK.rawValue) : 0)
        return Descriptor(owning: try retrying("socket") { socket(AF_UNIX, kind.raw | flags, 0) })
    }

    private static func withAddress<Result>(
        _ address: inout sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    /// Where a socket's name is. An address holds 107 bytes (unix(7)); a longer
    /// path is reached through its directory's descriptor.
    private struct Place: ~Copyable {
        let path: String
        let directory: Descriptor?

        init(_ path: String) throws(SystemError) {
            if path.utf8.count < 108 {
                self.path = path
                directory = nil
                return
            }
            let slash = path.lastIndex(of: "/") ?? path.startIndex
            let opened = try File.open(String(path[..<slash]), O_PATH | O_DIRECTORY)
            self.path = "/proc/self/fd/\(opened.raw)\(path[slash...])"
            directory = consume opened
        }

        func address() throws(SystemError) -> sockaddr_un {
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let bytes = Array(path.utf8)
            guard bytes.count < 108 else { throw SystemError("socket address", path, Errno(ENAMETOOLONG)) }
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
            return address
        }
    }
}

/// Descriptors that came with a message. Those not taken are closed.
public struct PassedDescriptors: ~Copyable, Sendable {
    private var raw: [Int32]
    public init(owning raw: [Int32]) { self.raw = raw }
    deinit { for fd in raw { _ = Glibc.close(fd) } }

    public var count: Int { raw.count }

    /// Takes the first one left.
    public mutating func takeFirst() -> Descriptor? {
        raw.isEmpty ? nil : Descriptor(owning: raw.removeFirst())
    }
}
