import Testing

@testable import LinuxSystem

@Suite struct NetlinkMessageTests {
    @Test func addAddress() {
        var writer = NetlinkWriter(firstSequence: 7)
        writer.addAddress(
            IPv4Address(10, 89, 0, 2),
            in: IPv4Subnet(containing: IPv4Address(10, 89, 0, 0), prefixLength: 16), index: 3)
        #expect(
            writer.bytes == [
                48, 0, 0, 0,  // length
                20, 0,  // RTM_NEWADDR
                0x05, 0x06,  // REQUEST, ACK, EXCL, CREATE
                7, 0, 0, 0,  // sequence
                0, 0, 0, 0,  // port ID: the kernel fills it in
                2, 16, 0, 0,  // AF_INET, prefix, flags, scope
                3, 0, 0, 0,  // interface
                8, 0, 2, 0, 10, 89, 0, 2,  // IFA_LOCAL
                8, 0, 1, 0, 10, 89, 0, 2,  // IFA_ADDRESS
                8, 0, 4, 0, 10, 89, 255, 255,  // IFA_BROADCAST
            ])
    }

    @Test func addDefaultRoute() {
        var writer = NetlinkWriter()
        writer.addDefaultRoute(gateway: IPv4Address(10, 89, 0, 1), index: 2)
        #expect(
            writer.bytes == [
                44, 0, 0, 0, 24, 0, 0x05, 0x06, 1, 0, 0, 0, 0, 0, 0, 0,  // RTM_NEWROUTE
                2, 0, 0, 0,  // AF_INET, /0, /0, TOS
                254, 3, 0, 1,  // main table, boot, universe, unicast
                0, 0, 0, 0,  // flags
                8, 0, 5, 0, 10, 89, 0, 1,  // RTA_GATEWAY
                8, 0, 4, 0, 2, 0, 0, 0,  // RTA_OIF
            ])
    }

    @Test func createBridgeNestsAndPads() {
        var writer = NetlinkWriter()
        writer.createBridge(
            name: "br0", mtu: 1500, hardwareAddress: HardwareAddress(derivedFrom: IPv4Address(10, 0, 0, 1)))
        #expect(
            writer.bytes == [
                76, 0, 0, 0, 16, 0, 0x05, 0x06, 1, 0, 0, 0, 0, 0, 0, 0,  // RTM_NEWLINK
                0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // struct ifinfomsg
                8, 0, 3, 0, 0x62, 0x72, 0x30, 0,  // IFLA_IFNAME "br0"
                10, 0, 1, 0, 2, 0xA9, 10, 0, 0, 1, 0, 0,  // IFLA_ADDRESS, 2 bytes of padding
                8, 0, 4, 0, 0xDC, 5, 0, 0,  // IFLA_MTU
                16, 0, 18, 0x80,  // IFLA_LINKINFO, nested
                11, 0, 1, 0, 0x62, 0x72, 0x69, 0x64, 0x67, 0x65, 0, 0,  // IFLA_INFO_KIND "bridge"
            ])
    }

    @Test func severalMessagesCountUp() {
        var writer = NetlinkWriter(firstSequence: 5)
        #expect(writer.setUp(index: 1) == 5)
        #expect(writer.setUp(index: 2) == 6)
        #expect(writer.nextSequence == 7)
        #expect(writer.bytes.count == 64)
    }

    @Test func parsesRoute() throws {
        let datagram: [UInt8] = [
            44, 0, 0, 0, 24, 0, 2, 0, 9, 0, 0, 0, 1, 2, 3, 4,  // RTM_NEWROUTE, MULTI, sequence 9
            2, 16, 0, 0, 254, 2, 253, 1, 0, 0, 0, 0,  // AF_INET, /16
            8, 0, 1, 0, 172, 17, 0, 0,  // RTA_DST
            8, 0, 4, 0, 4, 0, 0, 0,  // RTA_OIF
        ]
        let messages = try NetlinkMessage.parse(datagram[...])
        #expect(messages.count == 1)
        #expect(messages[0].sequence == 9)
        let route = try #require(try RouteDescription(messages[0]))
        #expect(route.destination.description == "172.17.0.0/16")
        #expect(route.index == 4)
        #expect(try LinkDescription(messages[0]) == nil)
    }

    @Test(arguments: [
        [UInt8](repeating: 0, count: 7),
        [15, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],  // shorter than its header
        [17, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],  // longer than the datagram
        [255, 255, 255, 255, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ])
    func refusesBadMessage(_ bytes: [UInt8]) {
        #expect(throws: SystemError.self) { try NetlinkMessage.parse(bytes[...]) }
    }

    @Test(
        arguments: [
            [3, 0, 1, 0],  // shorter than its header
            [9, 0, 1, 0, 1, 2, 3, 4],  // longer than the message
            [8, 0, 1, 0, 1, 2, 3, 4, 0, 0, 0, 0],  // nothing after it
        ] as [[UInt8]])
    func refusesBadAttribute(_ bytes: [UInt8]) {
        #expect(throws: SystemError.self) { try NetlinkAttributes(bytes[...]) }
    }

    @Test func anyBytesParseOrFail() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var bytes = (0..<Int.random(in: 0..<96)).map { _ in UInt8.random(in: 0...255, using: &generator) }
            if bytes.count > 24 {
                bytes.replaceSubrange(
                    0..<8, with: [UInt8(bytes.count), 0, 0, 0, [16, 20, 24, 2][Int(bytes[9] & 3)], 0, 0, 3])
                bytes[17] = bytes[17] & 31
            }
            guard let messages = try? NetlinkMessage.parse(bytes[...]) else { continue }
            var answer = NetlinkAnswer(last: 1)
            try? answer.take(messages)
            for message in messages {
                _ = try? RouteDescription(message)
                _ = try? LinkDescription(message)
                _ = try? AddressDescription(message)
            }
        }
    }

    @Test func answerKnowsFailures() throws {
        var answer = NetlinkAnswer(last: 2)
        try answer.take(
            NetlinkMessage.parse(
                [
                    36, 0, 0, 0, 2, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0,  // NLMSG_ERROR to 1, CAPPED
                    0xEF, 0xFF, 0xFF, 0xFF,  // -EEXIST
                    32, 0, 0, 0, 16, 0, 5, 6, 1, 0, 0, 0, 0, 0, 0, 0,  // the request's header
                ][...]))
        #expect(answer.failure(of: 1)?.errno == .exists)
        #expect(throws: SystemError("create", "x", .exists)) { try answer.check("create", "x") }
    }

    @Test func answerMissesAcknowledgement() throws {
        var answer = NetlinkAnswer(last: 2)
        #expect(throws: SystemError.self) { try answer.check("create") }
        try answer.take(
            NetlinkMessage.parse(
                [
                    36, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,  // NLMSG_ERROR to 2
                    0, 0, 0, 0, 32, 0, 0, 0, 16, 0, 5, 6, 2, 0, 0, 0, 0, 0, 0, 0,  // no error: acknowledged
                ][...]))
        try answer.check("create")
    }
}
