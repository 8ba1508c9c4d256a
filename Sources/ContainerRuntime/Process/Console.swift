import LinuxSystem
import OCISpec

/// The pseudo-terminal of a container's process: made in the container's own
/// devpts, so that the container can name it, and handed to the runtime.
struct Console: ~Copyable {
    let master: Descriptor

    private static let devptsMagic = 0x1cd1

    /// Opens a new terminal.
    /// - Parameter devpts: the container's devpts mount, when the caller has it.
    init(rootfs: Rootfs, devpts: Int32?) throws(RuntimeError) {
        master = try during("open a terminal in the container") { () throws(SystemError) in
            let opened: Descriptor
            if let devpts {
                opened = try File.open("ptmx", at: devpts, O_RDWR | O_NOCTTY | O_NOFOLLOW)
            } else {
                // Checked before it is opened for use: opening a device has effects.
                let found = try rootfs.open("/dev/ptmx", O_PATH)
                try Self.verify(found.raw)
                opened = try rootfs.open("/dev/ptmx", O_RDWR | O_NOCTTY)
            }
            try Self.verify(opened.raw)
            var unlock: Int32 = 0
            let raw = opened.raw
            _ = try checked("unlock terminal") { linux_ioctl(raw, 0x4004_5431 /* TIOCSPTLCK */, &unlock) }
            return opened
        }
    }

    /// A container must not pass another device off as its terminals.
    private static func verify(_ fd: Int32) throws(SystemError) {
        let status = try FD.stat(fd)
        guard status.st_mode & S_IFMT == S_IFCHR, status.st_rdev == gnu_dev_makedev(5, 2),
            try Mount.fileSystemType(of: fd) == devptsMagic
        else { throw SystemError("verify", "/dev/ptmx", .invalid) }
    }

    /// `/dev/pts/N`.
    var name: String {
        var number: UInt32 = 0
        let raw = master.raw
        _ = linux_ioctl(raw, 0x8004_5430 /* TIOCGPTN */, &number)
        return "/dev/pts/\(number)"
    }

    /// Makes the terminal this process's controlling one and its three streams.
    /// The process leads a session.
    /// - Parameter device: where the terminal is to be found besides (`/dev/console`).
    /// - Parameter keepsLineEnds: leaves them to the terminal behind this one.
    func attach(
        size: ConsoleSize?, binding rootfs: Rootfs?, keepsLineEnds: Bool
    ) throws(RuntimeError) {
        try during("set up the terminal") { () throws(SystemError) in
            let peer = try Terminal.peer(ofMaster: master.raw)
            if keepsLineEnds {
                var attributes = try Terminal.attributes(of: peer.raw)
                attributes.c_oflag &= ~tcflag_t(ONLCR)
                try Terminal.setAttributes(of: peer.raw, attributes)
            }
            if let size {
                try Terminal.setSize(
                    of: peer.raw,
                    Terminal.Size(
                        rows: UInt16(truncatingIfNeeded: size.height),
                        columns: UInt16(truncatingIfNeeded: size.width)))
            }
            if let rootfs {
                let place = try Self.place(rootfs)
                let mount = try Mount.clone("", at: peer.raw)
                try Mount.attach(mount.raw, onto: place.raw)
            }
            let raw = peer.raw
            _ = try checked("set controlling terminal") { linux_ioctl(raw, UInt(TIOCSCTTY), nil) }
            for fd in Int32(0)...2 { _ = try retrying("dup3") { dup3(raw, fd, 0) } }
        }
    }

    /// `/dev/console` itself: a link of the image's would choose what of the container's the terminal
    /// hides, a file of /proc even (CVE-2025-52565).
    private static func place(_ rootfs: Rootfs) throws(SystemError) -> Descriptor {
        let directory = try rootfs.makeDirectories("/dev")
        do throws(SystemError) {
            return try File.open("console", at: directory.raw, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDONLY)
        } catch  where error.errno == .exists {
            return try File.open(beneath: "console", at: directory.raw, O_PATH, followLinks: false)
        }
    }
}

extension ProcessSpec {
    /// - Parameter returnsTerminal: the caller takes care of it itself.
    /// - Throws: `.invalidConfig` for a terminal that nobody would have, or a socket without one.
    func checkTerminal(consoleSocket: String?, returnsTerminal: Bool) throws(RuntimeError) {
        if terminal, consoleSocket == nil, !returnsTerminal {
            throw RuntimeError(
                .invalidConfig,
                "cannot allocate tty if the runtime will detach without setting console socket")
        }
        guard terminal || consoleSocket == nil else {
            throw RuntimeError(
                .invalidConfig, "cannot use console socket if the runtime will not allocate a tty")
        }
    }
}
