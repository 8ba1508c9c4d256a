/// Questions about interfaces by ioctl (netdevice(7)): one short call each, in
/// the network namespace of any socket at hand.
public enum NetworkInterface {
    public static let maximumNameLength = 15

    /// The interface's index; nil when there is none of that name.
    public static func index(of name: String, socket: Int32) throws(SystemError) -> Int32? {
        try ask(0x8933, name, socket, "find interface")  // SIOCGIFINDEX
    }

    /// Whether the interface exists and is set up; nil when there is none of that name.
    public static func isUp(_ name: String, socket: Int32) throws(SystemError) -> Bool? {
        try ask(0x8913, name, socket, "find interface").map { $0 & 1 != 0 }  // SIOCGIFFLAGS, IFF_UP
    }

    /// Sets the loopback interface up in the thread's network namespace.
    public static func bringLoopbackUp() throws(SystemError) {
        let socket = Descriptor(
            owning: try retrying("open socket") {
                Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | O_CLOEXEC, 0)
            })
        var request = try encode("lo")
        let raw = socket.raw
        _ = try checked("read flags of", "lo") { linux_ioctl(raw, 0x8913, &request) }
        request[16] |= 1
        _ = try checked("set up", "lo") { linux_ioctl(raw, 0x8914, &request) }  // SIOCSIFFLAGS
    }

    private static func ask(
        _ request: UInt, _ name: String, _ socket: Int32, _ operation: String
    ) throws(SystemError) -> Int32? {
        var buffer = try encode(name)
        let result = linux_ioctl(socket, request, &buffer)
        if result == -ENODEV { return nil }
        if result < 0 { throw SystemError(operation, name, Errno(-result)) }
        if request == 0x8913 { return Int32(buffer[16]) | Int32(buffer[17]) << 8 }
        return buffer[16..<20].integer(at: 0, Int32.self)
    }

    /// struct ifreq: 16 bytes of name, 24 bytes of union.
    private static func encode(_ name: String) throws(SystemError) -> [UInt8] {
        guard (1...maximumNameLength).contains(name.utf8.count), !name.utf8.contains(0) else {
            throw SystemError("find interface", name, .invalid)
        }
        return Array(name.utf8) + [UInt8](repeating: 0, count: 40 - name.utf8.count)
    }
}
