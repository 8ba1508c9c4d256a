/// Calls on a descriptor of a terminal (termios(3), ioctl_tty(2)).
public enum Terminal {
    public struct Size: Equatable, Sendable {
        public var rows: UInt16
        public var columns: UInt16
        public init(rows: UInt16, columns: UInt16) {
            self.rows = rows
            self.columns = columns
        }
    }

    public static func isTerminal(_ fd: Int32) -> Bool { isatty(fd) == 1 }

    /// nil when it is no terminal.
    public static func size(of fd: Int32) -> Size? {
        var size = winsize()
        guard linux_ioctl(fd, UInt(TIOCGWINSZ), &size) == 0 else { return nil }
        return Size(rows: size.ws_row, columns: size.ws_col)
    }

    public static func setSize(of fd: Int32, _ size: Size) throws(SystemError) {
        var value = winsize(ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0)
        _ = try checked("set terminal size", "descriptor \(fd)") {
            linux_ioctl(fd, UInt(TIOCSWINSZ), &value)
        }
    }

    public static func attributes(of fd: Int32) throws(SystemError) -> termios {
        var attributes = termios()
        _ = try retrying("tcgetattr", "descriptor \(fd)") { tcgetattr(fd, &attributes) }
        return attributes
    }

    /// Output that waits is written first.
    public static func setAttributes(of fd: Int32, _ attributes: termios) throws(SystemError) {
        var attributes = attributes
        _ = try retrying("tcsetattr", "descriptor \(fd)") { tcsetattr(fd, TCSADRAIN, &attributes) }
    }

    /// Switches to raw mode.
    /// - Returns: the attributes to go back to.
    public static func makeRaw(_ fd: Int32) throws(SystemError) -> termios {
        let before = try attributes(of: fd)
        var raw = before
        cfmakeraw(&raw)
        try setAttributes(of: fd, raw)
        return before
    }

    /// The other side of a pseudo-terminal's master, whichever devpts mount it
    /// belongs to (TIOCGPTPEER, ioctl_tty(2)).
    public static func peer(ofMaster fd: Int32) throws(SystemError) -> Descriptor {
        Descriptor(
            owning: try checked("open terminal peer", "descriptor \(fd)") {
                linux_ioctl(
                    fd, 0x5441,
                    UnsafeMutableRawPointer(bitPattern: UInt(O_RDWR | O_NOCTTY | O_CLOEXEC)))
            })
    }

    /// A new pseudo-terminal's master, from the devpts mount at /dev/pts.
    public static func openMaster() throws(SystemError) -> Descriptor {
        let master = try File.open("/dev/ptmx", O_RDWR | O_NOCTTY)
        var unlock: Int32 = 0
        let raw = master.raw
        _ = try checked("unlock terminal") { linux_ioctl(raw, 0x4004_5431 /* TIOCSPTLCK */, &unlock) }
        return master
    }
}
