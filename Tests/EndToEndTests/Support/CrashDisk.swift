import LinuxSystem

/// A file system of its own below the store: it loses what was not written when the power is cut.
final class CrashDisk {
    enum Kind: String { case ext4, btrfs }

    private let host: Host
    private let kind: Kind
    private let image: String
    private let kept: String

    init(_ host: Host, _ kind: Kind) throws {
        self.host = host
        self.kind = kind
        image = host.path("disk")
        kept = host.path("disk.kept")
        switch kind {
        case .ext4:
            try ProgramRun.tool("truncate", "-s", "96M", image)
            try ProgramRun.tool("mkfs.ext4", "-q", "-E", "lazy_itable_init=0", image)
        case .btrfs:
            try ProgramRun.tool("truncate", "-s", "192M", image)
            try ProgramRun.tool("mkfs.btrfs", "-q", "--mixed", image)
        }
        try File.makeDirectories(host.root)
        try mount()
        host.later { [self] in try? unmount() }
    }

    /// The journal is written when somebody asks for it, not by the clock.
    private func mount() throws {
        let interval = kind == .btrfs ? 300 : 900
        try ProgramRun.tool("mount", "-o", "loop,commit=\(interval)", image, host.root)
    }

    private func unmount() throws {
        // Whoever was killed may not be gone yet.
        try host.eventually("unmount \(host.root)") {
            for mount in Kernel.mounts().reversed() where mount.hasPrefix(host.root) { umount2(mount, 0) }
            return !Kernel.mounts().contains { $0.hasPrefix(host.root) }
        }
    }

    func keep() throws {
        try unmount()
        try copy(image, kept)
        try mount()
    }

    func restore() throws {
        try unmount()
        try copy(kept, image)
        try mount()
    }

    /// What is in the image now is what has reached the disk.
    func losePower() throws {
        try copy(image, "\(image).lost")
        try unmount()
        try File.rename("\(image).lost", to: image)
        try mount()
        // By the number of the loop device's attachment the store knows. Where it has none, the host
        // has booted since.
        let isKnown = kind == .ext4 && File.exists("/sys/block/loop0/diskseq")
        if !isKnown, File.exists("\(host.root)/boot") {
            try File.replace("\(host.root)/boot", with: Array("another boot\n".utf8), durable: false)
        }
    }

    /// Into a new file: a loop device that still had the old one would be used again, with what it
    /// remembers.
    private func copy(_ source: String, _ target: String) throws {
        try? File.unlink(target)
        try ProgramRun.tool("cp", "--sparse=always", source, target)
    }
}
