import Testing

@testable import LinuxSystem

@Suite struct FirewallTransactionTests {
    @Test func addsElement() {
        var transaction = FirewallTransaction(table: "t")
        transaction.addElements(
            to: "m",
            [
                FirewallTransaction.Element(
                    key: [6, 0, 0, 0, 0x1F, 0x90, 0, 0], value: [10, 89, 0, 2, 0, 80, 0, 0])
            ])
        #expect(
            transaction.bytes == [
                20, 0, 0, 0, 0x10, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0,  // NFNL_MSG_BATCH_BEGIN
                0, 0, 0, 10,  // resource: nf_tables
                76, 0, 0, 0, 12, 10, 0x05, 0x06, 2, 0, 0, 0, 0, 0, 0, 0,  // NFT_MSG_NEWSETELEM
                2, 0, 0, 0,  // NFPROTO_IPV4
                6, 0, 1, 0, 0x74, 0, 0, 0,  // NFTA_SET_ELEM_LIST_TABLE "t"
                6, 0, 2, 0, 0x6D, 0, 0, 0,  // NFTA_SET_ELEM_LIST_SET "m"
                40, 0, 3, 0x80,  // NFTA_SET_ELEM_LIST_ELEMENTS
                36, 0, 1, 0x80,  // NFTA_LIST_ELEM
                16, 0, 1, 0x80,  // NFTA_SET_ELEM_KEY
                12, 0, 1, 0, 6, 0, 0, 0, 0x1F, 0x90, 0, 0,  // NFTA_DATA_VALUE: tcp . 8080
                16, 0, 2, 0x80,  // NFTA_SET_ELEM_DATA
                12, 0, 1, 0, 10, 89, 0, 2, 0, 80, 0, 0,  // 10.89.0.2 . 80
                20, 0, 0, 0, 0x11, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0,  // NFNL_MSG_BATCH_END
                0, 0, 0, 10,
            ])
    }

    @Test func expressionBytes() {
        var writer = NetlinkWriter()
        writer.expression(.payload(.transport, offset: 2, length: 2, into: 9))
        #expect(
            writer.bytes == [
                52, 0, 1, 0x80,  // NFTA_LIST_ELEM
                12, 0, 1, 0, 0x70, 0x61, 0x79, 0x6C, 0x6F, 0x61, 0x64, 0,  // NFTA_EXPR_NAME "payload"
                36, 0, 2, 0x80,  // NFTA_EXPR_DATA
                8, 0, 1, 0, 0, 0, 0, 9,  // destination register
                8, 0, 2, 0, 0, 0, 0, 2,  // transport header
                8, 0, 3, 0, 0, 0, 0, 2,  // offset
                8, 0, 4, 0, 0, 0, 0, 2,  // length
            ])
    }

    /// The kernel takes it, shows it, and takes all or nothing.
    @Test func commitsToKernel() throws {
        let namespace = try NetworkNamespace.create()
        let socket = try NetworkNamespace.inside(namespace.raw) { () throws(SystemError) in
            try NetlinkSocket(.netfilter)
        }
        #expect(try !FirewallTransaction.tableExists("t", socket))
        var transaction = FirewallTransaction(table: "t")
        transaction.addTable()
        transaction.addMap("m", key: [.transportProtocol, .port], value: [.address, .port])
        try transaction.commit(socket)
        #expect(try FirewallTransaction.tableExists("t", socket))

        let elements = (1...2000).map { port in
            FirewallTransaction.Element(
                key: [6, 0, 0, 0, UInt8(port >> 8), UInt8(port & 255), 0, 0],
                value: [10, 0, 0, 1, 0, 80, 0, 0])
        }
        transaction = FirewallTransaction(table: "t")
        transaction.addElements(to: "m", elements)
        try transaction.commit(socket)
        #expect(try FirewallTransaction.present(elements, in: "m", of: "t", socket).count == 2000)
        var other = elements[0]
        other.value[3] = 2
        #expect(try FirewallTransaction.present([other], in: "m", of: "t", socket).isEmpty)

        transaction = FirewallTransaction(table: "t")
        transaction.deleteElements(from: "m", Array(elements[0..<10]))
        transaction.addElements(to: "m", [elements[20]])
        #expect(throws: SystemError("change firewall table", "t", .exists)) { try transaction.commit(socket) }
        #expect(try FirewallTransaction.present(elements, in: "m", of: "t", socket).count == 2000)

        transaction = FirewallTransaction(table: "t")
        transaction.deleteElements(from: "m", elements)
        try transaction.commit(socket)
        #expect(try FirewallTransaction.present(elements, in: "m", of: "t", socket).isEmpty)
    }
}
