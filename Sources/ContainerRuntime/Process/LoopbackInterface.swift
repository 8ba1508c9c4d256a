import LinuxSystem

/// `lo` of a new network namespace.
enum LoopbackInterface {
    /// struct ifreq (netdevice(7)): a name and the flags, of 40 bytes.
    private struct Request {
        var name: (UInt64, UInt64) = (0x6f6c /* "lo" */, 0)
        var flags: Int16 = 0
        var padding: (Int16, Int32, UInt64, UInt64) = (0, 0, 0, 0)
    }

    static func bringUp() throws(RuntimeError) {
        try during("bring up the loopback interface") { () throws(SystemError) in
            let kind = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
            // Any family's sockets take the call; UNIX ones are there in every kernel.
            let socket = Descriptor(owning: try retrying("socket") { Glibc.socket(AF_UNIX, kind, 0) })
            var request = Request()
            let up: Int16 = 1
            request.flags = up
            let raw = socket.raw
            _ = try checked("set flags of", "lo") { linux_ioctl(raw, UInt(SIOCSIFFLAGS), &request) }
        }
    }
}
