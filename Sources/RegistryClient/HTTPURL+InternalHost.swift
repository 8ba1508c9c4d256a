internal import LinuxSystem

extension HTTPURL {
    /// Whether a registry may name it as its token server. What answers at an address of this machine,
    /// of its link or of a private network may trust whoever comes from there: only a registry that is
    /// there itself may send us to it.
    func mayBeNamed(by registry: HTTPURL) -> Bool {
        if host == registry.host || !hasInternalAddress { return true }
        return Registry(host: authority).isLoopback && Registry(host: registry.authority).isLoopback
    }

    /// Without the port.
    private var host: Substring {
        authority.hasPrefix("[") ? authority.prefix { $0 != "]" } : authority.prefix { $0 != ":" }
    }

    /// Loopback, link-local, private or unspecified, in any spelling that the resolver takes for an
    /// address: `127.1`, `0x7f000001`. What libcurl would first decode (`%31`, full-width digits) counts
    /// as such.
    private var hasInternalAddress: Bool {
        if host.hasPrefix("[") {
            var address = in6_addr()
            guard inet_pton(AF_INET6, String(host.dropFirst().prefix { $0 != "%" }), &address) == 1 else {
                return true
            }
            return withUnsafeBytes(of: address) { bytes in
                let isIPv4 =
                    // ::/96, ::ffff:0:0/96 (RFC 4291, 2.5.5) and 64:ff9b::/96 (RFC 6052)
                    bytes[..<10].allSatisfy { $0 == 0 }
                    && [[0, 0], [0xFF, 0xFF]].contains(Array(bytes[10..<12]))
                    || bytes[..<12].elementsEqual([0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0])
                if isIPv4 { return Self.isInternal(bytes.loadUnaligned(fromByteOffset: 12, as: UInt32.self)) }
                return bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80 || bytes[0] & 0xFE == 0xFC
            }
        }
        guard host.utf8.allSatisfy({ $0 < 0x80 && $0 != UInt8(ascii: "%") }) else { return true }
        let name = host.hasSuffix(".") ? host.dropLast() : host
        if name == "localhost" || name.hasSuffix(".localhost") { return true }
        var address = in_addr()
        return inet_aton(String(name), &address) != 0 && Self.isInternal(address.s_addr)
    }

    /// - Parameter address: in the order of the network.
    private static func isInternal(_ address: UInt32) -> Bool {
        let address = UInt32(bigEndian: address)
        return [0, 10, 127].contains(address >> 24) || [0xA9FE, 0xC0A8].contains(address >> 16)
            || address >> 20 == 0xAC1
    }
}
