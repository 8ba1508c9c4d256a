import LinuxSystem
import Testing

@testable import ContainerRuntime

@Suite struct DBusTests {
    private static let everything: [DBusValue] = [
        .byte(255), .boolean(true), .int16(-2), .byte(1), .uint16(3), .int32(-4), .byte(1), .uint32(5),
        .int64(-6), .byte(1), .uint64(7), .byte(1), .double(1.5), .byte(1), .string("tëxt"),
        .objectPath("/a/b"),
        .signature("a{sv}"), .array(of: "u", [.uint32(1), .uint32(2)]), .byte(1), .array(of: "t", []),
        .array(of: "(ss)", []), .byte(1),
        .array(of: "(sv)", [.structure([.string("PIDs"), .variant(.array(of: "u", [.uint32(9)]))])]),
        .array(of: "(sa(sv))", []), .array(of: "{sv}", [.entry(.string("k"), .variant(.boolean(false)))]),
        .structure([.byte(1), .structure([.uint64(2)])]), .variant(.variant(.string("deep"))),
        .array(of: "ay", [.bytes([]), .bytes([1, 2, 3])]),
    ]

    private static func message() -> DBusMessage {
        var message = DBusMessage(.call)
        message.serial = 7
        message.destination = "org.freedesktop.DBus"
        message.path = "/org/freedesktop/DBus"
        message.interface = "org.freedesktop.DBus"
        message.member = "NoSuchMethod"
        message.body = everything
        return message
    }

    @Test func messagesComeBackAsTheyWent() throws {
        let bytes = Self.message().bytes
        #expect(try DBusMessage(bytes: bytes) == Self.message())
        #expect(try DBusMessage.length(prefix: Array(bytes.prefix(16))) == bytes.count)
    }

    /// D-Bus Specification, "Message Format" and "Valid Signatures", by hand.
    @Test func bytesAreThoseOfTheSpecification() throws {
        try #require(DBusWriter.orderMark == UInt8(ascii: "l"))
        var message = DBusMessage(.reply)
        message.serial = 2
        message.replySerial = 258
        message.body = [.string("ab"), .array(of: "t", [.uint64(1)])]
        #expect(
            message.bytes == [
                0x6C, 2, 0, 1, 24, 0, 0, 0, 2, 0, 0, 0, 17, 0, 0, 0,  // lengths, serial
                5, 1, 0x75, 0, 2, 1, 0, 0,  // REPLY_SERIAL
                8, 1, 0x67, 0, 3, 0x73, 0x61, 0x74, 0,  // SIGNATURE "sat"
                0, 0, 0, 0, 0, 0, 0,  // the body begins at a multiple of 8
                2, 0, 0, 0, 0x61, 0x62, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
            ])
    }

    @Test func theOtherByteOrderIsRead() throws {
        let message = try DBusMessage(bytes: [
            0x42, 4, 1, 1, 0, 0, 0, 6, 0, 0, 0, 9, 0, 0, 0, 18,  // lengths, serial
            8, 1, 0x67, 0, 2, 0x75, 0x71, 0,  // SIGNATURE "uq"
            3, 1, 0x73, 0, 0, 0, 0, 1, 0x4D, 0, 0, 0, 0, 0, 0, 0,  // MEMBER "M"
            0, 0, 1, 2, 0, 3,
        ])
        #expect(message.kind == .signal)
        #expect(message.serial == 9)
        #expect(message.member == "M")
        #expect(message.body == [.uint32(258), .uint16(3)])
    }

    @Test func brokenMessagesAreErrors() throws {
        let good = Self.message().bytes
        for length in 0..<good.count {
            #expect(throws: DBusError.self) { try DBusMessage(bytes: Array(good.prefix(length))) }
        }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<5000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(
                    in: 0...255, using: &generator)
            }
            _ = try? DBusMessage(bytes: bytes)
            _ = try? DBusMessage.length(prefix: Array(bytes.prefix(16)))
        }
    }

    @Test(arguments: ["", "a", "(", "()", "a{s}", "a{vs}", "{ss}", "z", "a{sss}", "(s"])
    func badSignaturesAreNone(signature: String) {
        #expect(!DBusType.isSingle(signature))
    }

    @Test func addressesHavePaths() {
        #expect(SystemBus.paths("unix:path=/run/user/1000/bus") == ["/run/user/1000/bus"])
        #expect(SystemBus.paths("unix:path=/a%20b,guid=00;tcp:host=x;unix:guid=1,path=/c") == ["/a b", "/c"])
        #expect(SystemBus.paths("unix:abstract=/tmp/x") == [])
        #expect(SystemBus.paths("unix:path=%zz") == [])
    }

    /// The reference implementation drops the connection at the first byte that is wrong.
    @Test(.enabled(if: access("/usr/bin/dbus-daemon", X_OK) == 0, "dbus-daemon is not installed"))
    func aRealBusUnderstandsUs() throws {
        let directory = "/tmp/apus-dbus-\(getpid())"
        try File.makeDirectories(directory)
        defer { try? File.removeTree(directory) }
        let config = """
            <busconfig><type>session</type><listen>unix:path=\(directory)/bus</listen><auth>EXTERNAL</auth>
            <policy context="default"><allow send_destination="*"/><allow own="*"/>
            <allow receive_type="method_call"/><allow receive_type="method_return"/>
            <allow receive_type="error"/><allow receive_type="signal"/></policy></busconfig>
            """
        try File.replace("\(directory)/config", with: Array(config.utf8), durable: false)
        #expect(
            system(
                "dbus-daemon --config-file=\(directory)/config --fork --print-pid 2>/dev/null >\(directory)/pid"
            )
                == 0)
        let pid = try #require(pid_t(try File.readText("\(directory)/pid").prefix { $0 != "\n" }))
        defer { kill(pid, SIGKILL) }
        let bus = try DBusConnection(path: "\(directory)/bus", isBus: true)
        #expect(bus.name.hasPrefix(":1."))
        let name = DBusConnection.busName
        let error = #expect(throws: DBusError.self) {
            try bus.call(name, "/org/freedesktop/DBus", name, "NoSuchMethod", Self.everything)
        }
        #expect(error?.name == "org.freedesktop.DBus.Error.UnknownMethod")
        #expect(
            try bus.call(name, "/org/freedesktop/DBus", name, "GetConnectionUnixUser", [.string(bus.name)])
                == [.uint32(geteuid())])
        // A signal that comes before it is waited for.
        try bus.post(
            name, "/org/freedesktop/DBus", name, "AddMatch", [.string("member='NameOwnerChanged'")])
        let other = try DBusConnection(path: "\(directory)/bus", isBus: true)
        _ = try bus.call(name, "/org/freedesktop/DBus", name, "ListNames")
        let signal = try bus.signal("NameOwnerChanged", for: "a name") { $0.first?.text == other.name }
        #expect(signal[2].text == other.name)
        kill(pid, SIGKILL)
        #expect(throws: DBusError.disconnected) {
            while true { _ = try bus.call(name, "/org/freedesktop/DBus", name, "GetId") }
        }
    }
}
