import LinuxSystem
import Testing

@Suite struct AddressTests {
    @Test(arguments: ["0.0.0.0", "10.89.0.2", "255.255.255.255", "127.0.0.1"])
    func roundTrip(_ text: String) { #expect(IPv4Address(text)?.description == text) }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.+4", "1.2.3. 4", "a.b.c.d", "::1",
    ])
    func refuses(_ text: String) { #expect(IPv4Address(text) == nil) }

    @Test func subnets() {
        let subnet = IPv4Subnet("10.89.3.4/16")!
        #expect(subnet.description == "10.89.0.0/16")
        #expect(subnet.broadcast.description == "10.89.255.255")
        #expect(subnet.contains(IPv4Address(10, 89, 7, 1)))
        #expect(!subnet.contains(IPv4Address(10, 90, 0, 0)))
        #expect(subnet.overlaps(IPv4Subnet("10.0.0.0/8")!))
        #expect(subnet.overlaps(IPv4Subnet("10.89.5.0/24")!))
        #expect(!subnet.overlaps(IPv4Subnet("10.88.0.0/16")!))
        #expect(IPv4Subnet("0.0.0.0/0")!.contains(IPv4Address(1, 2, 3, 4)))
        for bad in ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "/8", "1.2.3.4/8/8"] {
            #expect(IPv4Subnet(bad) == nil)
        }
    }
}
