/// A message of D-Bus (D-Bus Specification, "Message Protocol").
struct DBusMessage: Equatable, Sendable {
    enum Kind: UInt8 {
        case call = 1
        case reply = 2
        case error = 3
        case signal = 4
    }

    var kind: Kind
    var serial: UInt32 = 0
    /// The call that is answered.
    var replySerial: UInt32 = 0
    var path = ""
    var interface = ""
    /// The method's or the signal's name.
    var member = ""
    var errorName = ""
    var destination = ""
    var expectsReply = true
    var body: [DBusValue] = []

    init(_ kind: Kind) { self.kind = kind }

    private static let noReply: UInt8 = 1
    private static let protocolVersion: UInt8 = 1
    /// The fixed part, up to the array of header fields.
    static let prefixLength = 16
    /// The specification's limit is 128 MiB; nothing that we ask for comes near this.
    private static let lengthLimit = 16 << 20

    private enum Field {
        static let path: UInt8 = 1
        static let interface: UInt8 = 2
        static let member: UInt8 = 3
        static let errorName: UInt8 = 4
        static let replySerial: UInt8 = 5
        static let destination: UInt8 = 6
        static let signature: UInt8 = 8
    }

    var bytes: [UInt8] {
        var content = DBusWriter()
        for value in body { content.append(value) }
        var fields: [DBusValue] = []
        func add(_ code: UInt8, _ value: DBusValue, if isThere: Bool) {
            if isThere { fields.append(.structure([.byte(code), .variant(value)])) }
        }
        add(Field.path, .objectPath(path), if: !path.isEmpty)
        add(Field.interface, .string(interface), if: !interface.isEmpty)
        add(Field.member, .string(member), if: !member.isEmpty)
        add(Field.errorName, .string(errorName), if: !errorName.isEmpty)
        add(Field.replySerial, .uint32(replySerial), if: replySerial != 0)
        add(Field.destination, .string(destination), if: !destination.isEmpty)
        add(Field.signature, .signature(DBusValue.signature(body)), if: !body.isEmpty)
        var message = DBusWriter()
        message.append(.byte(DBusWriter.orderMark))
        message.append(.byte(kind.rawValue))
        message.append(.byte(expectsReply ? 0 : Self.noReply))
        message.append(.byte(Self.protocolVersion))
        message.append(.uint32(UInt32(content.bytes.count)))
        message.append(.uint32(serial))
        message.append(.array(of: "(yv)", fields))
        message.align(8)
        return message.bytes + content.bytes
    }

    /// The whole message's length, from its first 16 bytes.
    static func length(prefix: [UInt8]) throws(DBusError) -> Int {
        guard prefix.count == prefixLength, [UInt8(ascii: "l"), UInt8(ascii: "B")].contains(prefix[0])
        else { throw .malformed }
        var reader = DBusReader(prefix, at: 4, orderMark: prefix[0])
        let numbers = try reader.values("uuu")
        guard case .uint32(let body) = numbers[0], case .uint32(let fields) = numbers[2],
            Int(body) + Int(fields) <= lengthLimit
        else { throw .malformed }
        return prefixLength + (Int(fields) + 7) / 8 * 8 + Int(body)
    }

    /// - Parameter bytes: exactly one message.
    init(bytes: [UInt8]) throws(DBusError) {
        guard bytes.count >= Self.prefixLength, let kind = Kind(rawValue: bytes[1]) else { throw .malformed }
        self.kind = kind
        expectsReply = bytes[2] & Self.noReply == 0
        var reader = DBusReader(bytes, at: 8, orderMark: bytes[0])
        let header = try reader.values("ua(yv)")
        guard case .uint32(let serial) = header[0], case .array(_, let fields) = header[1] else {
            throw .malformed
        }
        self.serial = serial
        var signature = ""
        for case .structure(let field) in fields {
            guard field.count == 2, case .byte(let code) = field[0], case .variant(let value) = field[1]
            else { throw .malformed }
            switch (code, value) {
            case (Field.path, .objectPath(let text)): path = text
            case (Field.interface, .string(let text)): interface = text
            case (Field.member, .string(let text)): member = text
            case (Field.errorName, .string(let text)): errorName = text
            case (Field.replySerial, .uint32(let number)): replySerial = number
            case (Field.destination, .string(let text)): destination = text
            case (Field.signature, .signature(let text)): signature = text
            default: break
            }
        }
        reader.align(8)
        body = try reader.values(signature)
    }
}

/// What went wrong on a bus.
struct DBusError: Error, Equatable, CustomStringConvertible {
    /// As the peer named it (`org.freedesktop.systemd1.NoSuchUnit`); empty when it said nothing.
    var name = ""
    var message: String

    static let malformed = DBusError(message: "malformed D-Bus message")
    /// The peer closed the connection.
    static let disconnected = DBusError(message: "the D-Bus connection was closed")

    var description: String { message.isEmpty ? name : message }
}
