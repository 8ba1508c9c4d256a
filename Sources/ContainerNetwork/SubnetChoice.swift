internal import LinuxSystem

/// Finds a private subnet (RFC 1918) for a new network.
enum SubnetChoice {
    /// 10.89.0.0/16 and upwards, then 172.16.0.0/12's, then 192.168.0.0/16's /24s.
    static let candidates: [IPv4Subnet] =
        (89...254).map { IPv4Subnet(containing: IPv4Address(10, UInt8($0), 0, 0), prefixLength: 16) }
        + (18...31).map { IPv4Subnet(containing: IPv4Address(172, UInt8($0), 0, 0), prefixLength: 16) }
        + (100...254).map { IPv4Subnet(containing: IPv4Address(192, 168, UInt8($0), 0), prefixLength: 24) }

    /// The first candidate that no route leads into.
    static func free(among routes: [IPv4Subnet]) -> IPv4Subnet? {
        // A default route does not count, nor the two halves that a VPN puts in its place. Where
        // a wide route covers everything private, a narrower one of ours is taken out of it.
        for shortest: UInt8 in [2, 13] {
            let taken = routes.filter { $0.prefixLength >= shortest }
            if let free = candidates.first(where: { candidate in
                !taken.contains { $0.overlaps(candidate) }
            }) {
                return free
            }
        }
        return nil
    }
}
