/// A netlink socket (netlink(7)). It belongs to the network namespace in which
/// the thread was when it was made, and keeps to it wherever the thread goes.
public struct NetlinkSocket: ~Copyable, Sendable {
    public enum Family: Int32, Sendable {
        case route = 0
        case netfilter = 12
    }

    private let socket: Descriptor

    public init(_ family: Family) throws(SystemError) {
        socket = Descriptor(
            owning: try retrying("open netlink socket") {
                Glibc.socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | O_CLOEXEC, family.rawValue)
            })
        // The kernel's own sentence for an error (NETLINK_EXT_ACK), and its answer
        // without a copy of the whole request (NETLINK_CAP_ACK). Both are a comfort.
        var one: Int32 = 1
        _ = setsockopt(socket.raw, Self.level, 11, &one, 4)
        _ = setsockopt(socket.raw, Self.level, 10, &one, 4)
    }

    private static let level: Int32 = 270  // SOL_NETLINK

    public var raw: Int32 { socket.raw }

    /// Sends all of a writer's messages in one call and collects what the kernel
    /// says. The kernel works each request off before send(2) returns, so the
    /// answers are there already; only a dump continues while it is read.
    ///
    /// A writer whose last message asks neither for an acknowledgement nor for a
    /// dump gets whatever is there.
    public func exchange(_ requests: NetlinkWriter) throws(SystemError) -> NetlinkAnswer {
        try send(requests.bytes)
        var answer = NetlinkAnswer(last: requests.nextSequence &- 1)
        var buffer = [UInt8](repeating: 0, count: 32 << 10)
        while let count = try receive(into: &buffer, wait: answer.isOpenDump) {
            try answer.take(NetlinkMessage.parse(buffer[..<count]))
        }
        return answer
    }

    private func send(_ bytes: [UInt8]) throws(SystemError) {
        // The kernel refuses what exceeds the send buffer, overhead included, with EMSGSIZE.
        if bytes.count > 64 << 10 {
            var size = Int32(clamping: bytes.count * 2)
            _ = setsockopt(socket.raw, SOL_SOCKET, SO_SNDBUFFORCE, &size, 4)
        }
        let raw = socket.raw
        // No address: an unconnected netlink socket sends to the kernel.
        let sent = try retrying("send netlink message") { Glibc.send(raw, bytes, bytes.count, 0) }
        if sent != bytes.count { throw SystemError("send netlink message", "", Errno(EMSGSIZE)) }
    }

    /// One datagram; nil when there is none.
    private func receive(into buffer: inout [UInt8], wait: Bool) throws(SystemError) -> Int? {
        let raw = socket.raw
        while true {
            // struct sockaddr_nl: family, padding, port ID, groups.
            var sender: (UInt16, UInt16, UInt32, UInt32) = (0, 0, 0, 0)
            var senderLength: socklen_t = 12
            let count = buffer.withUnsafeMutableBytes { bytes in
                withUnsafeMutablePointer(to: &sender) { sender in
                    sender.withMemoryRebound(to: sockaddr.self, capacity: 1) { sender in
                        recvfrom(
                            raw, bytes.baseAddress, bytes.count,
                            Int32(MSG_TRUNC) | (wait ? 0 : Int32(MSG_DONTWAIT)), sender,
                            &senderLength)
                    }
                }
            }
            if count < 0 {
                let errno = Errno.current
                if errno == .interrupted { continue }
                if errno == .again { return nil }
                throw SystemError("receive netlink message", "", errno)
            }
            // Another process may write to our port ID: only the kernel's is 0.
            if sender.2 != 0 { continue }
            if count > buffer.count { throw SystemError("receive netlink message", "", Errno(EMSGSIZE)) }
            return count
        }
    }
}

/// What the kernel answered to the messages of one `exchange`.
public struct NetlinkAnswer: Sendable {
    public struct Failure: Sendable {
        public let sequence: UInt32
        public let errno: Errno
        /// The kernel's own sentence, where it has one.
        public let text: String?
    }

    public private(set) var messages: [NetlinkMessage] = []
    public private(set) var failures: [Failure] = []
    /// Things changed while a dump was made: it may lack some and have others twice.
    public private(set) var wasInterrupted = false
    private var acknowledged: Set<UInt32> = []
    private var isInDump = false
    private let last: UInt32

    init(last: UInt32) { self.last = last }

    /// A dump has begun and its end was not seen.
    var isOpenDump: Bool { isInDump && failures.isEmpty }

    mutating func take(_ incoming: [NetlinkMessage]) throws(SystemError) {
        for message in incoming {
            if message.flags.contains(.multipart) {
                isInDump = true
                if message.flags.contains(.dumpInterrupted) { wasInterrupted = true }
            }
            switch message.type {
            case NetlinkMessage.noop: break
            case NetlinkMessage.error, NetlinkMessage.done:
                if message.type == NetlinkMessage.done { isInDump = false }
                guard let code = message.payload.integer(at: 0, Int32.self) else {
                    throw SystemError("read", "netlink message", Errno(EBADMSG))
                }
                if code < 0 {
                    failures.append(
                        Failure(sequence: message.sequence, errno: Errno(-code), text: Self.text(of: message))
                    )
                } else {
                    acknowledged.insert(message.sequence)
                }
            default: messages.append(message)
            }
        }
    }

    /// NLMSGERR_ATTR_MSG, behind the error number and the failed request's header.
    private static func text(of message: NetlinkMessage) -> String? {
        guard message.type == NetlinkMessage.error, message.flags.rawValue & 0x200 != 0 else { return nil }
        var offset = 20
        // Without NLM_F_CAPPED the whole request stands before the attributes.
        if message.flags.rawValue & 0x100 == 0 {
            offset = 4 + Int(message.payload.integer(at: 4, UInt32.self) ?? 16)
        }
        return (try? message.attributes(after: offset))?.string(1)
    }

    public func failure(of sequence: UInt32) -> Failure? { failures.first { $0.sequence == sequence } }

    /// Throws the first failure.
    /// - Parameter acknowledged: the message whose acknowledgement may not be missing; the last when nil.
    public func check(
        _ operation: @autoclosure () -> String, _ object: @autoclosure () -> String = "",
        acknowledged sequence: UInt32? = nil
    ) throws(SystemError) {
        if let failure = failures.first {
            var object = object()
            if let text = failure.text { object += object.isEmpty ? "(\(text))" : " (\(text))" }
            throw SystemError(operation(), object, failure.errno)
        }
        if !acknowledged.contains(sequence ?? last) {
            throw SystemError(operation(), object(), Errno(EBADMSG))
        }
    }
}
