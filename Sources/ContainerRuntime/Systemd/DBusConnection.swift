internal import LinuxSystem

/// A connection to a message bus, or to a service's own socket, which speaks the same without a
/// bus between. One caller, one call at a time; replies nobody waits for are dropped.
final class DBusConnection {
    private let socket: Descriptor
    private var received: [UInt8] = []
    private var serial: UInt32 = 0
    /// Signals that came while a reply was waited for.
    private var signals: [DBusMessage] = []
    /// This connection's name on the bus; empty without one.
    private(set) var name = ""

    /// - Parameters:
    ///   - path: of a UNIX stream socket.
    ///   - isBus: whether it is a message bus, which wants to be greeted.
    init(path: String, isBus: Bool) throws(DBusError) {
        do throws(SystemError) {
            socket = try UnixSocket.connect(path, .stream)
        } catch {
            throw DBusError(message: "\(error)")
        }
        try authenticate()
        guard isBus else { return }
        let reply = try call(Self.busName, "/org/freedesktop/DBus", Self.busName, "Hello")
        name = reply.first?.text ?? ""
    }

    static let busName = "org.freedesktop.DBus"
    /// In seconds. A manager that reloads its units answers nobody meanwhile.
    private static let patience = 30.0

    // MARK: - Calls

    /// Calls a method and waits for its answer.
    /// - Throws: what the peer answered, with its name, or `.disconnected`.
    func call(
        _ destination: String, _ path: String, _ interface: String, _ member: String,
        _ arguments: [DBusValue] = []
    ) throws(DBusError) -> [DBusValue] {
        let serial = try send(destination, path, interface, member, arguments, expectsReply: true)
        let deadline = Deadline(seconds: Self.patience)
        while true {
            let message = try receive(until: deadline, for: "an answer to \(member)")
            switch message.kind {
            case .reply where message.replySerial == serial: return message.body
            case .error where message.replySerial == serial:
                throw DBusError(name: message.errorName, message: message.body.first?.text ?? "")
            case .signal: signals.append(message)
            default: break
            }
        }
    }

    /// Calls a method whose answer does not matter.
    func post(
        _ destination: String, _ path: String, _ interface: String, _ member: String,
        _ arguments: [DBusValue] = []
    ) throws(DBusError) {
        _ = try send(destination, path, interface, member, arguments, expectsReply: false)
    }

    /// Waits for a signal, also one that has come already.
    func signal(
        _ member: String, for purpose: String, where matches: ([DBusValue]) -> Bool
    ) throws(DBusError) -> [DBusValue] {
        let deadline = Deadline(seconds: Self.patience)
        while true {
            let message =
                signals.isEmpty ? try receive(until: deadline, for: purpose) : signals.removeFirst()
            if message.kind == .signal, message.member == member, matches(message.body) {
                return message.body
            }
        }
    }

    // MARK: - Messages

    private func send(
        _ destination: String, _ path: String, _ interface: String, _ member: String,
        _ arguments: [DBusValue], expectsReply: Bool
    ) throws(DBusError) -> UInt32 {
        serial += 1
        var message = DBusMessage(.call)
        message.serial = serial
        message.destination = destination
        message.path = path
        message.interface = interface
        message.member = member
        message.expectsReply = expectsReply
        message.body = arguments
        try write(message.bytes)
        return serial
    }

    private func receive(until deadline: Deadline, for purpose: String) throws(DBusError) -> DBusMessage {
        try fill(DBusMessage.prefixLength, deadline, purpose)
        let length = try DBusMessage.length(prefix: Array(received.prefix(DBusMessage.prefixLength)))
        try fill(length, deadline, purpose)
        let bytes = Array(received.prefix(length))
        received.removeFirst(length)
        return try DBusMessage(bytes: bytes)
    }

    // MARK: - Authentication

    /// By what the kernel says about us (D-Bus Specification, "EXTERNAL"). No user ID is named: in a
    /// user namespace ours is not the one that the other side sees.
    private func authenticate() throws(DBusError) {
        let deadline = Deadline(seconds: Self.patience)
        // All at once: a message that comes together with BEGIN is left lying by systemd's own socket.
        try write(Array("\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n".utf8))
        // Each of the first two is answered; old servers do not ask for the data.
        let answers = [try line(deadline), try line(deadline)]
        guard answers.contains(where: { $0.utf8.starts(with: "OK".utf8) }) else {
            throw DBusError(message: "D-Bus authentication failed: \(answers[0])")
        }
    }

    private func line(_ deadline: Deadline) throws(DBusError) -> String {
        while true {
            if let end = received.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: received[..<end], as: UTF8.self)
                received.removeFirst(end + 1)
                return line.utf8.last == UInt8(ascii: "\r") ? String(line.dropLast()) : line
            }
            guard received.count < 16 << 10 else { throw .malformed }
            try fill(received.count + 1, deadline, "authentication")
        }
    }

    // MARK: - Bytes

    private func write(_ bytes: [UInt8]) throws(DBusError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            // Not write(2): a peer that is gone must be an error and no signal.
            let count = rest.withUnsafeBytes {
                Glibc.send(socket.raw, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if Errno.current != .interrupted {
                if [Int32(EPIPE), Int32(ECONNRESET)].contains(Errno.current.rawValue) { throw .disconnected }
                throw DBusError(message: "write to D-Bus: \(Errno.current)")
            }
        }
    }

    private func fill(_ count: Int, _ deadline: Deadline, _ purpose: String) throws(DBusError) {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while received.count < count {
            var poll = pollfd(fd: socket.raw, events: Int16(POLLIN), revents: 0)
            let ready = Glibc.poll(&poll, 1, deadline.milliseconds)
            if ready == 0 {
                throw DBusError(message: "timed out waiting for \(purpose) over D-Bus")
            }
            let size = ready > 0 ? read(socket.raw, &buffer, buffer.count) : -1
            if size > 0 {
                received += buffer[..<size]
            } else if size == 0 || Errno.current.rawValue == ECONNRESET {
                throw .disconnected
            } else if Errno.current != .interrupted {
                throw DBusError(message: "read from D-Bus: \(Errno.current)")
            }
        }
    }

    private struct Deadline {
        private let end: Double

        init(seconds: Double) { end = Self.now + seconds }

        var milliseconds: Int32 { Int32(max(0, ((end - Self.now) * 1000).rounded(.up))) }

        private static var now: Double {
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        }
    }
}
