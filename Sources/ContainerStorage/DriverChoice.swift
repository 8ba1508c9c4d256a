import LinuxSystem

/// The driver for a store in this place, and why.
struct DriverChoice {
    var driver: SnapshotterName
    var reason: String

    static func probe(_ root: String) -> DriverChoice {
        do throws(SystemError) {
            try probe(.overlay, root)
            return DriverChoice(driver: .overlay, reason: "overlay works here")
        } catch {
            return DriverChoice(driver: .vfs, reason: "overlay does not work here (\(error))")
        }
    }

    /// Asks the kernel by doing what the driver does: no list of file systems' names is as true.
    /// - Throws: what the kernel said.
    static func probe(_ driver: SnapshotterName, _ root: String) throws(SystemError) {
        let probe = "\(root)/ingest/probe-\(getpid())-\(gettid())"
        defer { try? File.removeTree(probe) }
        try File.makeDirectory(probe, mode: 0o700)
        switch driver {
        case .vfs: return
        case .btrfs:
            let directory = try File.open(probe, O_RDONLY | O_DIRECTORY)
            try BtrfsSubvolume.create("subvolume", at: directory.raw)
            try BtrfsSubvolume.destroy("subvolume", at: directory.raw)
        case .overlay:
            try File.makeDirectory(probe + "/lower", mode: 0o700)
            try union(probe, OverlayMount(lower: [probe + "/lower"]))
        case .erofs:
            let lower = HeldDescriptor(try image(probe))
            var mount = OverlayMount(lower: ["/proc/self/fd/\(lower.raw)"])
            mount.dataOnly = [probe + "/objects"]
            try union(probe, mount)
            try withExtendedLifetime(lower) { () throws(SystemError) in
                try mount.attach(to: probe + "/merged")
            }
            defer { try? OverlayMount.unmount(probe + "/merged") }
            // Before Linux 6.16 the contents are found with `metacopy` alone, and are zeros without.
            guard try File.readText(probe + "/merged/file") == "contents" else {
                throw SystemError("follow data-only layers", probe, .notSupported)
            }
        }
    }

    private static func union(_ probe: String, _ mount: OverlayMount) throws(SystemError) {
        var mount = mount
        mount.upper = probe + "/upper"
        mount.work = probe + "/work"
        for name in ["/upper", "/work", "/merged"] { try File.makeDirectory(probe + name, mode: 0o700) }
        try mount.attach(to: probe + "/merged")
        defer { try? OverlayMount.unmount(probe + "/merged") }
        // An upper that cannot hold whiteouts mounts, and then cannot be written to.
        try File.makeDirectory(probe + "/merged/made", mode: 0o700)
    }

    /// One file, in an object.
    private static func image(_ probe: String) throws(SystemError) -> Descriptor {
        try File.makeDirectories(probe + "/objects/ab", mode: 0o700)
        try File.replace(probe + "/objects/ab/cd", with: Array("contents".utf8), durable: false)
        let file = try File.open(probe + "/image", O_RDWR | O_CREAT)
        var writer = ErofsWriter(file.raw)
        var status = stat()
        status.st_mode = S_IFDIR | 0o700
        let directory = ErofsDirectory([ErofsDirectory.Entry(name: Array("file".utf8), type: 1)])
        let root = try writer.takeInode(ErofsFormat.inodeSize + directory.size)
        let attributes = try ErofsFormat.attributes([
            .init("trusted.overlay.metacopy", []), .init("trusted.overlay.redirect", Array("/ab/cd".utf8)),
        ])
        let number = try writer.takeInode(ErofsFormat.inodeSize + attributes.count + 4)
        try writer.fillInode(
            root,
            ErofsFormat.inode(
                status, size: directory.size, links: 2, number: root, contents: .inline, attributes: [])
                + directory.bytes([root, root, number]))
        status.st_mode = S_IFREG | 0o600
        try writer.fillInode(
            number,
            ErofsFormat.inode(
                status, size: 8, links: 1, number: number, contents: .hole, attributes: attributes))
        try writer.finish(root: root)
        return try LayerImage.mount(probe + "/image", at: File.currentDirectory)
    }
}
